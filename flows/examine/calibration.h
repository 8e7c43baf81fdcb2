// Whether draws of a model are spread as the rows are for which they were made: ranks and coverage.
// Source: Talts, Betancourt, Simpson, Vehtari, Gelman, "Validating Bayesian inference algorithms
// with simulation-based calibration" (2018).
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "tensor/random.h"

namespace nf::flows {

/// Where each cell of x (N, D) lies among the L draws that were made for its row, draws (N L, D)
/// row after row: (rank + u) / (L + 1) with u uniform, (N, D) in f64. Where a row is one more draw
/// of the model, this is uniform on (0, 1), column by column (theorem 1). Ties, as whole numbers
/// have them, are put in a random order. NaN where the cell is NaN. Throws Error for other shapes.
Tensor rank_shares(const Tensor& x, const Tensor& draws, Generator& gen);

/// Which part of a model's draws is meant by a level c: those in the middle, or those with the
/// highest values (of log densities: the smallest region that holds c of them).
enum class Region { Middle, Highest };

/// How many rows lie in the region of a level.
struct Coverage {
  double level = 0;
  std::int64_t within = 0, of = 0, above = 0;  ///< of those without, with shares above 1/2
  double p_value = 1;                          ///< two-sided, binomial
  double share() const { return static_cast<double>(within) / static_cast<double>(of); }
  /// Whether more rows than in a right model lie beyond the region's middle on one side, and no or
  /// few more on the other.
  bool one_sided() const;
};

/// What the shares of one column say.
struct Calibration {
  std::string name;
  double mean = 0;        ///< of the shares: ideal 0.5
  double ks = 0;          ///< their Kolmogorov-Smirnov distance from the uniform distribution
  double ks_p_value = 1;  ///< of that distance
  std::vector<Coverage> coverage;
  Region region = Region::Middle;

  double least_p_value() const;
  /// What is wrong where a p-value is below `chance`: "too narrow", "too wide", "too high", "too
  /// low", "of another shape", said of the draws; else empty. Draws that are off to one side hold
  /// too few rows in their middle, too: they are narrow where rows are missed on both sides.
  std::string fault(double chance) const;
};

/// shares: as above, of one column; NaN are left out. levels: in (0, 1). Throws Error when no share
/// is left.
Calibration calibration_of(const std::string& name, std::vector<double> shares,
                           const std::vector<double>& levels, Region region);

/// The probability that k of n events of probability p differ from n p by chance: twice the smaller
/// tail, at most 1.
double binomial_p_value(std::int64_t k, std::int64_t n, double p);
/// The fewest and the most of n events of probability p that are within `share` of all cases.
std::pair<std::int64_t, std::int64_t> binomial_band(std::int64_t n, double p, double share);

}  // namespace nf::flows
