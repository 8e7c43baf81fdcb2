#include "flows/models/coupling_flow.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <sstream>

#include "data/dataset.h"
#include "data/setting_error.h"
#include "flows/flow_density.h"
#include "flows/layers/coupling.h"
#include "flows/layers/elementwise.h"
#include "flows/layers/permute.h"
#include "flows/layers/scaling.h"
#include "flows/layers/whitening.h"
#include "flows/models/idle.h"
#include "flows/models/kinds.h"
#include "nn/nets/mlp.h"
#include "tensor/text.h"

namespace nf::flows {

std::vector<Field> CouplingFlowSettings::fields() {
  std::vector<Field> all = {
      {"recipe", "whose settings the preset has: the paper's, or those of its authors' code",
       &recipe, recipe_names().all()},
      {"couplings", "number of coupling layers", &couplings, {}, 1, 1000},
      {"coupling", "what a coupling does", &coupling, map_names()},
      {"partition", "how a coupling splits the dimensions", &partition, splittings().all()},
      {"mixing", "between couplings: linear is a learned invertible matrix", &mixing,
       mixings().all()},
      {"whitening", "zca: fitted, not learned; triangular: begins fitted, learned", &whitening,
       whitenings().all()},
      {"whitening_last", "whitening follows the couplings instead of preceding them",
       &whitening_last},
      {"hidden_units", "width of the conditioners", &hidden_units, {}, 1, 1e6},
      {"hidden_layers", "hidden layers of the conditioners", &hidden_layers, {}, 0, 100},
      {"depths", "the same for each coupling, as 3,3,1,1 (empty: hidden_layers)", &depths},
      {"activation", "of the conditioners", &activation, nn::activation_names()},
      {"init", "how weights are drawn", &init, init_kinds().all()},
      {"init_scale", "scale of that draw", &init_scale, {}, 0, 1e3},
      {"last_init_scale",
       "the same for a conditioner's last layer (0: starts as the identity)",
       &last_init_scale,
       {},
       0,
       1e3},
      {"scale_limit", "bound of the log scales of affine couplings", &scale_limit, {}, 1e-3, 50},
      {"scaling", "end with a learned scale per dimension", &scaling},
      {"data_init", "set that scale from the first samples", &data_init},
      {"scale_rate",
       "how many times faster than other parameters that scale learns",
       &scale_rate,
       {},
       1e-3,
       1e3},
      {"prior", "base distribution", &prior, base_names()},
  };
  for (const std::vector<Field>& shared : {Preprocessing::fields(), Conditioning::fields()}) {
    all.insert(all.end(), shared.begin(), shared.end());
  }
  return all;
}

namespace {

nn::Init init_of(const CouplingFlowSettings& config, double scale) {
  const nn::Init::Kind kind = init_kinds().at(config.init);
  if (scale == 0) return {nn::Init::Kind::Zeros, 0};
  return {kind, scale};
}

void add_whitening(const CouplingFlowSettings& config, std::int64_t dims, Compose& flow) {
  switch (whitenings().at(config.whitening)) {
    case Whitening::None:
      return;
    case Whitening::Zca:
      return flow.add("whitening", std::make_shared<ZcaWhitening>(dims));
    case Whitening::Triangular:
      return flow.add("whitening", std::make_shared<TriangularWhitening>(dims));
  }
}

Partition partition_of(const CouplingFlowSettings& config, std::int64_t dims, bool swap) {
  return splittings().at(config.partition) == Splitting::Halves ? Partition::halves(dims, swap)
                                                                : Partition::odd_even(dims, swap);
}

Partition coupling_partition(const CouplingFlowSettings& config, const DataShape& data,
                             std::size_t i) {
  return partition_of(config, data.dims, /*swap=*/i % 2 == 1);
}

// A single dimension has nothing to split: given something, one map of it follows from that alone.
std::size_t count_couplings(const CouplingFlowSettings& config, const DataShape& data) {
  return data.dims == 1 && !data.given.empty() ? 1 : static_cast<std::size_t>(config.couplings);
}

// What the network of coupling i takes, and how many dimensions it changes.
struct NetSizes {
  std::int64_t in, active;
};
NetSizes net_sizes(const CouplingFlowSettings& config, const DataShape& data, std::size_t i) {
  const std::int64_t context = context_dims(config, data);
  if (data.dims == 1 && context > 0) return {context, 1};
  const Partition partition = coupling_partition(config, data, i);
  return {partition.passive() + context, partition.active()};
}

// Hidden layers of each coupling's network.
std::vector<int> depths_of(const CouplingFlowSettings& config) {
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

// The order in which NICE takes colour images: one channel after the other. Rows have channels
// last. Empty for all else.
std::vector<std::int32_t> by_channel(const DataShape& data) {
  std::vector<std::int32_t> order;
  if (data.channels < 2) return order;
  for (std::int64_t c = 0; c < data.channels; ++c) {
    for (std::int64_t p = 0; p < data.height * data.width; ++p) {
      order.push_back(static_cast<std::int32_t>(p * data.channels + c));
    }
  }
  return order;
}

// Latents have the order of the data again.
std::vector<std::int32_t> inverse_of(const std::vector<std::int32_t>& order) {
  std::vector<std::int32_t> back(order.size());
  for (std::size_t i = 0; i < order.size(); ++i) back[order[i]] = static_cast<std::int32_t>(i);
  return back;
}

}  // namespace

Config CouplingFlow::resolved(const Config& config, const DataShape& data) const {
  Config full = config;
  std::string& kind = coupling_flow(full).preprocess;
  kind = resolved_preprocess(kind, data);
  return full;
}

void CouplingFlow::check(const Config& config, const DataShape& data) const {
  check_preprocessing(coupling_flow(config), config.data, data);
  depths_of(coupling_flow(config));
}

std::string CouplingFlow::why_idle(const Config& full, const DataShape& data,
                                   const std::string& key) const {
  const CouplingFlowSettings& c = coupling_flow(full);
  const std::string why = flows::why_idle(static_cast<const Conditioning&>(c), data, key);
  if (!why.empty()) return why;
  return first_idle(
      {
          {{"recipe"}, recipes().empty(), str("only nice has recipes, the model is ", name())},
          {{"hidden_layers"}, !c.depths.empty(), str("depths = ", c.depths, " says how many")},
          {{"scale_limit"},
           c.coupling == "additive" && (data.given.empty() || !c.conditional_prior),
           "coupling = additive has no scales"},
          {{"mixing"}, c.couplings == 1, "there is only one coupling"},
          {{"whitening_last"}, c.whitening == "none", "whitening is none"},
          {{"data_init", "scale_rate"}, !c.scaling, "scaling is false"},
          {{"alpha"}, !has_logit(c, data), str("preprocess = ", c.preprocess, " has no logit")},
      },
      key);
}

double CouplingFlow::parameters(const Config& full, const DataShape& data) const {
  const CouplingFlowSettings& config = coupling_flow(full);
  const auto dims = static_cast<double>(data.dims);
  const auto width = static_cast<double>(config.hidden_units);
  const auto map = map_by_name(config.coupling, config.scale_limit);
  double count = (config.scaling ? dims : 0) + conditioning_parameters(config, data);
  if (whitenings().at(config.whitening) != Whitening::None) count += dims * dims;
  if (mixings().at(config.mixing) == Mixing::Linear) {
    count += static_cast<double>(config.couplings - 1) * dims * dims;
  }
  const std::vector<int> depths = depths_of(config);
  for (std::size_t i = 0; i < count_couplings(config, data); ++i) {
    const NetSizes sizes = net_sizes(config, data, i);
    const auto in = static_cast<double>(sizes.in);
    const auto out = static_cast<double>(sizes.active * map->parameters_per_dim());
    const double hidden = depths[i];
    count += hidden == 0
                 ? (in + 1) * out
                 : (in + 1) * width + (hidden - 1) * (width + 1) * width + (width + 1) * out;
  }
  return count;
}

std::shared_ptr<Density> CouplingFlow::build(const Config& full, const DataShape& data) const {
  const CouplingFlowSettings& config = coupling_flow(full);
  const auto seed = static_cast<std::uint64_t>(full.training.seed);
  Generator weights(seed, Stream::kWeights);
  const Generator noise(seed, Stream::kNoise);
  auto flow = std::make_shared<Compose>();
  const std::shared_ptr<Condition> condition = make_condition(config, data, weights);
  const Convention convention = add_preprocessing(config, full.data, data, *flow, noise);
  const std::vector<std::int32_t> planes = by_channel(data);
  if (!planes.empty()) flow->add("planes", std::make_shared<Permute>(planes));
  if (!config.whitening_last) add_whitening(config, data.dims, *flow);
  const std::vector<int> depths = depths_of(config);
  const bool mixes = mixings().at(config.mixing) == Mixing::Linear;
  for (std::size_t i = 0; i < count_couplings(config, data); ++i) {
    if (mixes && i > 0) {
      flow->add(str("mixings.", i), std::make_shared<InvertibleLinear>(data.dims, weights));
    }
    const auto map = map_by_name(config.coupling, config.scale_limit);
    const NetSizes sizes = net_sizes(config, data, i);
    const auto net = nn::mlp({.in = sizes.in,
                              .out = sizes.active * map->parameters_per_dim(),
                              .hidden_units = config.hidden_units,
                              .hidden_layers = depths[i],
                              .activation = nn::activation_by_name(config.activation),
                              .init = init_of(config, config.init_scale),
                              .last_init = init_of(config, config.last_init_scale)},
                             weights);
    const std::string name = str("couplings.", i);
    if (data.dims == 1) {
      flow->add(name, std::make_shared<Elementwise>(map, net));
    } else {
      flow->add(name, std::make_shared<Coupling>(coupling_partition(config, data, i), map, net));
    }
  }
  if (config.whitening_last) add_whitening(config, data.dims, *flow);
  if (config.scaling) {
    flow->add("scaling", std::make_shared<Scaling>(data.dims, config.scale_rate, config.data_init));
  }
  add_conditional_prior(config, data, config.scale_limit, weights, *flow);
  if (!planes.empty()) flow->add("pixels", std::make_shared<Permute>(inverse_of(planes)));
  return std::make_shared<FlowDensity>(flow, base_by_name(config.prior), data.dims, convention,
                                       condition);
}

nlohmann::ordered_json CouplingFlow::described(const Config& full, const DataShape& data) const {
  const CouplingFlowSettings& config = coupling_flow(full);
  nlohmann::ordered_json json = {{"dims", data.dims},
                                 {"levels", data.discrete ? data.levels : 0},
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
  describe_given(config, data, json);
  return json;
}

}  // namespace nf::flows
