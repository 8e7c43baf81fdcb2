// Functions of tensors. Each checks its arguments, allocates the result and calls the backend.
// Every function broadcasts where NumPy would; every error names the function and the shapes.
// The differentiable versions, of the same names on Var, are in autograd/functions.h.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "tensor/backend.h"
#include "tensor/tensor.h"

namespace nf {

// --- elementwise: f32 or f64, formulas in elementwise.h -----------------------------------------
// Arguments are taken by value: what nobody else holds (a temporary, a moved tensor) gives its
// memory to the result.
Tensor unary(UnaryOp op, Tensor x, OpArgs args = {});
Tensor binary(BinaryOp op, Tensor a, Tensor b);
Tensor compare(CompareOp op, const Tensor& a, const Tensor& b);  ///< u8: 1 where true

#define NF_DECLARE(Struct, function) \
  inline Tensor function(Tensor x) { return unary(UnaryOp::Struct, std::move(x)); }
NF_PLAIN_UNARY_OPS(NF_DECLARE)
#undef NF_DECLARE
#define NF_DECLARE(Struct, function, constant, standard)                           \
  inline Tensor function(Tensor x, double constant = standard) {                   \
    return unary(UnaryOp::Struct, std::move(x), constants<ops::Struct>(constant)); \
  }
NF_UNARY_OPS_1(NF_DECLARE)
#undef NF_DECLARE
#define NF_DECLARE(Struct, function, first, second)                                     \
  inline Tensor function(Tensor x, double first, double second) {                       \
    return unary(UnaryOp::Struct, std::move(x), constants<ops::Struct>(first, second)); \
  }
NF_UNARY_OPS_2(NF_DECLARE)
#undef NF_DECLARE
#define NF_DECLARE(Struct, function)                             \
  inline Tensor function(Tensor a, Tensor b) {                   \
    return binary(BinaryOp::Struct, std::move(a), std::move(b)); \
  }
NF_BINARY_OPS(NF_DECLARE)
#undef NF_DECLARE
#define NF_DECLARE(Struct, function)                         \
  inline Tensor function(const Tensor& a, const Tensor& b) { \
    return compare(CompareOp::Struct, a, b);                 \
  }
NF_COMPARE_OPS(NF_DECLARE)
#undef NF_DECLARE

/// a where condition (u8) is not 0, else b; all three broadcast.
Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b);

/// What backward of a unary or binary op computes (see Backend).
Tensor unary_backward(UnaryOp op, OpArgs args, Tensor dout, const Tensor& saved);
std::pair<Tensor, Tensor> binary_backward(BinaryOp op, Tensor dout, const Tensor& a,
                                          const Tensor& b, bool want_a, bool want_b);
/// A contiguous tensor for a result of x's shape and dtype: in x's memory when x is all of it and
/// the only one that looks at it, else new and uninitialised. x is then not to be read as it was.
Tensor reuse_or_empty(const Tensor& x);

inline Tensor operator+(Tensor a, Tensor b) { return add(std::move(a), std::move(b)); }
inline Tensor operator-(Tensor a, Tensor b) { return sub(std::move(a), std::move(b)); }
inline Tensor operator*(Tensor a, Tensor b) { return mul(std::move(a), std::move(b)); }
inline Tensor operator/(Tensor a, Tensor b) { return div(std::move(a), std::move(b)); }
inline Tensor operator-(Tensor a) { return neg(std::move(a)); }
inline Tensor operator+(Tensor a, double b) { return affine(std::move(a), 1, b); }
inline Tensor operator-(Tensor a, double b) { return affine(std::move(a), 1, -b); }
inline Tensor operator*(Tensor a, double b) { return affine(std::move(a), b, -0.0); }
inline Tensor operator*(double a, Tensor b) { return affine(std::move(b), a, -0.0); }
inline Tensor operator/(Tensor a, double b) { return affine(std::move(a), 1 / b, -0.0); }

// --- reductions ---------------------------------------------------------------------------------
/// Over `axes` (negative ones count from the end; none given = all). With keep_dims the reduced
/// dimensions stay with size 1. Of no elements: Op::of_nothing (reductions.h); without it, throws.
using Axes = std::vector<int>;
Tensor reduce(ReduceOp op, const Tensor& x, const Axes& axes = {}, bool keep_dims = false);
#define NF_DECLARE(Struct, function)                                                       \
  inline Tensor function(const Tensor& x, const Axes& axes = {}, bool keep_dims = false) { \
    return reduce(ReduceOp::Struct, x, axes, keep_dims);                                   \
  }
NF_SMOOTH_REDUCTIONS(NF_DECLARE)
#undef NF_DECLARE
/// i32 index of the largest element along `axis`: the first of equals, or the first NaN.
Tensor argmax(const Tensor& x, int axis);
/// Sums x down to `shape`, from which it could have been broadcast: the vjp of broadcasting.
Tensor sum_to(Tensor x, const Shape& shape);

// --- matrix products ----------------------------------------------------------------------------
/// (.., M, K) x (.., K, N) -> (.., M, N); leading dimensions broadcast; transposed views are not
/// copied.
Tensor matmul(const Tensor& a, const Tensor& b);
/// act(x w^T + bias): x (N, in), w (out, in), bias (out) or undefined; see Backend::linear.
Tensor linear(const Tensor& x, const Tensor& w, const Tensor& bias, const UnaryOp* act = nullptr,
              OpArgs args = {});

// --- convolutions: images are channels last; conv.h has the sizes -------------------------------
/// act(conv(x, w) + bias): x (N, H, W, C), w (O, C, kh, kw), bias (O) or undefined, the result
/// (N, OH, OW, O); see Backend::conv2d. A slice of x's channels is not copied.
Tensor conv2d(const Tensor& x, const Tensor& w, const Tensor& bias, const ConvGeometry& geometry,
              const UnaryOp* act = nullptr, OpArgs args = {});
/// The gradient of x, of shape `x`, from that of conv(x, w).
Tensor conv2d_backward_data(const Tensor& dout, const Tensor& w, const Shape& x,
                            const ConvGeometry& geometry);
/// The gradient of w, of shape `w`.
Tensor conv2d_backward_weights(const Tensor& x, const Tensor& dout, const Shape& w,
                               const ConvGeometry& geometry);

/// A map of numbers: what each becomes, and the logarithm of the slope there.
template <class V>
struct Sloped {
  V value, log_slope;
};

// --- maps by mixtures of logistics (mixture.h) --------------------------------------------------
/// ln F(x) - ln(1 - F(x)), F the distribution function of a mixture of K = `components` logistics,
/// and the logarithm of its slope, both of x's shape (.., A). Beside these components there is one
/// of mean 0 and log scale 0 that has 1/128 of all weight, whatever the parameters are: so the
/// value is at most |x| + ln 256 in size, and far from all means the slope at most 1. parameters
/// (.., P A) with P >= 3K are all first parameters of the A dimensions, then all second ones; the
/// last 3K of them are K logits of the weights, K means, K log scales, which limit * tanh(. /
/// limit) bounds. Of an infinite x the slope is NaN. Throws Error unless 1 <= components and limit
/// > 0.
template <class V>
using LogOdds = Sloped<V>;
LogOdds<Tensor> mixture_log_odds(const Tensor& x, const Tensor& parameters, int components,
                                 double limit);
/// The gradients of x and of all parameters, zeros for those that are not used, from those of the
/// value and the log slope, which may be undefined for zero.
std::pair<Tensor, Tensor> mixture_log_odds_backward(const LogOdds<Tensor>& douts, const Tensor& x,
                                                    const Tensor& parameters, int components,
                                                    double limit);

// --- rational-quadratic splines (spline.h) ------------------------------------------------------
/// The spline of x (.., A), or its inverse, on [-bound, bound], and the logarithm of its slope,
/// both of x's shape; outside x and 0. parameters (.., (3K - 1) A), K = `bins`, are all first
/// parameters of the A dimensions, then all second ones: K logits of the widths, K of the heights,
/// K - 1 of the slopes at inner knots. Throws Error unless bins >= 2, bound > 0 and the shapes are
/// these. (Durkan et al., "Neural Spline Flows" (2019), section 3.1)
Sloped<Tensor> rational_quadratic_spline(const Tensor& x, const Tensor& parameters,
                                         const SplineArgs& args);
/// The gradients of x and of the parameters from those of the value and the log slope, which may be
/// undefined for zero.
std::pair<Tensor, Tensor> rational_quadratic_spline_backward(const Sloped<Tensor>& douts,
                                                             const Tensor& x,
                                                             const Tensor& parameters,
                                                             const SplineArgs& args);

// --- joining, taking apart, indexing ------------------------------------------------------------
Tensor concat(std::span<const Tensor> parts, int axis);
std::vector<Tensor> split(const Tensor& x, const std::vector<std::int64_t>& sizes, int axis);
/// Throws unless every entry of the i32 `index` is in [0, size). Later look-ups with any part of it
/// need not wait for its device any more.
void check_indices(const Tensor& index, std::int64_t size);
/// i32: the whole parts of x (f32 or f64), those outside [0, size) moved to its nearest end, NaN to
/// 0. Look-ups need not wait for them to be checked: what a step computes indices with. size is 1
/// to 2^31 - 1.
Tensor clamped_indices(const Tensor& x, std::int64_t size);
/// index: i32 (n); negative entries throw, as do those beyond the end.
Tensor index_select(const Tensor& x, int axis, const Tensor& index);
Tensor index_add(const Tensor& x, int axis, const Tensor& index, const Tensor& src);
Tensor gather(const Tensor& x, int axis, const Tensor& index);
Tensor scatter_add(const Tensor& x, int axis, const Tensor& index, const Tensor& src);
/// `before` and `after` elements of `value` around dimension `axis`.
Tensor pad(const Tensor& x, int axis, std::int64_t before, std::int64_t after, double value = 0);

/// True when no element is NaN or infinite.
bool all_finite(const Tensor& x);

}  // namespace nf
