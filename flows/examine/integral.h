// The integral of a density in few dimensions: 1, if it is one.
#pragma once

#include <cstdint>

#include "flows/flow_density.h"

namespace nf::flows {

struct IntegralOptions {
  std::int64_t points = 150'000;  ///< at most so many evaluations of the density, give or take 2^D
  std::uint64_t seed = 0;         ///< of the samples that say where the mass is
};

struct Integral {
  double value = 0;
  /// How far off the value may be: what halving the cells has changed, the share of samples in
  /// cells whose peaks were not found, and 3 / 20000, the mass that may be outside of the box when
  /// none of 20000 samples is (with 95 % confidence).
  double tolerance = 0;
  std::int64_t points = 0;  ///< evaluations
};

/// The integral of exp(log_prob) for D <= 3, by midpoints of cells that are halved in every
/// dimension where that changes something, or where samples are far likelier than the middles. The
/// box is that of x (N, D) and of 20000 samples of the density, a tenth wider; for levels it is [0,
/// K)^D, of the density behind them, see Density::continuous. Throws Error for more dimensions.
Integral integrate(FlowDensity& density, const Tensor& x, const IntegralOptions& options = {});

}  // namespace nf::flows
