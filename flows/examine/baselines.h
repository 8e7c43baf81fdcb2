// What the simplest densities reach on the same data: a model is worth as much as it is above them.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "tensor/tensor.h"

namespace nf::flows {

/// Two densities fitted to training rows, in f64.
///
/// Independent columns: for pixels the frequency of each level 0..255 in each dimension, one count
/// added to all of them, so that no level is impossible; for real data a Gaussian per column.
///
/// Gaussian with a full covariance, up to 1024 dimensions. Pixels are spread over their levels as
/// Dequantize does: that adds 1/2 to the means and 1/12 to the variances. Each variance of real
/// data is enlarged by a 1e-9th, so that a column which follows from others still has a density.
class Baselines {
 public:
  /// train (N, D): u8 levels 0..255, or real numbers. Only the first 20000 rows are taken: in 784
  /// dimensions more of them would gain the Gaussian about 8 nats. Throws Error without rows.
  /// `integer`: columns of whole numbers among reals, which are spread as levels are.
  explicit Baselines(const Tensor& train, const std::vector<std::int32_t>& integer = {});

  struct Nats {
    double independent = 0;
    std::optional<double> gaussian = {};  ///< nothing above 1024 dimensions
  };
  /// Mean log density of the rows of x (N, D), nats in the units of the data, as Density::log_prob
  /// has them. Of levels the Gaussian's is the expectation over the noise, which has a closed form.
  /// Infinite where a real column was constant in training.
  Nats nats(const Tensor& x) const;

 private:
  Tensor standardized(const Tensor& x) const;
  double independent(const Tensor& x) const;
  double gaussian(const Tensor& x) const;

  bool levels_;
  Tensor noise_;             // f64 (D): variance of the noise
  Tensor mean_, deviation_;  // f64 (D)
  Tensor log_frequency_;     // f64 (D, 256), of levels
  Tensor whiten_;       // f64 (D, D): L^-1 with L L^T the correlations; undefined when too many
  double log_det_ = 0;  // ln|L|
};

}  // namespace nf::flows
