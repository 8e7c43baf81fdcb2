// How near a density is to the target that it was fitted to.
#pragma once

#include "flows/examine/pareto.h"
#include "flows/flow_density.h"
#include "flows/train/evaluate.h"
#include "flows/train/targets.h"

namespace nf::flows {

struct TargetFit {
  MeanAndError elbo;  ///< E_q[ln p - ln q], nats: ln Z - KL(q || p)
  Evidence evidence;  ///< of the weights p / q
  std::int64_t draws = 0;
};
/// Of `draws` draws from the seed, in evaluation mode and the type of the parameters. Throws Error
/// where one of them has no weight.
TargetFit examine_target(Density& density, const Target& target, std::int64_t draws,
                         std::uint64_t seed = 0);

/// ln p and ln q in the middles of the cells of a square grid, f64 (size, size), the first row on
/// top, from -reach to reach.
struct TargetGrid {
  Tensor log_p, log_q;
  double log_z = 0;  ///< ln of the integral of p over the grid
  double mass = 0;   ///< the integral of q over the grid; below 1 by what lies beyond
  double kl = 0;     ///< the integral of q ln(q Z / p) over the grid, nats
  /// The share of q's mass beyond the grid, where p is taken for 0: `kl` knows nothing of it.
  double outside() const { return mass < 1 ? 1 - mass : 0; }
};
/// Of two dimensions.
TargetGrid on_grid(FlowDensity& density, const Target& target, double reach, int size);

}  // namespace nf::flows
