// Bijection: a Transform that is exact in both directions; and what only such a one can do.
#pragma once

#include <memory>
#include <string>

#include "flows/transform.h"

namespace nf::flows {

/// inverse(forward(x)) = x, and log_det is that of the Jacobian.
///
/// A layer of your own: derive, implement both directions with the functions of
/// autograd/functions.h, add parameters with add_parameter, and hand it to check_bijection
/// (flows/examine/check.h), which tests everything that is promised here.
class Bijection : public Transform {
 public:
  bool exact() const final { return true; }
};

/// The same map run backwards: forward is the other's inverse.
class Invert : public Bijection {
 public:
  /// Throws Error for a transform that is not exact.
  explicit Invert(std::shared_ptr<Transform> inner);
  Mapped forward(const Var& x, const Var& context = {}) override {
    return inner_.inverse(x, context);
  }
  Mapped inverse(const Var& z, const Var& context = {}) override {
    return inner_.forward(z, context);
  }
  double flops(const Shape& in) const override;
  std::string kind() const override { return "Invert(" + inner_.kind() + ")"; }

 private:
  Transform& inner_;
};

/// Runs flow.forward(x) as one node that keeps only its output: backward recovers the input by
/// flow.inverse and differentiates one part at a time, so memory does not grow with depth. The
/// gradient is as exact as the inverse. Memory for time: one inverse and one forward more. Throws
/// Error for a transform that is not exact.
Mapped invertible(Transform& flow, const Var& x, const Var& context = {});

}  // namespace nf::flows
