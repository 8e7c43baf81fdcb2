// Asinh: the layer that chapter 6 of the book writes.
#pragma once

#include <cmath>
#include <string>

#include "autograd/functions.h"
#include "flows/bijection.h"

namespace nf {

/// z = asinh(y), y = x exp(-w), one learned w per dimension: nearly linear for |x| < exp(w),
/// logarithmic beyond. dz/dx = exp(-w) / sqrt(y^2 + 1).
class Asinh : public flows::Bijection {
 public:
  explicit Asinh(std::int64_t dims)
      : log_width_(add_parameter("log_width", Tensor::zeros({dims}))) {}

  flows::Mapped forward(const Var& x, const Var& = {}) override {
    const Var z = asinh(x * exp(-log_width_));
    return {z, sum(-log_cosh(z) - log_width_, {1})};
  }
  flows::Mapped inverse(const Var& z, const Var& = {}) override {
    const Var sinh = (expm1(z) - expm1(-z)) / 2;
    return {sinh * exp(log_width_), sum(log_cosh(z) + log_width_, {1})};
  }
  std::string kind() const override { return str("Asinh(", log_width_.numel(), ")"); }

 protected:
  // Never squares y = sinh z, nor takes exp of a large z.
  static Var log_cosh(const Var& z) { return z + softplus(-2 * z) - std::log(2.0); }

  Var& log_width_;  // (D)
};

}  // namespace nf
