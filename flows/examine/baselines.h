// What the simplest densities reach on the same data: a model is worth as much as it is above them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "flows/examine/regression.h"
#include "nn/module.h"
#include "tensor/tensor.h"

namespace nf::flows {

struct PixelLogits;

/// Two densities fitted to training rows, in f64.
///
/// Independent columns: for pixels the frequency of each level 0..K-1 in each dimension, one count
/// added to all of them, so that no level is impossible; for real data a Gaussian per column.
///
/// Gaussian with a full covariance, up to 4096 dimensions. That of pixels is one of their logits,
/// logit(alpha + (1 - 2 alpha) (x + u) / K) with uniform noise u, the same in each call: pixels
/// that are nearly always black would be no Gaussian. alpha is 1e-6 or 0.05, the better one.
/// Whole numbers are spread, too: that adds 1/12 to the variances. Each variance of real data is
/// enlarged by a 1e-9th, so that a column which follows from others still has a density.
/// The correlations R of fewer than 10 D rows are shrunk: (1 - w) R + w I, with the weight w of
/// Ledoit and Wolf (2004). On 1000 rows of MNIST that gains 3600 nats, on 20000 nothing.
///
/// With what is given the mean of both Gaussians is linear in it (Regression): of a label each
/// one's own mean. Frequencies of levels know nothing of it.
class Baselines {
 public:
  /// train (N, D): u8 levels 0..K-1, K = `level_count`, or real numbers. Only the first 20000 rows
  /// are taken: in 784 dimensions more of them would gain the Gaussian about 8 nats. Throws Error
  /// without rows. `integer`: columns of whole numbers among reals, which are spread as levels are.
  /// `given`: (N, G) of a conditional density, labels when there are `classes`; undefined: none.
  explicit Baselines(const Tensor& train, const std::vector<std::int32_t>& integer = {},
                     const Tensor& given = {}, std::int64_t classes = 0, int level_count = 256);

  /// What state() gave, from a file: throws Error, which begins with `where`, for anything else.
  static Baselines from(const std::map<std::string, Tensor>& state, const std::string& where);
  nn::StateDict state() const;  ///< f64

  /// Log density of each row, nats in the units of the data, as Density::log_prob has them. Of
  /// whole numbers the Gaussian's is the expectation over the noise, which has a closed form; of
  /// pixels that of one draw.
  struct Scores {
    std::vector<double> independent;  ///< infinite or NaN where a real column was constant
    std::vector<double> gaussian;     ///< empty above 4096 dimensions and with constant columns
  };
  Scores scores(const Tensor& x, const Tensor& given = {}) const;
  /// Those of some columns of reals: the marginal densities. Not of conditional ones.
  Baselines of_columns(const std::vector<std::int32_t>& columns) const;
  bool conditional() const { return regression_.defined(); }  ///< whether they know what is given
  const Tensor& mean() const { return mean_; }                ///< f64 (D)
  Tensor covariance() const;                                  ///< f64 (D, D); undefined without one

 private:
  Baselines() = default;
  bool levels() const { return log_frequency_.defined(); }
  std::optional<PixelLogits> logits() const;  // of levels
  Tensor without_mean(const Tensor& x, const Tensor& given) const;
  Tensor standardized(const Tensor& x, const Tensor& given) const;
  void fit_gaussian(const Tensor& x, const Tensor& given);
  void set_noise_square();
  std::vector<double> independent(const Tensor& x, const Tensor& given) const;
  std::vector<double> gaussian(const Tensor& x, const Tensor& given) const;

  Tensor noise_;             // f64 (D): variance of the noise
  Tensor mean_, deviation_;  // f64 (D); of what the regression leaves
  Regression regression_;    // on what is given, where something is
  Tensor log_frequency_;     // f64 (D, K), of levels
  double alpha_ = 0;         // of levels
  Tensor cholesky_;          // f64 (D, D): L with L L^T the correlations; undefined without one
  double noise_square_ = 0;  // E |L^-1 u|^2 of the noise u, in deviations
};

}  // namespace nf::flows
