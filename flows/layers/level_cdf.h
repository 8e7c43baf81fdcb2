// LevelCdf: each dimension of dequantised data through its own distribution function.
#pragma once

#include "flows/bijection.h"

namespace nf::flows {

/// z = F_d(x) in [0, 1) for x in [0, K), F_d the distribution function of dimension d in the
/// samples given to initialize(), linear within a level: F_d(k + u) = sum_{j<k} p_d(j) + u p_d(k).
/// Until then every level is as likely. log_det = sum_d ln p_d(k).
///
/// With it the marginals cost nothing, whatever their shape: a pixel that is black in nearly all
/// images is nearly ln 256 nats at once, where a logit leaves a shape that affine couplings cannot
/// mend. Levels that do not occur count as kPrior occurrences. The marginal step of Gaussianization
/// (Chen and Gopinath 2000), for levels.
class LevelCdf : public Bijection {
 public:
  explicit LevelCdf(std::int64_t dims, int levels = 256);
  Mapped forward(const Var& x, const Var& context = {}) override;
  Mapped inverse(const Var& z, const Var& context = {}) override;
  void initialize(const Samples& x) override;  ///< throws for values that are not in [0, K)
  std::int64_t initial_rows() const override { return kAllRows; }
  double flops(const Shape& in) const override;
  std::string kind() const override { return str("LevelCdf(", below_.dim(1), ")"); }

 private:
  static constexpr double kPrior = 0.5;

  struct Level {
    Tensor below, mass;  ///< probability of the levels below, and of the level itself
  };
  Level look_up(const Tensor& level) const;  // level: i32 (N, D), from clamped_indices()

  Tensor& below_;  // (K + 1, D), probability of the levels below k; the last row is 1
};

}  // namespace nf::flows
