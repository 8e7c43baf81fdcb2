// Whether two samples are of one distribution: what a model draws, beside data.
#pragma once

#include <cstdint>

#include "tensor/tensor.h"

namespace nf::flows {

/// f64 (D): the standard deviation of each column of rows (N, D), by which distances are made
/// comparable. A column that does not vary gets the root mean square of the others, so that samples
/// which vary there are seen all the same; 1 where none varies.
Tensor deviations(const Tensor& rows);

struct TwoSample {
  double energy_distance = 0;  ///< 2 E|X-Y| - E|X-X'| - E|Y-Y'|, 0 for equal distributions only
  double p_value = 1;          ///< small: X and Y are of different distributions
  std::int64_t x = 0, y = 0;   ///< rows
  int permutations = 0;
};

struct TwoSampleOptions {
  /// Whether x_i and y_i are a pair that has something in common, as what is given: relabelling
  /// swaps the two of a pair or does not, since rows of different pairs are not exchangeable.
  bool paired = false;
  int permutations = 200;
  std::uint64_t seed = 0;  ///< of the permutations
};

/// Energy distance of x (N, D) and y (M, D) with all pairs in the means (Szekely, Rizzo 2004), of
/// columns divided by `deviation` (D). Its p-value is (k + 1) / (B + 1), where k of B random
/// relabellings of the N + M rows are at least as far apart; that is exact when `deviation` comes
/// from other rows than these. The (N + M)^2 distances come from one product, and relabelling sums
/// them anew in another. Throws Error for no rows, columns that differ, a deviation that is not
/// positive, pairs of unequal numbers of rows, and numbers that are not finite.
TwoSample two_sample_test(const Tensor& x, const Tensor& y, const Tensor& deviation,
                          const TwoSampleOptions& options = {});

}  // namespace nf::flows
