#include "cli/settings.h"

#include <algorithm>

#include "cli/trained_model.h"
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
  const std::string model = config.model;
  for (const auto& [key, text] : given_) {
    if (!text.empty()) flows::set(config, key + "=" + text);
  }
  for (const std::string& assignment : assignments_) flows::set(config, assignment);
  NF_CHECK(config.model == model,
           "--set: the model is the command's own argument, not a setting: "
           "give '",
           config.model, "' there");
}

ConfigFile read_config(const std::string& path) {
  ConfigFile file{.where = str("[config] ", path, ": "), .preset = flows::Config().model};
  nlohmann::json& all = file.settings;
  all =
      nlohmann::json::parse(read_file(path, kMaxConfigBytes), nullptr, /*allow_exceptions=*/false);
  NF_CHECK(!all.is_discarded(), file.where, "not valid JSON");
  if (!all.is_object()) return file;  // which from_json refuses
  if (const auto version = all.find("version"); version != all.end()) {
    NF_CHECK(version->is_number_integer() && *version > 0 && *version < 1000, file.where,
             "version must be a small whole number");
    file.version = version->get<std::int64_t>();
    all.erase(version);
  }
  if (const auto data = all.find("data"); data != all.end() && data->is_object()) {
    file.facts = take_facts(*data);
  }
  const auto model = all.find("model");
  if (model == all.end()) return file;
  const nlohmann::json name = model->is_object() ? model->value("name", nlohmann::json()) : *model;
  if (name.is_string()) file.preset = name.get<std::string>();
  return file;
}

SettingOptions::Job SettingOptions::configure(const std::string& model, Load* load) const {
  const ConfigFile file =
      model.ends_with(".json") ? read_config(model) : ConfigFile{.where = {}, .preset = model};
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
