#include "flows/models/config.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "flows/models/kinds.h"
#include "flows/models/model.h"
#include "nn/optim/optim.h"
#include "tensor/error.h"
#include "tensor/text.h"

namespace nf::flows {

namespace {

constexpr const char* kGroups[] = {"model", "training", "data", "output"};

std::vector<std::string> with_auto(std::vector<std::string> names) {
  names.insert(names.begin(), "auto");
  return names;
}

}  // namespace

std::vector<Field> TrainingSettings::fields() {
  return {
      {"epochs", "passes over the training data", &epochs, {}, 1, 1e9},
      {"steps", "stop after this many updates (0: by epochs)", &steps, {}, 0, 1e15},
      {"budget",
       "core-minutes: the first steps are timed, and so many are made as fit (0: no budget)",
       &budget,
       {},
       0,
       1e9},
      {"batch_size", "samples in one update", &batch_size, {}, 1, 1e9},
      {"optimizer", "update rule", &optimizer, nn::update_rule_names()},
      {"lr", "learning rate", &lr, {}, 0, 1e38},
      {"beta1", "decay of the first moment, or momentum", &beta1, {}, 0, 0.999999},
      {"beta2", "decay of the second moment", &beta2, {}, 0, 0.9999999},
      {"eps", "added to the root of the second moment", &eps, {}, 0, 1e3},
      {"weight_decay", "L2 penalty (decoupled in adamw)", &weight_decay, {}, 0, 1e3},
      {"schedule", "of the learning rate", &schedule, nn::schedule_names()},
      {"lr_decay",
       "factor per step (exponential) or per lr_every steps (step)",
       &lr_decay,
       {},
       0,
       1},
      {"lr_lowest", "the schedule stops at this fraction of lr", &lr_lowest, {}, 0, 1},
      {"lr_every", "steps between drops of the step schedule", &lr_every, {}, 1, 1e15},
      {"warmup", "steps over which the learning rate rises", &warmup, {}, 0, 1e15},
      {"clip", "bound of the gradient's norm (0: none)", &clip, {}, 0, 1e18},
      {"ema", "decay of the averaged weights that are evaluated (0: none)", &ema, {}, 0, 0.9999999},
      {"patience",
       "end after so many epochs without a better validation result (0: go on)",
       &patience,
       {},
       0,
       1e9},
      {"flip", "of training images: half of them are mirrored, drawn anew in every epoch", &flip},
      {"shift",
       "of training images: by up to so many pixels, drawn anew in every epoch; the edge is "
       "repeated",
       &shift,
       {},
       0,
       10'000},
      {"shards",
       "parts of a batch for several processes, a power of two; the result depends on it, not on "
       "the processes (0: as many as processes)",
       &shards,
       {},
       0,
       1 << 20},
      {"exchange", "gradients between processes: as they are, or rounded to bf16, half the bytes",
       &exchange, wires().all()},
      {"precision",
       "of matrix products: f32, tf32 (CUDA), bf16 (CUDA, CPUs with AVX512_BF16); auto: f32, on "
       "CUDA tf32",
       &precision, with_auto(precisions().all())},
      {"seed", "of weights, batches, noise and built-in data", &seed, {}, 0, 9e15},
  };
}

std::vector<Field> DataSettings::fields() {
  return {
      {.key = "data", .help = "data source", .value = &source, .nested_key = "source"},
      {"train", "training samples to use (-1: all)", &train, {}, -1, 1e12},
      {"valid", "validation samples (-1: the source's own number)", &valid, {}, -1, 1e12},
      {"test", "test samples (-1: all)", &test, {}, -1, 1e12},
      {"valid_data", "file whose rows are the validation part", &valid_data},
      {"test_data", "file whose rows are the test part", &test_data},
      {"split_by",
       "column whose equal values stay in one part; ordered:COLUMN: the highest are the test",
       &split_by},
      {"fold",
       "2/5: the test part is the second of five equal parts of all rows, of a file without parts "
       "of its own",
       &fold},
      {.key = "columns",
       .help = "columns of a table to take, as a,b,c (empty: all)",
       .value = &columns,
       .nested_key = "wanted_columns"},
      {"drop", "columns of a table to leave out, as a,b", &drop},
      {"label", "column of a table, numbers or text, whose values are labels of the rows", &label},
      {"given", "model p(x | given): label, or columns as a,b (column:label is one of that name)",
       &given},
      {"types",
       "of columns: real, integer, bounded:LO:HI, category (in tabular, else --given must name "
       "it), as a=integer,b=bounded:0:1 (empty: guessed)",
       &types},
      {"na", "cells of a table that say that a number is missing, beside NA, null, ?, ..., as a,b",
       &na},
      {"missing",
       "rows of a table that lack a number are an error, or left out and counted; model: what is "
       "there is modelled (tabular)",
       &missing,
       {"refuse", "drop", "model"}},
      {"layout",
       "which axis of image arrays holds the channels: (N,C,H,W) or (N,H,W,C)",
       &layout,
       {"auto", "first", "last"}},
      {"images",
       "what is done to pictures in files, as a,b: crop:N or crop:WxH, random:N, square, resize:N, "
       "short:N, gray, colour, patches:N, celeba, lsun",
       &images},
      {"bits",
       "of pixels: levels are floor(x / 2^(8 - bits)), and bits/dim are of these; 8: as they are",
       &bits,
       {},
       1,
       8},
      {"binarize",
       "pixels become bits, 1 with probability pixel / 255: static: drawn once, always the same; "
       "dynamic: those of training anew in every epoch",
       &binarize,
       {"none", "static", "dynamic"}},
      {"skip_bad", "leave out pictures that cannot be read, and count them", &skip_bad},
      {"pack", "keep pictures of a folder as one file in the run, for its later commands", &pack},
  };
}

std::vector<Field> OutputSettings::fields() {
  return {
      {"save_every", "epochs between checkpoints", &save_every, {}, 1, 1e9},
      {"save_minutes",
       "minutes between checkpoints within an epoch (0: none there)",
       &save_minutes,
       {},
       0,
       1e6},
      {"sample_every",
       "epochs between sample pictures (0: only at the end)",
       &sample_every,
       {},
       0,
       1e9},
      {"samples", "samples in a picture", &samples, {}, 1, 1e6},
      {"temperature", "scale of the latents of samples", &temperature, {}, 0, 100},
      {"from", "run whose weights training begins with (empty: initial ones)", &from},
  };
}

Config::Config(std::string name, std::unique_ptr<Settings> settings)
    : model(std::move(name)), settings_(std::move(settings)) {}

Config::Config(const Config& other)
    : model(other.model),
      training(other.training),
      data(other.data),
      output(other.output),
      settings_(other.settings_->clone()) {}

Config& Config::operator=(Config other) {
  model = std::move(other.model);
  training = std::move(other.training);
  data = std::move(other.data);
  output = std::move(other.output);
  settings_ = std::move(other.settings_);
  return *this;
}

Config::~Config() = default;

std::vector<Field> Config::fields() {
  std::vector<Field> all;
  const auto add = [&](const char* group, std::vector<Field> fields) {
    for (Field& field : fields) {
      field.group = group;
      all.push_back(std::move(field));
    }
  };
  add("model", settings_->fields());
  add("training", training.fields());
  add("data", data.fields());
  add("output", output.fields());
  return all;
}

namespace {

Field find(const std::vector<Field>& fields, const std::string& key, const std::string& where,
           const std::string& model) {
  std::vector<std::string> names;
  for (const Field& field : fields) {
    if (field.key == key) return field;
    names.push_back(field.key);
  }
  const auto as_it_is = [](const std::string& name) { return name; };
  if (const std::string whose = of_other_models(key, model, as_it_is); !whose.empty()) {
    fail(where + whose);
  }
  const std::string near = did_you_mean(key, names);
  fail(str(where, "there is no setting ", quoted(key),
           near.empty() ? "; 'flowcli train " + model + " --help' lists them" : near));
}

/// The same by its name in a group.
Field find_in(const std::vector<Field>& fields, const std::string& group, const std::string& key,
              const std::string& where) {
  std::vector<std::string> names;
  for (const Field& field : fields) {
    if (field.group != group) continue;
    if (field.name_in_group() == key) return field;
    names.push_back(field.name_in_group());
  }
  fail(str(where, "there is no setting ", quoted(key), " in '", group, "'",
           did_you_mean(key, names)));
}

bool is_group(const std::string& key) {
  return std::find(std::begin(kGroups), std::end(kGroups), key) != std::end(kGroups);
}

}  // namespace

std::string Config::text(const std::string& key, const std::string& otherwise) const {
  for (const Field& field : fields()) {
    if (field.key == key) return field.text();
  }
  return otherwise;
}

Field Config::field(const std::string& key, const std::string& where) {
  return find(fields(), key, where, model);
}

nlohmann::ordered_json to_json(const Config& config) {
  nlohmann::ordered_json json;
  json["model"]["name"] = config.model;
  for (const Field& field : config.fields()) {
    nlohmann::ordered_json& group = json[field.group];
    std::visit([&](const auto* member) { group[field.name_in_group()] = *member; }, field.value);
  }
  return json;
}

Config from_json(const nlohmann::json& json, const Config& base, const std::string& where) {
  NF_CHECK(json.is_object(), where, "a configuration is a JSON object {\"key\": value, ...}");
  Config config = base;
  const std::vector<Field> fields = config.fields();
  bool epochs = false, steps = false;
  const auto check_model = [&](const nlohmann::json& value) {
    NF_CHECK(value.is_string(), where, "model must be text");
    const std::string name = value.get<std::string>();
    NF_CHECK(name == base.model, where, "the model is ", quoted(name), ", not ", base.model);
  };
  const auto take = [&](const Field& field, const nlohmann::json& value) {
    assign(field, value, where);
    epochs = epochs || field.key == "epochs";
    steps = steps || field.key == "steps";
  };
  for (const auto& [key, value] : json.items()) {
    if (key == "model" && !value.is_object()) {
      check_model(value);
    } else if (value.is_object() && is_group(key)) {
      for (const auto& [nested, setting] : value.items()) {
        if (key == "model" && nested == "name") {
          check_model(setting);
        } else {
          take(find_in(fields, key, nested, where), setting);
        }
      }
    } else {
      take(find(fields, key, where, base.model), value);
    }
  }
  if (epochs && !steps) config.training.steps = 0;
  return config;
}

void set(Config& config, const std::string& assignment, const std::string& where) {
  const std::size_t at = assignment.find('=');
  NF_CHECK(at != std::string::npos && at > 0, where, "takes key=value, got ", quoted(assignment));
  const std::string key = assignment.substr(0, at);
  assign_text(config.field(key, where), assignment.substr(at + 1), where);
  if (key == "epochs") config.training.steps = 0;
}

}  // namespace nf::flows
