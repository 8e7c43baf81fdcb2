#include "cli/settings.h"

#include <algorithm>

#include "cli/run_folder.h"
#include "flows/presets.h"
#include "tensor/files.h"

namespace nf::cli {

namespace {

constexpr std::uint64_t kMaxConfigBytes = 1 << 20;

std::string option_name(std::string key) {
  std::replace(key.begin(), key.end(), '_', '-');
  return "--" + key;
}

}  // namespace

void SettingOptions::add_to(CLI::App& app) {
  std::string group = "Model";
  for (const flows::Field& field : flows::fields()) {
    if (field.key == "epochs") group = "Training";
    if (field.key == "data") group = "Data and output";
    if (field.key == "model") continue;  // the command's own argument
    std::string help = field.help;
    if (!field.choices.empty()) {
      help += ":";
      for (const std::string& choice : field.choices) help += " " + choice;
    }
    auto* option = app.add_option(option_name(field.key), given_[field.key], help)->group(group);
    if (field.key == "data") option->type_name(source_type());
  }
  app.add_option("--set", assignments_, "Any setting, as key=value; may be repeated")
      ->take_all()
      ->allow_extra_args(false);
}

void SettingOptions::apply(flows::Config& config) const {
  // A preset that counts in steps gives way to somebody who counts in epochs.
  if (!given_.at("epochs").empty()) config.steps = 0;
  for (const auto& [key, text] : given_) {
    if (!text.empty()) flows::set(config, key + "=" + text);
  }
  for (const std::string& assignment : assignments_) flows::set(config, assignment);
}

ConfigFile read_config(const std::string& path) {
  ConfigFile file{str("[config] ", path, ": "), flows::Config().model, {}};
  file.settings =
      nlohmann::json::parse(read_file(path, kMaxConfigBytes), nullptr, /*allow_exceptions=*/false);
  NF_CHECK(!file.settings.is_discarded(), file.where, "not valid JSON");
  if (file.settings.is_object() && file.settings.contains("model") &&
      file.settings["model"].is_string()) {
    file.preset = file.settings["model"].get<std::string>();
  }
  return file;
}

SettingOptions::Job SettingOptions::configure(const std::string& model, Load* load) const {
  const ConfigFile file = model.ends_with(".json") ? read_config(model) : ConfigFile{{}, model};
  const auto on = [&](const flows::Config& base) {
    flows::Config config = file.on(base);
    apply(config);
    return config;
  };
  Job job{on(flows::preset(file.preset)), {}};
  job.data = load(job.config);
  job.config = on(flows::preset(file.preset, shape_of(job.data), job.config.recipe));
  return job;
}

}  // namespace nf::cli
