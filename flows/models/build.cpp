#include "flows/models/build.h"

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>

#include "data/columns.h"
#include "data/given.h"
#include "data/setting_error.h"
#include "flows/models/kinds.h"
#include "tensor/memory.h"
#include "tensor/text.h"

namespace nf::flows {

namespace {

void check_moves(const TrainingSettings& training, const DataShape& data) {
  const std::int64_t shift = training.shift;
  data::check_setting(!training.flip || data.height > 0, "flip",
                      "[flip] only images are mirrored, and these data are none; leave it out");
  data::check_setting(shift == 0 || data.height > 0, "shift",
                      "[shift] only images are shifted, and these data are none; leave it out");
  data::check_setting(shift == 0 || shift < std::min(data.height, data.width), "shift",
                      "[shift] images of ", data.width, " x ", data.height,
                      " cannot be shifted by ", shift, " pixels; a shift is below both sides");
}

void check_bits(const DataSettings& settings, const DataShape& data) {
  const std::int64_t bits = settings.bits;
  if (settings.binarize != "none") {
    data::check_setting(data.discrete && data.levels == 2, "binarize",
                        "[binarize] makes levels 0 and 1 of pixels, and these data are ",
                        data.discrete ? str(data.levels, " levels") : "real numbers");
    return;
  }
  data::check_setting(bits == 8 || data.discrete, "bits",
                      "[bits] these data are real numbers; bits is for pixels");
  data::check_setting(!data.discrete || data.levels == 1 << bits, "bits", "[bits] pixels of ", bits,
                      " bits have ", 1 << bits, " levels, these data ", data.levels);
}

void check(const Model& model, const Config& resolved, const DataShape& data) {
  data::check_setting(data.given.empty() || model.conditional(), "given", "[given] ", model.name(),
                      " is no conditional model: it would not look at what is given");
  if (!model.of_tables()) {
    data::refuse_categories(resolved.data.types);
    data::check_setting(resolved.data.missing != "model", "missing",
                        "[missing] only tabular models rows with missing cells, ", model.name(),
                        " does not; give drop or refuse");
  }
  check_bits(resolved.data, data);
  check_moves(resolved.training, data);
  model.check(resolved, data);
}

}  // namespace

Config resolved(const Config& config, const DataShape& data) {
  return model_by_name(config.model).resolved(config, data);
}

void check_settings(const Config& config, const DataShape& data) {
  const Model& model = model_by_name(config.model);
  check(model, model.resolved(config, data), data);
}

double parameter_count(const Config& config, const DataShape& data) {
  return model_by_name(config.model).parameters(config, data);
}

std::shared_ptr<Density> make_density(const Config& given, const DataShape& data) {
  const Model& model = model_by_name(given.model);
  const Config config = model.resolved(given, data);
  check(model, config, data);
  const double count = model.parameters(config, data);
  check_memory(count * sizeof(float), str("a model of ", digits(count), " parameters"),
               str("make it smaller: ", model.sizes()));
  std::shared_ptr<Density> density = model.build(config, data);
  density->set_description({{"version", "2"},
                            {"model", config.model},
                            {"settings", model.described(config, data).dump()}});
  return density;
}

std::shared_ptr<FlowDensity> make_flow(const Config& config, const DataShape& data) {
  std::shared_ptr<Density> density = make_density(config, data);
  as_flow(*density, "make_flow");
  return std::static_pointer_cast<FlowDensity>(density);
}

std::vector<std::string> split_names(const std::string& text) {
  std::vector<std::string> names;
  if (text.empty()) return names;
  for (const std::string& name : data::between_commas(text)) {
    names.push_back(data::without_spaces(name).starts_with('"') ? data::unquoted(name) : name);
  }
  return names;
}

data::LoadOptions load_options(const Config& config) {
  data::LoadOptions options{.seed = static_cast<std::uint64_t>(config.training.seed),
                            .train = config.data.train,
                            .valid = config.data.valid,
                            .test = config.data.test,
                            .valid_data = config.data.valid_data,
                            .test_data = config.data.test_data,
                            .split_by = config.data.split_by,
                            .fold = config.data.fold,
                            .given = config.data.given,
                            .layout = config.data.layout,
                            .types = config.data.types,
                            .images = config.data.images,
                            .bits = static_cast<int>(config.data.bits),
                            .binarize = config.data.binarize,
                            .skip_bad = config.data.skip_bad};
  options.columns = split_names(config.data.columns);
  options.drop = split_names(config.data.drop);
  options.label = data::unquoted(config.data.label);
  options.missing_words = split_names(config.data.na);
  options.drop_missing = config.data.missing == "drop";
  options.keep_missing = config.data.missing == "model";
  options.guess_categories = model_by_name(config.model).of_tables();
  return options;
}

// Validation has the bound; weights of another objective have their best elsewhere.
std::string why_last_weights(const Config& config) {
  const auto number = [&](const char* key, const char* otherwise) {
    return std::stod(config.text(key, otherwise));
  };
  if (number("beta", "1") == 1 && number("mmd", "0") == 0) return "";
  return "beta and mmd are not in the bound: the last weights are taken";
}

namespace {

// A warm-up brings the KL term in step by step.
std::int64_t best_from(const Config& config) {
  if (!why_last_weights(config).empty()) return INT64_MAX;
  return std::stoll(config.text("kl_warmup", "0"));
}

}  // namespace

FitOptions fit_options(const Config& config) {
  return {.epochs = config.training.epochs,
          .steps = config.training.steps,
          .batch_size = config.training.batch_size,
          .optimizer = {.rule = nn::update_rule_by_name(config.training.optimizer),
                        .lr = config.training.lr,
                        .beta1 = config.training.beta1,
                        .beta2 = config.training.beta2,
                        .eps = config.training.eps,
                        .weight_decay = config.training.weight_decay},
          .schedule = {.kind = nn::schedule_by_name(config.training.schedule),
                       .warmup = config.training.warmup,
                       .decay = config.training.lr_decay,
                       .every = config.training.lr_every,
                       .lowest = config.training.lr_lowest},
          .clip_norm = config.training.clip,
          .ema_decay = config.training.ema,
          .patience = config.training.patience,
          .best_from = best_from(config),
          .moves = {.flip = config.training.flip, .shift = config.training.shift},
          .seed = static_cast<std::uint64_t>(config.training.seed),
          .shards = std::max<std::int64_t>(config.training.shards, 1),
          .wire = wires().at(config.training.exchange)};
}

}  // namespace nf::flows
