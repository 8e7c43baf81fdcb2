#include "cli/settings.h"

#include <algorithm>

#include "cli/trained_model.h"
#include "data/setting_error.h"
#include "flows/models/build.h"
#include "flows/models/idle.h"
#include "flows/models/presets.h"
#include "tensor/files.h"

namespace nf::cli {

namespace {

constexpr std::uint64_t kMaxConfigBytes = 1 << 20;

std::string option_name(std::string key) {
  std::replace(key.begin(), key.end(), '_', '-');
  return "--" + key;
}

std::string type_name(const flows::Field& field) {
  if (field.key == "data") return source_type();
  if (!field.choices.empty()) return choice_type(field.choices);
  return std::visit(
      []<class T>(T flows::Config::*) -> std::string {
        if constexpr (std::is_same_v<T, bool>) return "BOOL:{true,false}";
        if constexpr (std::is_same_v<T, double>) return "X";
        return std::is_same_v<T, std::string> ? "TEXT" : "N";
      },
      field.member);
}

/// What a preset has for tables, where it differs: " (tables 0)", or "(tables by their rows)".
std::string for_tables(const flows::Field& field, const std::string& preset) {
  const auto of = [&](std::int64_t rows) {
    return flows::value_text(flows::preset(preset, {.dims = 8, .rows = rows}), field);
  };
  const std::string few = of(500), many = of(1'000'000);
  if (few != many) return " (tables: by their rows)";
  return few == flows::value_text(flows::preset(preset), field) ? "" : " (tables: " + few + ")";
}

/// The value that each preset has without data, and for tables, which are left out where they
/// agree with the first one's: "4", or "0; realnvp-2d 7000 (tables: 0)".
std::string defaults(const flows::Field& field) {
  std::string text;
  std::string first;
  for (const std::string& name : flows::preset_names()) {
    const std::string value = flows::value_text(flows::preset(name), field);
    const std::string tables = for_tables(field, name);
    if (name == flows::preset_names().front()) {
      first = value;
      text = value + tables;
    } else if (value != first || !tables.empty()) {
      text += "; " + name + " " + (value.empty() ? "none" : value) + tables;
    }
  }
  return text;
}

/// What belongs to the command line is wrong usage, whoever finds it.
template <class Work>
auto as_usage(const Work& work) {
  try {
    return work();
  } catch (const Error& error) {
    throw UsageError(error.what());
  }
}

std::string key_of(const std::string& assignment) {
  return assignment.substr(0, assignment.find('='));
}

}  // namespace

void SettingOptions::add_to(CLI::App& app, ShownSettings which) {
  std::string group = "Model";
  for (const flows::Field& field : flows::fields()) {
    if (field.key == "epochs") group = "Training";
    if (field.key == "data") group = "Data and output";
    if (field.key == "model") continue;  // the command's own argument
    const bool of_model = group == "Model" || field.key == "data" || field.key == "batch_size";
    if (which == ShownSettings::OfModel && !of_model) continue;
    app.add_option(option_name(field.key), given_[field.key], field.help)
        ->group(group)
        ->type_name(type_name(field))
        ->default_str(defaults(field));
  }
  const char* const all = which == ShownSettings::All
                              ? "Any setting; may be repeated"
                              : "Any setting of 'flowcli train --help'; may be repeated";
  app.add_option("--set", assignments_, all)
      ->type_name("KEY=VALUE")
      ->take_all()
      ->allow_extra_args(false);
}

void SettingOptions::apply(flows::Config& config) const {
  const std::string model = config.model;
  as_usage([&] {
    for (const auto& [key, text] : given_) {  // by name: epochs before steps, which go before them
      const std::string where = option_name(key) + ": ";
      if (!text.empty()) flows::set(config, key + "=" + text, where);
    }
    for (const std::string& assignment : assignments_) flows::set(config, assignment);
  });
  check_usage(config.model == model,
              "--set: the model is the command's own argument, not a setting: give '", config.model,
              "' there");
}

bool SettingOptions::given(const std::string& key) const {
  const auto option = given_.find(key);
  return (option != given_.end() && !option->second.empty()) ||
         std::any_of(assignments_.begin(), assignments_.end(),
                     [&](const std::string& text) { return key_of(text) == key; });
}

void SettingOptions::refuse_idle(const Job& job) const {
  const bool pictures = job.data.images() || job.data.dims == 2;
  for (const flows::Field& field : flows::fields()) {
    if (!given(field.key)) continue;
    std::string why = flows::why_idle(job.config, shape_of(job.data), field.key);
    const bool of_pictures =
        field.key == "samples" || field.key == "sample_every" || field.key == "temperature";
    if (of_pictures && !pictures) why = str("rows of ", job.data.dims, " numbers have no picture");
    check_usage(why.empty(), "[", field.key, "] would change nothing: ", why);
  }
}

namespace {

/// "line 3, column 7" of byte `at`, from 1.
std::string place(const std::string& text, std::size_t at) {
  const std::string before = text.substr(0, std::min(at, text.size()));
  const auto line = std::count(before.begin(), before.end(), '\n') + 1;
  const std::size_t begin = before.rfind('\n') + 1;  // npos + 1 is 0
  return str("line ", line, ", column ", std::max<std::size_t>(1, before.size() - begin));
}

}  // namespace

ConfigFile read_config(const std::string& path) {
  ConfigFile file{.where = str("[config] ", path, ": "), .preset = flows::Config().model};
  const std::string text = read_file(path, kMaxConfigBytes);
  nlohmann::json& all = file.settings;
  try {
    all = nlohmann::json::parse(text);
  } catch (const nlohmann::json::parse_error& error) {
    fail(str(file.where, "not valid JSON: the mistake is at ", place(text, error.byte)));
  }
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
  const bool is_file = model.ends_with(".json");
  const ConfigFile file = is_file ? read_config(model) : ConfigFile{.where = {}, .preset = model};
  if (!is_file) as_usage([&] { return flows::preset(model); });
  const auto on = [&](const flows::Config& base) {
    flows::Config config = file.on(base);
    apply(config);
    return config;
  };
  Job job{on(flows::preset(file.preset)), {}};
  try {
    data::check_setting(
        job.config.train != 0, "train",
        "[train] train = 0 leaves no samples to train on; give at least 1, or leave "
        "it out");
    job.data = load(job.config);
    const flows::DataShape shape = shape_of(job.data);
    job.config = on(flows::preset(file.preset, shape, job.config.recipe));
    refuse_idle(job);
    flows::check_settings(job.config, shape);
    job.config = flows::resolved(job.config, shape);
  } catch (const data::SettingError& error) {
    if (given(error.key())) throw UsageError(error.what());
    throw;  // a configuration file says so
  }
  return job;
}

}  // namespace nf::cli
