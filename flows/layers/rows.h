// What layers on rows (N, D), and on images whose pixels are rows of channels, share.
#pragma once

#include <algorithm>

#include "flows/transform.h"
#include "tensor/full_precision.h"

namespace nf::flows {

/// Throws Error unless x is (N, ..., dims): broadcasting and selecting would take other sizes
/// without a word.
inline void check_dims(const char* layer, const Var& x, std::int64_t dims) {
  NF_CHECK(x.rank() >= 2 && x.dim(-1) == dims, "[", layer, "] expected (N, ..., ", dims, "), got ",
           x.shape());
}

/// Pixels of a sample of x (N, ..., D): 1 for rows.
inline double pixels_of(const Shape& x) {
  double pixels = 1;
  for (int i = 1; i + 1 < x.rank(); ++i) pixels *= static_cast<double>(x.dim(i));
  return pixels;
}

/// (N), of a map that is applied to every pixel of x (N, ..., D): `one` is log|det| of one pixel.
inline Var log_det_of_pixels(const Var& one, const Var& x) {
  return broadcast_to(one * pixels_of(x.shape()), {x.dim(0)});
}

/// x w^T + bias of events (N, ..., D), in f32 whatever the precision of products: the
/// log-determinant is of w as it is.
inline Var map_events(const Var& x, const Var& w, const Var& bias = {}) {
  const FullPrecision full;
  if (x.rank() == 2) return linear(x, w, bias);
  const std::int64_t rows = x.shape().numel() / std::max<std::int64_t>(1, x.dim(-1));
  return reshape(linear(reshape(x, {rows, x.dim(-1)}), w, bias), x.shape());
}

/// x (N, ..., D) with the context behind the last axis: (N, ..., D + C). The context is (N, C), the
/// same at every pixel, or has numbers of its own for each, (N, ..., C).
inline Var with_context(const Var& x, const Var& context) {
  if (x.rank() == context.rank()) return concat({x, context}, x.rank() - 1);
  Shape one = {context.dim(0)}, all = one;
  for (int i = 1; i + 1 < x.rank(); ++i) {
    one = one.with_inserted(i, 1);
    all = all.with_inserted(i, x.dim(i));
  }
  const int axis = x.rank() - 1;
  const Var spread = broadcast_to(reshape(context, one.with_inserted(axis, context.dim(1))),
                                  all.with_inserted(axis, context.dim(1)));
  return concat({x, spread}, axis);
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
