// Numbers in [0, 1] go to the whole line.
#pragma once

#include <string>

#include "flows/bijection.h"

namespace nf::flows {

/// In 32 bits 1 - alpha is 1 below it, and the logit of 1 infinite.
inline constexpr double kLeastAlpha = 6e-8;

/// z = ln s - ln(1 - s), s = alpha + (1 - 2 alpha) x, for x in [0, 1].
/// log_det = sum ln(1 - 2 alpha) + softplus(z) + softplus(-z). (RealNVP, section 4.1)
class Logit : public Bijection {
 public:
  explicit Logit(double alpha = 1e-6);
  Mapped forward(const Var& x, const Var& context = {}) override;
  Mapped inverse(const Var& z, const Var& context = {}) override;
  double flops(const Shape& in) const override;
  std::string kind() const override { return str("Logit(alpha ", alpha_, ")"); }

 private:
  Var log_det_at(const Var& z) const;
  double alpha_;
};

}  // namespace nf::flows
