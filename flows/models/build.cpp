#include "flows/models/build.h"

#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

#include "data/columns.h"
#include "data/setting_error.h"
#include "flows/compose.h"
#include "flows/layers/coupling.h"
#include "flows/layers/dequantize.h"
#include "flows/layers/level_cdf.h"
#include "flows/layers/logit.h"
#include "flows/layers/permute.h"
#include "flows/layers/scaling.h"
#include "flows/layers/standardize.h"
#include "flows/layers/whitening.h"
#include "flows/maps/map.h"
#include "flows/models/kinds.h"
#include "nn/nets/mlp.h"
#include "tensor/memory.h"
#include "tensor/text.h"

namespace nf::flows {

namespace {

// Random streams of one seed: what is drawn for one purpose does not move the others.
enum Stream : std::uint64_t { kWeights = 1, kNoise = 2 };

nn::Init init_of(const Config& config, double scale) {
  const nn::Init::Kind kind = init_kinds().at(config.init);
  if (scale == 0) return {nn::Init::Kind::Zeros, 0};
  return {kind, scale};
}

// What does not apply is an error, never ignored.
void check_preprocessing(const std::string& kind, const DataShape& data) {
  const bool of_levels = kind == "unit" || kind == "symmetric" || kind == "cdf";
  data::check_setting(!data.discrete || of_levels || kind == "logit", "preprocess",
                      "[preprocess] pixels need preprocess = unit, symmetric, logit or cdf, not ",
                      kind);
  data::check_setting(
      data.discrete || !of_levels, "preprocess", "[preprocess] preprocess = ", kind,
      " is for pixels; these data are real numbers: standard, logit (of numbers in [0,1]) or "
      "none");
}

// Pixels to the space in which the couplings work, and how their density is told.
Convention add_pixels(const std::string& kind, const Config& config, std::int64_t dims,
                      Compose& flow, const SharedGenerator& noise) {
  const bool symmetric = kind == "symmetric";
  flow.add("dequantize", std::make_shared<Dequantize>(noise));
  if (kind == "cdf") {
    flow.add("cdf", std::make_shared<LevelCdf>(dims));
  } else if (symmetric) {
    flow.add("scale", std::make_shared<Scale>(1.0 / 128, -1));
  } else {
    flow.add("scale", std::make_shared<Scale>(1.0 / 256));
  }
  if (kind == "logit" || kind == "cdf") flow.add("logit", std::make_shared<Logit>(config.alpha));
  return {
      static_cast<double>(dims) * std::log(symmetric ? 128.0 : 256.0),
      str("nats of x in ", symmetric ? "[-1,1]^" : "[0,1]^", dims,
          ", uniform dequantisation; bits/dim = ", symmetric ? 7 : 8, " - nats/(", dims, " ln 2)")};
}

// The same for real numbers.
Convention add_reals(const std::string& kind, const Config& config, const DataShape& data,
                     Compose& flow, const SharedGenerator& noise) {
  const std::vector<std::int32_t> integers =
      data::integer_columns(config.types, data.columns, data.dims);
  if (!integers.empty()) {
    flow.add("dequantize", std::make_shared<DequantizeColumns>(noise, data.dims, integers));
  }
  if (kind == "standard") {
    flow.add("standardize",
             std::make_shared<Standardize>(data.dims, data.columns, /*wide=*/true, data.spread));
  }
  if (kind == "logit") flow.add("logit", std::make_shared<Logit>(config.alpha));
  const std::string noisy = integers.empty() ? ""
                                             : str(", uniform dequantisation of ", integers.size(),
                                                   integers.size() == 1 ? " column" : " columns");
  return {0, str("nats of x in R^", data.dims, " as given", noisy, "; bits/dim = -nats/(",
                 data.dims, " ln 2)")};
}

void add_whitening(const Config& config, std::int64_t dims, Compose& flow) {
  switch (whitenings().at(config.whitening)) {
    case Whitening::None:
      return;
    case Whitening::Zca:
      return flow.add("whitening", std::make_shared<ZcaWhitening>(dims));
    case Whitening::Triangular:
      return flow.add("whitening", std::make_shared<TriangularWhitening>(dims));
  }
}

Partition partition_of(const Config& config, std::int64_t dims, bool swap) {
  return splittings().at(config.partition) == Splitting::Halves ? Partition::halves(dims, swap)
                                                                : Partition::odd_even(dims, swap);
}

// Hidden layers of each coupling's network.
std::vector<int> depths_of(const Config& config) {
  const auto couplings = static_cast<std::size_t>(config.couplings);
  if (config.depths.empty())
    return std::vector<int>(couplings, static_cast<int>(config.hidden_layers));
  std::vector<int> depths;
  std::istringstream parts(config.depths);
  for (std::string part; std::getline(parts, part, ',');) {
    int depth = -1;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), depth);
    const bool right =
        error == std::errc() && end == part.data() + part.size() && depth >= 0 && depth <= 100;
    data::check_setting(right, "depths", "[config] depths = '", printable(config.depths), "': '",
                        printable(part), "' is no number from 0 to 100; write them as 3,3,1,1");
    depths.push_back(depth);
  }
  data::check_setting(depths.size() == couplings, "depths", "[config] depths = '",
                      printable(config.depths), "' has ", depths.size(), " numbers for ", couplings,
                      " couplings");
  return depths;
}

// For who has a file of weights and not this program.
std::map<std::string, std::string> description_of(const Config& config, const DataShape& data) {
  const nlohmann::ordered_json settings = {{"dims", data.dims},
                                           {"levels", data.discrete ? data::kLevels : 0},
                                           {"preprocess", config.preprocess},
                                           {"alpha", config.alpha},
                                           {"whitening", config.whitening},
                                           {"whitening_last", config.whitening_last},
                                           {"couplings", config.couplings},
                                           {"coupling", config.coupling},
                                           {"partition", config.partition},
                                           {"mixing", config.mixing},
                                           {"depths", depths_of(config)},
                                           {"activation", config.activation},
                                           {"scale_limit", config.scale_limit},
                                           {"scaling", config.scaling},
                                           {"prior", config.prior}};
  return {{"version", "2"}, {"model", config.model}, {"settings", settings.dump()}};
}

}  // namespace

double parameter_count(const Config& config, const DataShape& data) {
  const auto dims = static_cast<double>(data.dims);
  const auto width = static_cast<double>(config.hidden_units);
  const auto map = map_by_name(config.coupling, config.scale_limit);
  double count = config.scaling ? dims : 0;
  if (whitenings().at(config.whitening) != Whitening::None) count += dims * dims;
  if (mixings().at(config.mixing) == Mixing::Linear) {
    count += static_cast<double>(config.couplings - 1) * dims * dims;
  }
  const std::vector<int> depths = depths_of(config);
  for (std::size_t i = 0; i < depths.size(); ++i) {
    const Partition partition = partition_of(config, data.dims, /*swap=*/i % 2 == 1);
    const auto in = static_cast<double>(partition.passive());
    const auto out = static_cast<double>(partition.active() * map->parameters_per_dim());
    const double hidden = depths[i];
    count += hidden == 0
                 ? (in + 1) * out
                 : (in + 1) * width + (hidden - 1) * (width + 1) * width + (width + 1) * out;
  }
  return count;
}

Config resolved(const Config& config, const DataShape& data) {
  Config full = config;
  std::string& kind = full.preprocess;
  if (kind == "auto") kind = data.discrete ? "unit" : data.unit_scale ? "none" : "standard";
  return full;
}

void check_settings(const Config& given, const DataShape& data) {
  const std::string kind = resolved(given, data).preprocess;
  check_preprocessing(kind, data);
  data::check_setting(given.types.empty() || !data.discrete, "types",
                      "[types] pixels are whole numbers already; types is for tables");
  data::check_setting(given.types.empty() || kind == "standard", "types",
                      "[types] whole numbers need preprocess = standard, not ", kind);
  depths_of(given);
}

std::shared_ptr<Density> make_density(const Config& given, const DataShape& data) {
  const Config config = resolved(given, data);
  const double count = parameter_count(config, data);
  check_memory(count * sizeof(float), str("a model of ", count, " parameters"),
               "make it smaller: hidden_units, hidden_layers, couplings");
  preprocessings().at(config.preprocess);  // throws for what is no name
  const auto seed = static_cast<std::uint64_t>(config.seed);
  Generator weights(seed, kWeights);
  const auto noise = std::make_shared<Generator>(seed, kNoise);
  auto flow = std::make_shared<Compose>();
  const std::string& kind = config.preprocess;
  check_settings(config, data);
  const Convention convention = data.discrete ? add_pixels(kind, config, data.dims, *flow, noise)
                                              : add_reals(kind, config, data, *flow, noise);
  if (!config.whitening_last) add_whitening(config, data.dims, *flow);
  const auto map = map_by_name(config.coupling, config.scale_limit);
  const std::vector<int> depths = depths_of(config);
  const bool mixes = mixings().at(config.mixing) == Mixing::Linear;
  for (std::int64_t i = 0; i < config.couplings; ++i) {
    if (mixes && i > 0) {
      flow->add(str("mixings.", i), std::make_shared<InvertibleLinear>(data.dims, weights));
    }
    const Partition partition = partition_of(config, data.dims, /*swap=*/i % 2 == 1);
    const auto net = nn::mlp({.in = partition.passive(),
                              .out = partition.active() * map->parameters_per_dim(),
                              .hidden_units = config.hidden_units,
                              .hidden_layers = depths[static_cast<std::size_t>(i)],
                              .activation = nn::activation_by_name(config.activation),
                              .init = init_of(config, config.init_scale),
                              .last_init = init_of(config, config.last_init_scale)},
                             weights);
    flow->add(str("couplings.", i), std::make_shared<Coupling>(partition, map, net));
  }
  if (config.whitening_last) add_whitening(config, data.dims, *flow);
  if (config.scaling) {
    flow->add("scaling", std::make_shared<Scaling>(data.dims, config.scale_rate, config.data_init));
  }
  auto density =
      std::make_shared<Density>(flow, base_by_name(config.prior), data.dims, noise, convention);
  density->set_description(description_of(config, data));
  return density;
}

std::vector<std::string> split_names(const std::string& text) {
  std::vector<std::string> names;
  std::istringstream parts(text);
  for (std::string name; std::getline(parts, name, ',');) names.push_back(name);
  return names;
}

data::LoadOptions load_options(const Config& config) {
  data::LoadOptions options{.seed = static_cast<std::uint64_t>(config.seed),
                            .train = config.train,
                            .valid = config.valid,
                            .test = config.test,
                            .valid_data = config.valid_data,
                            .test_data = config.test_data,
                            .split_by = config.split_by,
                            .layout = config.layout,
                            .types = config.types};
  options.columns = split_names(config.columns);
  return options;
}

FitOptions fit_options(const Config& config) {
  return {.epochs = config.epochs,
          .steps = config.steps,
          .batch_size = config.batch_size,
          .optimizer = {.rule = nn::update_rule_by_name(config.optimizer),
                        .lr = config.lr,
                        .beta1 = config.beta1,
                        .beta2 = config.beta2,
                        .eps = config.eps,
                        .weight_decay = config.weight_decay},
          .schedule = {.kind = nn::schedule_by_name(config.schedule),
                       .warmup = config.warmup,
                       .decay = config.lr_decay,
                       .every = config.lr_every,
                       .lowest = config.lr_lowest},
          .clip_norm = config.clip,
          .ema_decay = config.ema,
          .patience = config.patience,
          .seed = static_cast<std::uint64_t>(config.seed)};
}

}  // namespace nf::flows
