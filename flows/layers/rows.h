// What layers on rows (N, D) share.
#pragma once

#include <algorithm>

#include "flows/transform.h"
#include "tensor/full_precision.h"

namespace nf::flows {

/// Throws Error unless x is (N, dims): broadcasting and selecting would take other sizes without a
/// word.
inline void check_dims(const char* layer, const Var& x, std::int64_t dims) {
  NF_CHECK(x.rank() == 2 && x.dim(1) == dims, "[", layer, "] expected (N, ", dims, "), got ",
           x.shape());
}

/// x w^T + bias of events (N, D), in f32 whatever the precision of products: the log-determinant is
/// of w as it is.
inline Var map_events(const Var& x, const Var& w, const Var& bias = {}) {
  const FullPrecision full(x.device());
  return linear(x, w, bias);
}

/// Zeros (N) of the parameters' type, for rows x (N, D) of any type.
inline Var zero_log_det_like(const Tensor& parameter, const Var& x) {
  return Tensor::zeros({x.dim(0)}, parameter.dtype(), x.device());
}

/// (N), the same for all samples: `per_dim` for each number of a sample.
inline Var constant_log_det(const Var& x, double per_dim) {
  const double total = per_dim * static_cast<double>(x.numel()) / std::max<double>(1, x.dim(0));
  return Tensor::full({x.dim(0)}, total, x.dtype(), x.device());
}

}  // namespace nf::flows
