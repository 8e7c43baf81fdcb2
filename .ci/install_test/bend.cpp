#include "bend.h"

using nf::Tensor;
using nf::Var;
using nf::flows::Mapped;

// (N, D). The slopes are positive, so x and z have the same sign: either may be asked.
Var Bend::log_slope(const Tensor& at) const {
  return where(greater_equal(at, Tensor::zeros({1}, at.dtype())), right_, left_);
}

Mapped Bend::forward(const Var& x, const Var&) {
  const Var s = log_slope(x.value());
  return {x * exp(s), sum(s, {1})};
}

Mapped Bend::inverse(const Var& z, const Var&) {
  const Var s = log_slope(z.value());
  return {z * exp(-s), -sum(s, {1})};
}
