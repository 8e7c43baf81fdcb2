#include "flows/models/autoregressive_flow.h"

#include <nlohmann/json.hpp>

#include "data/setting_error.h"
#include "flows/flow_density.h"
#include "flows/layers/autoregressive.h"
#include "flows/layers/batch_norm.h"
#include "flows/layers/coupling.h"
#include "flows/layers/scaling.h"
#include "flows/maps/affine.h"
#include "flows/maps/mixture.h"
#include "flows/maps/spline.h"
#include "flows/models/bernoulli_made.h"
#include "flows/models/idle.h"
#include "flows/models/multi_scale.h"
#include "flows/models/table_training.h"

namespace nf::flows {

namespace {

enum class LayerKind { Autoregressive, Coupling };
enum class RowMap { Additive, Gaussian, Mixture, Spline, Bernoulli };
enum class RowNet { Plain, Residual };
enum class RowNorm { None, Batch, Act };

const Names<LayerKind>& layer_kinds() {
  static const Names<LayerKind> names(
      "kind", {{"autoregressive", LayerKind::Autoregressive}, {"coupling", LayerKind::Coupling}});
  return names;
}

const Names<RowMap>& row_maps() {
  static const Names<RowMap> names("map", {{"additive", RowMap::Additive},
                                           {"gaussian", RowMap::Gaussian},
                                           {"mixture", RowMap::Mixture},
                                           {"spline", RowMap::Spline},
                                           {"bernoulli", RowMap::Bernoulli}});
  return names;
}

const Names<RowNet>& row_nets() {
  static const Names<RowNet> names("net",
                                   {{"plain", RowNet::Plain}, {"residual", RowNet::Residual}});
  return names;
}

const Names<RowNorm>& row_norms() {
  static const Names<RowNorm> names(
      "norm", {{"none", RowNorm::None}, {"batch", RowNorm::Batch}, {"act", RowNorm::Act}});
  return names;
}

std::shared_ptr<ElementwiseMap> map_of(const AutoregressiveFlowSettings& c) {
  const int parts = static_cast<int>(c.components);
  switch (row_maps().at(c.map)) {
    case RowMap::Additive:
      return additive_map();
    case RowMap::Gaussian:
      return gaussian_map(c.scale_limit);
    case RowMap::Mixture:
      return mixture_map(parts, c.scale_limit);
    case RowMap::Spline:
      return spline_map(parts, c.bound);
    case RowMap::Bernoulli:
      break;
  }
  fail("[map] bernoulli is a distribution of bits, no map of numbers");
}

bool of_bits(const AutoregressiveFlowSettings& c) {
  return row_maps().at(c.map) == RowMap::Bernoulli;
}

// Maps begin as the identity, or nearly so: apart() lets the components of a mixture differ.
constexpr nn::Init kLastInit = {nn::Init::Kind::Zeros, 0};

nn::MadeOptions made_of(const AutoregressiveFlowSettings& c, const DataShape& data,
                        int outputs_per_dim) {
  return {.dims = data.dims,
          .context = context_dims(c, data),
          .outputs_per_dim = outputs_per_dim,
          .hidden_units = c.hidden_units,
          .hidden_layers = static_cast<int>(c.hidden_layers),
          .residual = row_nets().at(c.net) == RowNet::Residual,
          .activation = nn::activation_by_name(c.activation),
          .last_init = kLastInit};
}

Partition partition_of(const DataShape& data, std::int64_t layer) {
  return Partition::halves(data.dims, /*swap=*/layer % 2 == 1);
}

std::shared_ptr<Transform> layer_of(const AutoregressiveFlowSettings& c, const DataShape& data,
                                    std::int64_t i, Generator& weights) {
  const auto map = map_of(c);
  const int per_dim = map->parameters_per_dim();
  if (layer_kinds().at(c.kind) == LayerKind::Autoregressive) {
    const auto net = std::make_shared<nn::Made>(made_of(c, data, per_dim), weights);
    return std::make_shared<Autoregressive>(map, net);
  }
  const Partition partition = partition_of(data, i);
  const nn::MlpOptions options = {.in = partition.passive() + context_dims(c, data),
                                  .out = partition.active() * per_dim,
                                  .hidden_units = c.hidden_units,
                                  .hidden_layers = static_cast<int>(c.hidden_layers),
                                  .activation = nn::activation_by_name(c.activation),
                                  .last_init = kLastInit};
  std::shared_ptr<nn::Layer> net;
  if (row_nets().at(c.net) == RowNet::Residual) {
    net = nn::residual_mlp(options, weights);
  } else {
    net = nn::mlp(options, weights);
  }
  return std::make_shared<Coupling>(partition, map, net);
}

void add_norm(const AutoregressiveFlowSettings& c, std::int64_t dims, const std::string& name,
              Compose& flow) {
  switch (row_norms().at(c.norm)) {
    case RowNorm::None:
      return;
    case RowNorm::Batch:
      return flow.add(name, std::make_shared<BatchNorm>(Partition::all(dims)));
    case RowNorm::Act:
      return flow.add(name, std::make_shared<ActNorm>(dims));
  }
}

}  // namespace

std::vector<Field> AutoregressiveFlowSettings::fields() {
  std::vector<Field> all = {
      {"layers", "number of autoregressive layers or couplings", &layers, {}, 1, 1000},
      {"kind",
       "autoregressive: each dimension given those before it, slow to sample; coupling: one half "
       "given the other",
       &kind, layer_kinds().all()},
      {"map",
       "what a layer does with each number; bernoulli: of bits, levels 0 and 1, the exact "
       "probability, in one layer",
       &map, row_maps().all()},
      {"components", "logistics of a mixture, bins of a spline", &components, {}, 1, 256},
      {"bound", "a spline is the identity beyond", &bound, {}, 1e-3, 1e6},
      {"net", "hidden layers in a row, or residual blocks of two", &net, row_nets().all()},
      {"hidden_units", "width of the networks", &hidden_units, {}, 1, 1e6},
      {"hidden_layers", "hidden layers, or residual blocks", &hidden_layers, {}, 0, 100},
      {"activation", "of the networks", &activation, nn::activation_names()},
      {"scale_limit", "bound of the log scales of affine maps", &scale_limit, {}, 1e-3, 50},
      {"mixing", "what mixes the dimensions between layers", &mixing, channel_mixings().all()},
      {"norm", "behind each layer: batch norm, ActNorm or nothing", &norm, row_norms().all()},
      {"prior", "base distribution", &prior, base_names()},
  };
  for (const std::vector<Field>& shared : {Preprocessing::fields(), Conditioning::fields()}) {
    all.insert(all.end(), shared.begin(), shared.end());
  }
  return all;
}

Config autoregressive_preset(const std::string& name, const DataShape& data) {
  Config config(name, std::make_unique<AutoregressiveFlowSettings>());
  if (data.channels == 3) autoregressive_flow(config).alpha = 0.05;
  TrainingSettings& training = config.training;
  training.batch_size = 100;
  training.beta2 = 0.999;
  training.eps = 1e-8;
  training.schedule = "cosine";
  training.clip = 5;
  if (data.discrete) return config;
  config.data.source = "moons";
  config.output.sample_every = 0;
  config.output.samples = 20000;
  training.batch_size = 300;
  training.steps = 7000;
  training.warmup = 200;
  if (data.rows > 0 && !data.unit_scale) adapt_to_rows(training, data.rows);
  return config;
}

// Pixels through a logit, as the papers have them.
Config AutoregressiveFlow::resolved(const Config& config, const DataShape& data) const {
  Config full = config;
  std::string& kind = autoregressive_flow(full).preprocess;
  kind = kind == "auto" && data.discrete ? "logit" : resolved_preprocess(kind, data);
  return full;
}

void AutoregressiveFlow::check(const Config& config, const DataShape& data) const {
  const AutoregressiveFlowSettings& c = autoregressive_flow(config);
  check_preprocessing(c, config.data, data);
  if (of_bits(c)) {
    data::check_setting(data.discrete && data.levels == 2, "map",
                        "[map] bernoulli is for bits; --binarize or --bits 1 makes them of pixels");
    data::check_setting(c.layers == 1 && layer_kinds().at(c.kind) == LayerKind::Autoregressive,
                        "map", "[map] bernoulli is for one autoregressive layer: model made");
  }
  data::check_setting(row_maps().at(c.map) != RowMap::Spline || c.components >= 2, "components",
                      "[components] a spline needs 2 bins or more, got ", c.components);
  data::check_setting(layer_kinds().at(c.kind) != LayerKind::Coupling || data.dims > 1, "kind",
                      "[kind] a coupling needs two dimensions, and the data have one; kind = "
                      "autoregressive takes it");
}

std::string AutoregressiveFlow::why_idle(const Config& full, const DataShape& data,
                                         const std::string& key) const {
  const AutoregressiveFlowSettings& c = autoregressive_flow(full);
  const std::string why = flows::why_idle(static_cast<const Conditioning&>(c), data, key);
  if (!why.empty()) return why;
  if (of_bits(c)) {
    const std::vector<std::string> none = {"components", "bound", "scale_limit",
                                           "mixing",     "norm",  "prior",
                                           "preprocess", "alpha", "conditional_prior"};
    const std::string idle = first_idle({{none, true, "map = bernoulli has none"}}, key);
    if (!idle.empty()) return idle;
  }
  const bool prior_scales = !data.given.empty() && c.conditional_prior;
  return first_idle(
      {
          {{"components"},
           c.map == "additive" || c.map == "gaussian",
           str("map = ", c.map, " has none")},
          {{"bound"}, c.map != "spline", str("map is ", c.map, ", not spline")},
          {{"scale_limit"},
           (c.map == "additive" || c.map == "spline") && !prior_scales,
           str("map = ", c.map, " has no scales")},
          {{"mixing"}, c.layers == 1 || data.dims == 1, "there is nothing to mix"},
          {{"activation", "hidden_units"},
           c.net == "plain" && c.hidden_layers == 0,
           "there are no hidden layers"},
          {{"alpha"}, !has_logit(c, data), str("preprocess = ", c.preprocess, " has no logit")},
      },
      key);
}

double AutoregressiveFlow::parameters(const Config& full, const DataShape& data) const {
  const AutoregressiveFlowSettings& c = autoregressive_flow(full);
  const auto dims = static_cast<double>(data.dims), layers = static_cast<double>(c.layers);
  if (of_bits(c))
    return embedding_parameters(c, data) + nn::Made::parameters_of(made_of(c, data, 1));
  const int per_dim = map_of(c)->parameters_per_dim();
  double count = conditioning_parameters(c, data);
  if (row_norms().at(c.norm) == RowNorm::Act) count += layers * 2 * dims;
  if (data.dims > 1) {
    count += (layers - 1) * mixing_parameters(channel_mixings().at(c.mixing), dims);
  }
  nn::MadeOptions net = made_of(c, data, per_dim);
  if (layer_kinds().at(c.kind) == LayerKind::Coupling) {  // as many numbers in and out
    net.dims = (data.dims + 1) / 2;
  }
  return count + layers * nn::Made::parameters_of(net);
}

std::shared_ptr<Density> AutoregressiveFlow::build(const Config& full,
                                                   const DataShape& data) const {
  const AutoregressiveFlowSettings& c = autoregressive_flow(full);
  const auto seed = static_cast<std::uint64_t>(full.training.seed);
  Generator weights(seed, Stream::kWeights);
  const Generator noise(seed, Stream::kNoise);
  auto flow = std::make_shared<Compose>();
  const std::shared_ptr<Condition> condition = make_condition(c, data, weights);
  if (of_bits(c)) {
    return std::make_shared<BernoulliMade>(std::make_shared<nn::Made>(made_of(c, data, 1), weights),
                                           condition);
  }
  const Convention convention = add_preprocessing(c, full.data, data, *flow, noise);
  for (std::int64_t i = 0; i < c.layers; ++i) {
    if (i > 0 && data.dims > 1) {
      flow->add(str("mixings.", i), mixing_of(channel_mixings().at(c.mixing), data.dims, weights));
    }
    flow->add(str("layers.", i), layer_of(c, data, i, weights));
    add_norm(c, data.dims, str("norms.", i), *flow);
  }
  add_conditional_prior(c, data, c.scale_limit, weights, *flow);
  return std::make_shared<FlowDensity>(flow, base_by_name(c.prior), data.dims, convention,
                                       condition);
}

nlohmann::ordered_json AutoregressiveFlow::described(const Config& full,
                                                     const DataShape& data) const {
  const AutoregressiveFlowSettings& c = autoregressive_flow(full);
  nlohmann::ordered_json json = {{"dims", data.dims},
                                 {"levels", data.discrete ? data.levels : 0},
                                 {"map", c.map},
                                 {"layers", c.layers},
                                 {"kind", c.kind},
                                 {"net", c.net},
                                 {"hidden_units", c.hidden_units},
                                 {"hidden_layers", c.hidden_layers},
                                 {"activation", c.activation}};
  if (!of_bits(c)) {
    json.update({{"preprocess", c.preprocess},
                 {"alpha", c.alpha},
                 {"components", c.components},
                 {"bound", c.bound},
                 {"scale_limit", c.scale_limit},
                 {"mixing", c.mixing},
                 {"norm", c.norm},
                 {"prior", c.prior}});
  }
  describe_given(c, data, json);
  return json;
}

}  // namespace nf::flows
