#include "cli/settings.h"

#include <algorithm>
#include <filesystem>
#include <map>

#include "cli/trained_model.h"
#include "data/columns.h"
#include "data/given.h"
#include "data/setting_error.h"
#include "flows/models/build.h"
#include "flows/models/idle.h"
#include "tensor/files.h"
#include "tensor/text.h"

namespace nf::cli {

namespace {

std::string option_name(std::string key) {
  std::replace(key.begin(), key.end(), '_', '-');
  return "--" + key;
}

std::string type_name(const flows::Field& field) {
  if (field.key == "data") return source_type();
  if (!field.choices.empty()) return choice_type(field.choices);
  return std::visit(
      []<class T>(const T*) -> std::string {
        if constexpr (std::is_same_v<T, bool>) return "BOOL:{true,false}";
        if constexpr (std::is_same_v<T, double>) return "X";
        return std::is_same_v<T, std::string> ? "TEXT" : "N";
      },
      field.value);
}

using Texts = std::map<std::string, std::string>;  // of settings by their keys

Texts texts_of(const std::string& model, const flows::DataShape& data) {
  Texts texts;
  const flows::Config config = flows::preset(model, data);
  for (const flows::Field& field : config.fields()) texts[field.key] = field.text();
  return texts;
}

/// What a preset says without data, for a table of few rows, for one of many, and for one of many
/// columns; for small images in gray and in colour, and for large ones.
struct Preset {
  Texts plain, few, many, wide, gray, colour, large;
};

flows::DataShape images_of(std::int64_t side, std::int64_t channels) {
  return {.dims = side * side * channels,
          .discrete = true,
          .channels = channels,
          .height = side,
          .width = side};
}

/// Made once for each model: several commands have an option for each setting, and each shows
/// these.
const Preset& preset_of(const std::string& model) {
  static std::map<std::string, Preset> known;
  const auto [at, first] = known.try_emplace(model);
  if (first) {
    at->second = {texts_of(model, {}),
                  texts_of(model, {.dims = 8, .rows = 100}),
                  texts_of(model, {.dims = 8, .rows = 1'000'000}),
                  texts_of(model, {.dims = 30, .rows = 100}),
                  texts_of(model, images_of(28, 1)),
                  texts_of(model, images_of(32, 3)),
                  texts_of(model, images_of(64, 1))};
  }
  return at->second;
}

/// What a preset has for tables, where it differs: " (tables: 0)", or " (tables: by their rows)".
std::string for_tables(const Preset& preset, const std::string& key) {
  const std::string &few = preset.few.at(key), &many = preset.many.at(key);
  if (few != many) return " (tables: by their rows)";
  if (few != preset.wide.at(key)) return " (tables: by their columns)";
  return few == preset.plain.at(key) ? "" : " (tables: " + few + ")";
}

/// The same for images, but for where they come from.
std::string for_images(const Preset& preset, const std::string& key) {
  if (key == "data") return "";
  const std::string &gray = preset.gray.at(key), &colour = preset.colour.at(key);
  if (gray != preset.large.at(key)) return " (images: by their size)";
  if (gray == colour) return gray == preset.plain.at(key) ? "" : " (images: " + gray + ")";
  const bool plain_is_gray = gray == preset.plain.at(key);
  return plain_is_gray ? " (in colour: " + colour + ")" : " (images: by their colours)";
}

/// The model that the command line names, or none.
std::string& chosen_model() {
  static std::string name;
  return name;
}

std::vector<std::string> shown_models() {
  return chosen_model().empty() ? flows::preset_names() : std::vector{chosen_model()};
}

/// The value that each preset has without data, for tables and for images, which are left out where
/// they agree with the first one's: "4", or "0; realnvp-2d 7000 (tables: 0)".
std::string defaults(const std::string& key) {
  std::string text, first;
  for (const std::string& model : shown_models()) {
    const Preset& preset = preset_of(model);
    const auto value = preset.plain.find(key);
    if (value == preset.plain.end()) continue;
    const bool of_tables = flows::model_by_name(model).of_tables();
    const std::string others = for_tables(preset, key) + (of_tables ? "" : for_images(preset, key));
    if (text.empty() && first.empty()) {
      first = value->second;
      text = first + others;
    } else if (value->second != first || !others.empty()) {
      text += "; " + model + " " + (value->second.empty() ? "none" : value->second) + others;
    }
  }
  return text;
}

/// A setting that is false by default is true where its option has no value, as a flag. CLI11 gives
/// the text of the default then.
void may_stand_alone(CLI::Option& option) {
  constexpr const char* kAlone = "; alone: true";
  if (option.get_default_str() != "false") return;
  option.expected(0, 1)->default_str(option.get_default_str() + kAlone);
  option.transform(CLI::Validator(
      [name = option.get_name()](std::string& text) {
        if (text.ends_with(kAlone)) text = "true";
        if (text == "true" || text == "false") return std::string();
        return str(shown_word(text), " is neither true nor false; in front of another word write ",
                   name, "=true");
      },
      ""));
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

// Models may allow different texts for one setting.
void add_new(std::vector<std::string>& all, const std::vector<std::string>& more) {
  for (const std::string& text : more) {
    if (std::find(all.begin(), all.end(), text) == all.end()) all.push_back(text);
  }
}

std::string key_of(const std::string& assignment) {
  return assignment.substr(0, assignment.find('='));
}

}  // namespace

std::vector<flows::Field> all_fields() {
  static std::vector<flows::Config> presets;  // into which the fields point
  presets.clear();
  for (const std::string& model : shown_models()) presets.push_back(flows::preset(model));
  std::vector<flows::Field> all;
  std::map<std::string, std::size_t> places;
  for (const bool of_model : {true, false}) {
    for (flows::Config& config : presets) {
      for (flows::Field& field : config.fields()) {
        if ((field.group == "model") != of_model) continue;
        const auto [at, first] = places.emplace(field.key, all.size());
        if (first) all.push_back(field);
        add_new(all[at->second].choices, field.choices);
      }
    }
  }
  return all;
}

std::string whose_option(const std::string& option) {
  std::string key = option.substr(std::min<std::size_t>(2, option.size()));
  std::replace(key.begin(), key.end(), '-', '_');
  const std::string& model = chosen_model();
  if (model.empty()) return "";
  const std::string others = flows::of_other_models(key, model, option_name);
  if (!others.empty()) return others;
  for (const flows::Field& field : flows::preset(model).fields()) {
    if (field.key == key) return str(option, " is of train; here it is --set ", key, "=VALUE");
  }
  return "";
}

std::string models_help() {
  std::string text = "Models; 'flowcli train MODEL --help' shows the settings of one:\n";
  for (const auto& model : flows::models()) {
    std::string line = "  " + model->name();
    line.resize(std::max<std::size_t>(line.size() + 2, 14), ' ');
    text += line + model->help() + "\n";
  }
  return text + "\n";
}

void choose_model(int words, const char* const* argv) {
  const auto names = flows::preset_names();
  for (int i = 2; i < words; ++i) {
    const std::string word = argv[i];
    std::string name = word;
    const std::string run = word + "/config.json";
    try {
      if (word.ends_with(".json")) name = read_config(word).preset;
      if (std::filesystem::exists(run)) name = read_config(run).preset;
    } catch (const std::exception&) {  // whoever needs the file says what is wrong with it
    }
    if (std::find(names.begin(), names.end(), name) == names.end()) continue;
    chosen_model() = name;
    return;
  }
}

void SettingOptions::add_to(CLI::App& app, ShownSettings which) {
  const std::string model = chosen_model().empty() ? "Model" : "Model " + chosen_model();
  for (const flows::Field& field : all_fields()) {
    const std::string group = field.group == "model"      ? model
                              : field.group == "training" ? "Training"
                                                          : "Data and output";
    const bool of_model =
        field.group == "model" || field.key == "data" || field.key == "batch_size";
    if (which == ShownSettings::OfModel && !of_model) continue;
    // Not shown, but there, to be told why it changes nothing.
    const bool hidden = field.key == "recipe" && !chosen_model().empty() &&
                        flows::model_by_name(chosen_model()).recipes().empty();
    CLI::Option* const option =
        app.add_option(option_name(field.key), given_[field.key], field.help)
            ->group(hidden ? "" : group)
            ->type_name(type_name(field))
            ->default_str(defaults(field.key));
    if (std::holds_alternative<bool*>(field.value)) may_stand_alone(*option);
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
  as_usage([&] {
    for (const auto& [key, text] : given_) {  // by name: epochs before steps, which go before them
      const std::string where = option_name(key) + ": ";
      if (!text.empty()) flows::set(config, key + "=" + text, where);
    }
    for (const std::string& assignment : assignments_) {
      NF_CHECK(key_of(assignment) != "model",
               "--set: the model is the command's own argument, not ", "a setting: give '",
               config.model, "' there");
      flows::set(config, assignment);
    }
  });
}

std::string SettingOptions::option_text(const std::string& key) const {
  const auto option = given_.find(key);
  return option == given_.end() ? "" : option->second;
}

std::vector<std::string> SettingOptions::words(const std::string& without) const {
  std::vector<std::string> out;
  const auto add = [&](const std::string& assignment) {
    out.insert(out.end(), {"--set", assignment});
  };
  for (const auto& [key, text] : given_) {
    if (!text.empty() && key != without) add(key + "=" + text);
  }
  for (const std::string& assignment : assignments_) add(assignment);
  return out;
}

void SettingOptions::check_precision(const flows::Config& config, Device device) const {
  check_usage(device != Device::CPU || !given("precision") || config.training.precision != "tf32",
              "[precision] the CPU has no products of tf32; give f32 or bf16");
}

bool SettingOptions::given(const std::string& key) const {
  const auto option = given_.find(key);
  return (option != given_.end() && !option->second.empty()) ||
         std::any_of(assignments_.begin(), assignments_.end(),
                     [&](const std::string& text) { return key_of(text) == key; });
}

void SettingOptions::refuse_idle(const Job& job) const {
  const bool pictures = job.data.images() || job.data.dims == 2;
  for (const flows::Field& field : job.config.fields()) {
    if (!given(field.key)) continue;
    std::string why = flows::why_idle(job.config, shape_of(job.data), field.key);
    const bool of_pictures =
        field.key == "samples" || field.key == "sample_every" || field.key == "temperature";
    if (of_pictures && !pictures) why = str("rows of ", job.data.dims, " numbers have no picture");
    check_usage(why.empty(), "[", field.key, "] would change nothing: ", why);
  }
}

namespace {

/// Where a category has no density it is the label that is given, "town=category" with given = town
/// means label = town and given = label.
void settle_categories(flows::Config& config) {
  flows::DataSettings& data = config.data;
  const bool modelled = flows::model_by_name(config.model).of_tables();
  std::string others;
  for (const auto& [name, type] : data::named_types(data.types)) {
    const bool given = data::unquoted(data.given) == data::without_spaces(name);
    if (type != "category" || (modelled && !given)) {
      const bool comma = name.find(',') != std::string::npos;
      others += str(others.empty() ? "" : ",", comma ? "\"" + name + "\"" : name, "=", type);
      continue;
    }
    data::check_setting(
        given && data.label.empty(), "types", "[types] ", printable(name),
        "=category: a category has no density here, but in the model tabular; one category may be "
        "given, and nothing beside it, with --given ",
        printable(name), ", or it is left out, with --drop ", printable(name));
    data.label = data.given;
    data.given = "label";
  }
  data.types = others;
}

/// Columns that hold whole numbers only are taken for integers, where the model can; else that is
/// advised.
void settle_types(SettingOptions::Job& job) {
  const std::string kind = job.config.text("preprocess", "auto");
  const bool standard = !job.data.unit_scale && (kind == "auto" || kind == "standard");
  if (standard) {
    job.config.data.types = data::with_guessed_types(job.data, job.config.data.types);
    return;
  }
  const std::string advice = data::advice_on_types(job.data);
  if (!advice.empty()) job.data.notes.push_back(advice);
  job.data.whole = {};  // they are real
}

}  // namespace

SettingOptions::Job SettingOptions::configure(const std::string& model, const Load& load) const {
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
        job.config.data.train != 0, "train",
        "[train] train = 0 leaves no samples to train on; give at least 1, or leave "
        "it out");
    settle_categories(job.config);
    job.data = load(job.config);
    const flows::DataShape shape = shape_of(job.data);
    job.config = on(flows::preset(file.preset, shape, job.config.text("recipe", "")));
    settle_categories(job.config);
    settle_types(job);
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
