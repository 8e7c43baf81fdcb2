#include "tensor/conv.h"

#include <algorithm>
#include <atomic>
#include <new>

#include "tensor/checks.h"
#include "tensor/environment.h"
#include "tensor/memory.h"
#include "tensor/ops.h"

namespace nf {

ConvSizes conv_sizes(const Shape& x, const Shape& w, const ConvGeometry& geometry) {
  NF_CHECK(x.rank() == 4 && w.rank() == 4 && x[3] == w[1], "[conv2d] x ", x, " and weight ", w,
           " do not fit: expected (N, H, W, C) and (O, C, kh, kw)");
  const std::int64_t stride = geometry.stride, pad_h = geometry.pad_h, pad_w = geometry.pad_w;
  ConvSizes s{x[0], x[1], x[2], x[3], w[0], w[2], w[3], 0, 0, stride, pad_h, pad_w, geometry.exact};
  NF_CHECK(std::min({s.h, s.w, s.c, s.o, s.kh, s.kw}) >= 1, "[conv2d] x ", x, " and weight ", w,
           ": only the batch may be empty");
  NF_CHECK(stride == 1 || stride == 2, "[conv2d] stride ", stride, ": it is 1 or 2, on both axes");
  NF_CHECK(pad_h >= 0 && pad_w >= 0 && pad_h < s.kh && pad_w < s.kw, "[conv2d] padding (", pad_h,
           ", ", pad_w, ") for a kernel of (", s.kh, ", ", s.kw,
           "): it is at least 0 and smaller than the kernel");
  NF_CHECK(s.h + 2 * pad_h >= s.kh && s.w + 2 * pad_w >= s.kw, "[conv2d] a kernel of (", s.kh, ", ",
           s.kw, ") is larger than images of (", s.h, ", ", s.w, ") with padding (", pad_h, ", ",
           pad_w, "); pad more, or take a smaller kernel");
  s.oh = (s.h + 2 * pad_h - s.kh) / stride + 1;
  s.ow = (s.w + 2 * pad_w - s.kw) / stride + 1;
  return s;
}

namespace {

constexpr int kNotSet = -1;
std::atomic<int> chosen_winograd = kNotSet;
const char* const kWinogradNames[] = {"off", "auto", "on"};

}  // namespace

Winograd winograd() {
  const int chosen = chosen_winograd.load(std::memory_order_relaxed);
  if (chosen != kNotSet) return static_cast<Winograd>(chosen);
  static const auto of_environment = static_cast<Winograd>(environment_choice(
      "conv2d", "NF_WINOGRAD", {std::begin(kWinogradNames), std::end(kWinogradNames)},
      static_cast<std::size_t>(Winograd::Auto)));
  return of_environment;
}

const char* name_of(Winograd way) { return kWinogradNames[static_cast<int>(way)]; }

void set_winograd(std::optional<Winograd> way) {
  chosen_winograd = way ? static_cast<int>(*way) : kNotSet;
}

namespace {

// A kernel of one pixel, and every pixel of x: a product of matrices.
bool is_product(const ConvSizes& s) { return s.kh == 1 && s.kw == 1 && s.stride == 1; }

/// `t` (N, H, W, C) with strides (H W p, W p, p, 1), p >= C: itself, or a copy with p = C.
Tensor as_images(const Tensor& t) {
  const Shape& shape = t.shape();
  const Strides& strides = t.strides();
  // Strides over sizes of 1 mean nothing: p is the innermost of the others.
  std::int64_t p = shape[3];
  for (const int d : {0, 1, 2}) {
    if (shape[d] > 1) p = strides[d];
  }
  Layout layout = t.layout();
  const std::int64_t regular[] = {shape[1] * shape[2] * p, shape[2] * p, p, 1};
  bool fits = p >= shape[3];
  for (int d = 0; d < 4; ++d) {
    fits = fits && (shape[d] == 1 || strides[d] == regular[d]);
    layout.strides[d] = regular[d];
  }
  return fits ? t.with_layout(layout) : t.clone();
}

/// Images seen as a matrix (N H W, C) with one row for each pixel.
Tensor pixels(const Tensor& t) {
  return as_images(t).reshape({t.dim(0) * t.dim(1) * t.dim(2), t.dim(3)});
}

Tensor as_matrix_of_weights(const Tensor& w) { return w.reshape({w.dim(0), w.dim(1)}); }

void check_dout(const Tensor& dout, const ConvSizes& s) {
  NF_CHECK(dout.shape() == s.out_shape(), "[conv2d] a gradient of shape ", dout.shape(),
           " for a result of shape ", s.out_shape());
}

}  // namespace

Tensor conv2d(const Tensor& x, const Tensor& w, const Tensor& bias, const ConvGeometry& geometry,
              const UnaryOp* act, OpArgs args) try {
  detail::check_float("conv2d", x);
  detail::check_same("conv2d", x, w);
  const ConvSizes s = conv_sizes(x.shape(), w.shape(), geometry);
  detail::check_fused("conv2d", w, bias, act);
  if (is_product(s)) {
    return linear(pixels(x), as_matrix_of_weights(w), bias, act, args).reshape(s.out_shape());
  }
  Tensor out = Tensor::empty(s.out_shape(), x.dtype(), x.device());
  if (out.numel() == 0) return out;
  const Tensor b = bias.defined() ? bias.contiguous() : bias;
  backend_of(x).conv2d(as_images(x), w.contiguous(), b, geometry, act, args, out);
  return out;
} catch (const std::bad_alloc&) {  // of the small pieces that are asked for in many places
  out_of_memory("conv2d");
}

Tensor conv2d_backward_data(const Tensor& dout, const Tensor& w, const Shape& x,
                            const ConvGeometry& geometry) try {
  detail::check_float("conv2d", dout);
  detail::check_same("conv2d", dout, w);
  const ConvSizes s = conv_sizes(x, w.shape(), geometry);
  check_dout(dout, s);
  if (is_product(s)) return matmul(pixels(dout), as_matrix_of_weights(w)).reshape(x);
  Tensor dx = Tensor::empty(x, dout.dtype(), dout.device());
  if (dx.numel() == 0) return dx;
  backend_of(dout).conv2d_backward_data(dout.contiguous(), w.contiguous(), geometry, dx);
  return dx;
} catch (const std::bad_alloc&) {
  out_of_memory("conv2d");
}

Tensor conv2d_backward_weights(const Tensor& x, const Tensor& dout, const Shape& w,
                               const ConvGeometry& geometry) try {
  detail::check_float("conv2d", x);
  detail::check_same("conv2d", x, dout);
  const ConvSizes s = conv_sizes(x.shape(), w, geometry);
  check_dout(dout, s);
  if (is_product(s)) return matmul(pixels(dout).t(), pixels(x)).reshape(w);
  if (s.n == 0) return Tensor::zeros(w, x.dtype(), x.device());
  Tensor dw = Tensor::empty(w, x.dtype(), x.device());
  backend_of(x).conv2d_backward_weights(as_images(x), dout.contiguous(), geometry, dw);
  return dw;
} catch (const std::bad_alloc&) {
  out_of_memory("conv2d");
}

}  // namespace nf
