#include "cli/settings.h"

#include <algorithm>

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
    app.add_option(option_name(field.key), given_[field.key], help)->group(group);
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

flows::Config model_config(const std::string& model) {
  if (!model.ends_with(".json")) return flows::preset(model);
  const std::string where = "[config] " + model + ": ";
  const auto json =
      nlohmann::json::parse(read_file(model, kMaxConfigBytes), nullptr, /*allow_exceptions=*/false);
  NF_CHECK(!json.is_discarded(), where, "not valid JSON");
  flows::Config base;
  if (json.is_object() && json.contains("model") && json["model"].is_string()) {
    base = flows::preset(json["model"].get<std::string>());
  }
  return flows::from_json(json, base, where);
}

}  // namespace nf::cli
