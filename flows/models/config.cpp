#include "flows/models/config.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "flows/base.h"
#include "flows/layers/coupling.h"
#include "flows/layers/logit.h"
#include "flows/models/kinds.h"
#include "nn/layers/linear.h"
#include "nn/optim/optim.h"
#include "tensor/error.h"
#include "tensor/text.h"

namespace nf::flows {

namespace {

// Each group and its first setting.
constexpr std::pair<const char*, const char*> kGroups[] = {
    {"model", "model"}, {"training", "epochs"}, {"data", "data"}, {"output", "save_every"}};

std::vector<std::string> with_auto(std::vector<std::string> names) {
  names.insert(names.begin(), "auto");
  return names;
}

std::vector<Field> grouped(std::vector<Field> fields) {
  std::string group;
  for (Field& field : fields) {
    for (const auto& [name, first] : kGroups) {
      if (field.key == first) group = name;
    }
    field.group = group;
  }
  return fields;
}

}  // namespace

std::string Field::nested_key() const {
  // What the columns are called is a fact of the data, beside which columns are wanted.
  return key == "model"     ? "name"
         : key == "data"    ? "source"
         : key == "columns" ? "wanted_columns"
                            : key;
}

const std::vector<Field>& fields() {
  using C = Config;
  static const std::vector<Field> all = grouped({
      {"model", "the preset this came from", &C::model},
      {"recipe", "whose settings the preset has: the paper's, or those of its authors' code (nice)",
       &C::recipe, recipes().all()},
      {"couplings", "number of coupling layers", &C::couplings, {}, 1, 1000},
      {"coupling", "what a coupling does", &C::coupling, map_names()},
      {"partition", "how a coupling splits the dimensions", &C::partition, splittings().all()},
      {"mixing", "between couplings: linear is a learned invertible matrix", &C::mixing,
       mixings().all()},
      {"whitening", "zca: fitted, not learned; triangular: begins fitted, learned", &C::whitening,
       whitenings().all()},
      {"whitening_last", "whitening follows the couplings instead of preceding them",
       &C::whitening_last},
      {"hidden_units", "width of the conditioners", &C::hidden_units, {}, 1, 1e6},
      {"hidden_layers", "hidden layers of the conditioners", &C::hidden_layers, {}, 0, 100},
      {"depths", "the same for each coupling, as 3,3,1,1 (empty: hidden_layers)", &C::depths},
      {"activation", "of the conditioners", &C::activation, nn::activation_names()},
      {"init", "how weights are drawn", &C::init, init_kinds().all()},
      {"init_scale", "scale of that draw", &C::init_scale, {}, 0, 1e3},
      {"last_init_scale",
       "the same for a conditioner's last layer (0: starts as the identity)",
       &C::last_init_scale,
       {},
       0,
       1e3},
      {"scale_limit", "bound of the log scales of affine couplings", &C::scale_limit, {}, 1e-3, 50},
      {"scaling", "end with a learned scale per dimension", &C::scaling},
      {"data_init", "set that scale from the first samples", &C::data_init},
      {"scale_rate",
       "how many times faster than other parameters that scale learns",
       &C::scale_rate,
       {},
       1e-3,
       1e3},
      {"prior", "base distribution", &C::prior, base_names()},
      {"preprocess",
       "auto: unit for images, standard for real data, none for built-in densities; symmetric: "
       "pixels in [-1,1]; cdf: every pixel through its own distribution function",
       &C::preprocess, preprocessings().all()},
      {"alpha", "of logit preprocessing", &C::alpha, {}, kLeastAlpha, 0.49},

      {"epochs", "passes over the training data", &C::epochs, {}, 1, 1e9},
      {"steps", "stop after this many updates (0: by epochs)", &C::steps, {}, 0, 1e15},
      {"batch_size", "samples in one update", &C::batch_size, {}, 1, 1e9},
      {"optimizer", "update rule", &C::optimizer, nn::update_rule_names()},
      {"lr", "learning rate", &C::lr, {}, 0, 1e38},
      {"beta1", "decay of the first moment, or momentum", &C::beta1, {}, 0, 0.999999},
      {"beta2", "decay of the second moment", &C::beta2, {}, 0, 0.9999999},
      {"eps", "added to the root of the second moment", &C::eps, {}, 0, 1e3},
      {"weight_decay", "L2 penalty (decoupled in adamw)", &C::weight_decay, {}, 0, 1e3},
      {"schedule", "of the learning rate", &C::schedule, nn::schedule_names()},
      {"lr_decay",
       "factor per step (exponential) or per lr_every steps (step)",
       &C::lr_decay,
       {},
       0,
       1},
      {"lr_lowest", "the schedule stops at this fraction of lr", &C::lr_lowest, {}, 0, 1},
      {"lr_every", "steps between drops of the step schedule", &C::lr_every, {}, 1, 1e15},
      {"warmup", "steps over which the learning rate rises", &C::warmup, {}, 0, 1e15},
      {"clip", "bound of the gradient's norm (0: none)", &C::clip, {}, 0, 1e18},
      {"ema",
       "decay of the averaged weights that are evaluated (0: none)",
       &C::ema,
       {},
       0,
       0.9999999},
      {"patience",
       "end after so many epochs without a better validation result (0: go on)",
       &C::patience,
       {},
       0,
       1e9},
      {"precision", "of matrix products on CUDA (auto: tf32); the CPU's are f32", &C::precision,
       with_auto(precisions().all())},
      {"seed", "of weights, batches, noise and built-in data", &C::seed, {}, 0, 9e15},

      {"data", "data source", &C::data},
      {"train", "training samples to use (-1: all)", &C::train, {}, -1, 1e12},
      {"valid", "validation samples (-1: the source's own number)", &C::valid, {}, -1, 1e12},
      {"test", "test samples (-1: all)", &C::test, {}, -1, 1e12},
      {"valid_data", "file whose rows are the validation part", &C::valid_data},
      {"test_data", "file whose rows are the test part", &C::test_data},
      {"split_by",
       "column whose equal values stay in one part; ordered:COLUMN: the highest are the test",
       &C::split_by},
      {"columns", "columns of a table to take, as a,b,c (empty: all)", &C::columns},
      {"types", "columns that hold whole numbers, as a=integer,b=integer", &C::types},
      {"layout",
       "which axis of image arrays holds the channels: (N,C,H,W) or (N,H,W,C)",
       &C::layout,
       {"auto", "first", "last"}},
      {"save_every", "epochs between checkpoints", &C::save_every, {}, 1, 1e9},
      {"sample_every",
       "epochs between sample pictures (0: only at the end)",
       &C::sample_every,
       {},
       0,
       1e9},
      {"samples", "samples in a picture", &C::samples, {}, 1, 1e6},
      {"temperature", "scale of the latents of samples", &C::temperature, {}, 0, 100},
  });
  return all;
}

namespace {

/// A value as messages show it. Texts may be long, and what is nested very deep.
std::string shown(const nlohmann::json& value) {
  constexpr std::size_t kShown = 40;
  if (value.is_structured()) return value.is_array() ? "an array" : "an object";
  const std::string text =
      value.dump(-1, ' ', /*ensure_ascii=*/true, nlohmann::json::error_handler_t::replace);
  return text.size() <= kShown ? text : text.substr(0, kShown) + "...";
}

/// The same for a text, in single quotes.
std::string quoted(const std::string& text) {
  const std::string json = shown(text);
  const bool whole = json.ends_with('"');
  return "'" + json.substr(1, json.size() - (whole ? 2 : 1)) + "'";
}

const Field& find(const std::string& key, const std::string& where) {
  std::vector<std::string> names;
  for (const Field& field : fields()) {
    if (field.key == key) return field;
    names.push_back(field.key);
  }
  const std::string near = did_you_mean(key, names);
  fail(str(where, "there is no setting ", quoted(key),
           near.empty() ? "; 'flowcli train --help' lists them" : near));
}

bool is_group(const std::string& key) {
  return std::any_of(std::begin(kGroups), std::end(kGroups),
                     [&](const auto& group) { return key == group.first; });
}

/// The same by its nested key.
const Field& find_in(const std::string& group, const std::string& key, const std::string& where) {
  std::vector<std::string> names;
  for (const Field& field : fields()) {
    if (field.group != group) continue;
    if (field.nested_key() == key) return field;
    names.push_back(field.nested_key());
  }
  fail(str(where, "there is no setting ", quoted(key), " in '", group, "'",
           did_you_mean(key, names)));
}

/// All digits that a limit needs: 0.9999999 is not 1.
std::string digits(double value) {
  char text[32];
  const auto [end, error] = std::to_chars(text, text + sizeof text, value);
  return {text, end};
}

void check_number(const Field& field, double value, const std::string& where) {
  NF_CHECK(value >= field.lowest && value <= field.highest, where, field.key, " = ", digits(value),
           " is out of range; it must be ", digits(field.lowest), " to ", digits(field.highest));
}

void assign(Config& config, const Field& field, const nlohmann::json& value,
            const std::string& where) {
  std::visit(
      [&]<class T>(T Config::*member) {
        if constexpr (std::is_same_v<T, bool>) {
          NF_CHECK(value.is_boolean(), where, field.key, " must be true or false, got ",
                   shown(value));
          config.*member = value.get<bool>();
        } else if constexpr (std::is_same_v<T, std::string>) {
          NF_CHECK(value.is_string(), where, field.key, " must be text, got ", shown(value));
          const std::string text = value.get<std::string>();
          bool known = field.choices.empty();
          for (const std::string& choice : field.choices) known = known || choice == text;
          NF_CHECK(known, where, field.key, " = ", quoted(text), " is not one of ",
                   join(field.choices, ", "));
          config.*member = text;
        } else {
          NF_CHECK(value.is_number(), where, field.key, " must be a number, got ", shown(value));
          const double number = value.get<double>();
          check_number(field, number, where);
          NF_CHECK((std::is_same_v<T, double> || number == std::floor(number)), where, field.key,
                   " must be a whole number, got ", shown(value));
          config.*member = static_cast<T>(number);
        }
      },
      field.member);
}

}  // namespace

nlohmann::ordered_json to_json(const Config& config) {
  nlohmann::ordered_json json;
  for (const Field& field : fields()) {
    nlohmann::ordered_json& group = json[field.group];
    std::visit([&](auto member) { group[field.nested_key()] = config.*member; }, field.member);
  }
  return json;
}

Config from_json(const nlohmann::json& json, const Config& base, const std::string& where) {
  NF_CHECK(json.is_object(), where, "a configuration is a JSON object {\"key\": value, ...}");
  Config config = base;
  bool epochs = false, steps = false;
  const auto take = [&](const Field& field, const nlohmann::json& value) {
    assign(config, field, value, where);
    epochs = epochs || field.key == "epochs";
    steps = steps || field.key == "steps";
  };
  for (const auto& [key, value] : json.items()) {
    if (value.is_object() && is_group(key)) {
      for (const auto& [nested, setting] : value.items()) {
        take(find_in(key, nested, where), setting);
      }
    } else {
      take(find(key, where), value);
    }
  }
  if (epochs && !steps) config.steps = 0;
  return config;
}

void set(Config& config, const std::string& assignment, const std::string& where) {
  const std::size_t at = assignment.find('=');
  NF_CHECK(at != std::string::npos && at > 0, where, "takes key=value, got ", quoted(assignment));
  const Field& field = find(assignment.substr(0, at), where);
  const std::string text = assignment.substr(at + 1);
  // Text settings need no quotes on the command line; all others are JSON already.
  nlohmann::json value = text;
  if (!std::holds_alternative<std::string Config::*>(field.member)) {
    value = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (value.is_discarded()) value = text;
  }
  assign(config, field, value, where);
  if (field.key == "epochs") config.steps = 0;
}

std::string value_text(const Config& config, const Field& field) {
  return std::visit(
      [&]<class T>(T Config::*member) {
        if constexpr (std::is_same_v<T, std::string>) {
          return config.*member;
        } else {
          return nlohmann::json(config.*member).dump();  // all digits of a double
        }
      },
      field.member);
}

}  // namespace nf::flows
