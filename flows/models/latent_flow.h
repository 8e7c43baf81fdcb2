// Flows of latents: what a VAE's posterior and its prior may be made of.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "flows/compose.h"
#include "tensor/random.h"

namespace nf::flows {

struct LatentFlowOptions {
  std::string kind = "none";  ///< one of posterior_flows() or prior_flows()
  std::int64_t steps = 4;
  std::int64_t dims = 0;     ///< L
  std::int64_t context = 0;  ///< C, numbers that every step knows
  /// Hidden units of the networks of iaf, maf, nice and nsf, which have one hidden layer.
  std::int64_t width = 320;
};

/// "none", and flows whose forward is fast, as a posterior's draws go: iaf (gated, eq. 14 of the
/// paper), nice (additive couplings), nsf (autoregressive splines), planar, radial, and three of
/// Sylvester's: orthogonal (of 8 columns), householder (of 8 reflections), triangular (in turns).
std::vector<std::string> posterior_flows();
/// "none", and flows whose forward scores: maf, nice, nsf.
std::vector<std::string> prior_flows();

/// So many steps, the order reversed between those that are not alike in all dimensions; weights
/// from `weights`. Empty for "none". Throws Error for other names.
std::shared_ptr<Compose> latent_flow(const LatentFlowOptions& options, Generator& weights);
/// About how many parameters it has.
double latent_flow_parameters(const LatentFlowOptions& options);
/// Whether each step of such a flow needs two dimensions.
bool needs_two_latents(const std::string& kind);
/// Whether its steps have networks of their own.
bool has_networks(const std::string& kind);

}  // namespace nf::flows
