#include "flows/models/latent_flow.h"

#include "flows/layers/autoregressive.h"
#include "flows/layers/coupling.h"
#include "flows/layers/permute.h"
#include "flows/layers/planar.h"
#include "flows/layers/sylvester.h"
#include "flows/maps/affine.h"
#include "flows/maps/spline.h"
#include "tensor/names.h"

namespace nf::flows {

namespace {

enum class LatentKind {
  None,
  Iaf,
  Maf,
  Nice,
  Nsf,
  Planar,
  Radial,
  Orthogonal,
  Householder,
  Triangular
};

const Names<LatentKind>& latent_kinds() {
  static const Names<LatentKind> names("flow", {{"none", LatentKind::None},
                                                {"iaf", LatentKind::Iaf},
                                                {"maf", LatentKind::Maf},
                                                {"nice", LatentKind::Nice},
                                                {"nsf", LatentKind::Nsf},
                                                {"planar", LatentKind::Planar},
                                                {"radial", LatentKind::Radial},
                                                {"sylvester", LatentKind::Orthogonal},
                                                {"sylvester-householder", LatentKind::Householder},
                                                {"sylvester-triangular", LatentKind::Triangular}});
  return names;
}

constexpr nn::Init kStill = {nn::Init::Kind::Zeros, 0};  // a step begins as the identity, or near

std::shared_ptr<ElementwiseMap> step_map(LatentKind kind) {
  constexpr int kBins = 8;
  constexpr double kBound = 5, kScaleLimit = 5;  // nearly all of a standard normal lies within 5
  switch (kind) {
    case LatentKind::Iaf:
      return gated_map();
    case LatentKind::Maf:
      return gaussian_map(kScaleLimit);
    case LatentKind::Nice:
      return additive_map();
    default:
      return spline_map(kBins, kBound);
  }
}

nn::Activation latent_activation() { return nn::activation_by_name("elu"); }

nn::MadeOptions latent_made(const LatentFlowOptions& options, int outputs_per_dim) {
  return {.dims = options.dims,
          .context = options.context,
          .outputs_per_dim = outputs_per_dim,
          .hidden_units = options.width,
          .hidden_layers = 1,
          .activation = latent_activation(),
          .last_init = kStill};
}

nn::MlpOptions latent_mlp(const LatentFlowOptions& options, const Partition& partition) {
  return {.in = partition.passive() + options.context,
          .out = partition.active(),
          .hidden_units = options.width,
          .hidden_layers = 1,
          .activation = latent_activation(),
          .last_init = kStill};
}

SylvesterOptions sylvester_of(LatentKind kind, std::int64_t dims, std::int64_t context,
                              bool reversed) {
  using Basis = SylvesterOptions::Basis;
  const Basis basis = kind == LatentKind::Orthogonal    ? Basis::Orthogonal
                      : kind == LatentKind::Householder ? Basis::Householder
                                                        : Basis::Triangular;
  return {.dims = dims, .basis = basis, .reversed = reversed, .context = context};
}

// A step without networks: numbers that are a linear function of the context.
std::shared_ptr<Transform> amortised_step(LatentKind kind, std::int64_t dims, std::int64_t context,
                                          bool reversed, Generator& weights) {
  switch (kind) {
    case LatentKind::Planar:
      return std::make_shared<Planar>(dims, weights, context);
    case LatentKind::Radial:
      return std::make_shared<Radial>(dims, weights, context);
    default:
      return std::make_shared<Sylvester>(sylvester_of(kind, dims, context, reversed), weights);
  }
}

std::shared_ptr<Transform> latent_step(LatentKind kind, const LatentFlowOptions& options,
                                       std::int64_t i, Generator& weights) {
  if (!has_networks(options.kind)) {
    return amortised_step(kind, options.dims, options.context, i % 2 == 1, weights);
  }
  const auto map = step_map(kind);
  if (kind == LatentKind::Nice) {
    const Partition partition = Partition::halves(options.dims);
    return std::make_shared<Coupling>(partition, map,
                                      nn::mlp(latent_mlp(options, partition), weights));
  }
  return std::make_shared<Autoregressive>(
      map, std::make_shared<nn::Made>(latent_made(options, map->parameters_per_dim()), weights));
}

}  // namespace

std::vector<std::string> posterior_flows() {
  return {"none",
          "iaf",
          "nice",
          "nsf",
          "planar",
          "radial",
          "sylvester",
          "sylvester-householder",
          "sylvester-triangular"};
}
std::vector<std::string> prior_flows() { return {"none", "maf", "nice", "nsf"}; }

bool needs_two_latents(const std::string& kind) {
  return latent_kinds().at(kind) == LatentKind::Nice;
}

bool has_networks(const std::string& kind) {
  const LatentKind one = latent_kinds().at(kind);
  return one == LatentKind::Iaf || one == LatentKind::Maf || one == LatentKind::Nice ||
         one == LatentKind::Nsf;
}

std::shared_ptr<Compose> latent_flow(const LatentFlowOptions& options, Generator& weights) {
  const LatentKind kind = latent_kinds().at(options.kind);
  const bool in_order = has_networks(options.kind) && options.dims > 1;
  auto flow = std::make_shared<Compose>();
  for (std::int64_t i = 0; kind != LatentKind::None && i < options.steps; ++i) {
    if (i > 0 && in_order) flow->add(str("mixings.", i), Permute::reverse(options.dims));
    flow->add(str("steps.", i), latent_step(kind, options, i, weights));
  }
  return flow;
}

double latent_flow_parameters(const LatentFlowOptions& options) {
  const LatentKind kind = latent_kinds().at(options.kind);
  const auto steps = static_cast<double>(options.steps);
  if (kind == LatentKind::None) return 0;
  if (!has_networks(options.kind)) {  // each number has a weight for each of the context's
    Generator gen;
    const auto own = amortised_step(kind, options.dims, 0, false, gen)->parameter_count();
    return steps * static_cast<double>(own * (options.context + 1));
  }
  if (kind != LatentKind::Nice) {
    const int outputs = step_map(kind)->parameters_per_dim();
    return steps * nn::Made::parameters_of(latent_made(options, outputs));
  }
  const nn::MlpOptions net = latent_mlp(options, Partition::halves(options.dims));
  return steps *
         static_cast<double>((net.in + 1) * net.hidden_units + (net.hidden_units + 1) * net.out);
}

}  // namespace nf::flows
