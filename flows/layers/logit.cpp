#include "flows/layers/logit.h"

#include <cmath>

namespace nf::flows {

Logit::Logit(double alpha) : alpha_(alpha) {
  NF_CHECK(alpha >= kLeastAlpha && alpha < 0.5, "[Logit] alpha must be in [", kLeastAlpha,
           ", 0.5), got ", alpha, "; below, 1 - alpha is 1 in 32 bits");
}

Var Logit::log_det_at(const Var& z) const {
  return sum_event(softplus(z) + softplus(-z) + std::log(1 - 2 * alpha_));
}

Mapped Logit::forward(const Var& x, const Var&) {
  const Var s = affine(x, 1 - 2 * alpha_, alpha_);
  const Var z = log(s) - log1p(-s);
  return {z, log_det_at(z)};
}

double Logit::flops(const Shape& in) const {
  return 12.0 * static_cast<double>(in.numel());  // 6 for z, as many for log_det
}

Mapped Logit::inverse(const Var& z, const Var&) {
  const Var x = affine(sigmoid(z), 1 / (1 - 2 * alpha_), -alpha_ / (1 - 2 * alpha_));
  return {x, -log_det_at(z)};
}

}  // namespace nf::flows
