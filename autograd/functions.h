// Every differentiable function: the functions of tensor/ops.h on Vars, plus log-determinants.
//
// The value is that of the tensor function; when a tape records and an input requires a gradient,
// the gradient's closure is recorded. Shapes, dtypes and errors are the tensor function's.
// Elementwise functions and reductions come from the lists of tensor/elementwise.h and
// tensor/reductions.h. Adding another: list it in NF_FUNCTIONS, write it beside its relatives in
// functions_*.cpp with the closure under the forward, and add its row to tests/op_table.h (a test
// fails until you do).
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "autograd/tape.h"
#include "autograd/var.h"
#include "tensor/ops.h"

namespace nf {

// The functions that are neither elementwise (elementwise.h) nor reductions (reductions.h), as
// X(function).
// clang-format off
#define NF_FUNCTIONS(X)                                                                      \
  X(where) X(matmul) X(linear) X(conv2d) X(reshape) X(permute) X(broadcast_to) X(slice) X(flip)        \
  X(concat) X(append) X(index_select) X(gather) X(scatter_add) X(index_add) X(pad) X(cast)             \
  X(triangular_solve) X(cholesky) X(inverse) X(slogdet) X(mixture_log_odds)                    \
  X(rational_quadratic_spline) X(checkpoint)
// clang-format on

// --- elementwise --------------------------------------------------------------------------------
// By value: what nobody else holds, and backward does not need, gives its memory to the result.
Var unary(UnaryOp op, Var x, OpArgs args = {});
Var binary(BinaryOp op, Var a, Var b);

#define NF_DECLARE(Struct, function) \
  inline Var function(Var x) { return unary(UnaryOp::Struct, std::move(x)); }
NF_PLAIN_UNARY_OPS(NF_DECLARE)
#undef NF_DECLARE
#define NF_DECLARE(Struct, function, constant, standard)                           \
  inline Var function(Var x, double constant = standard) {                         \
    return unary(UnaryOp::Struct, std::move(x), constants<ops::Struct>(constant)); \
  }
NF_UNARY_OPS_1(NF_DECLARE)
#undef NF_DECLARE
#define NF_DECLARE(Struct, function, first, second)                                     \
  inline Var function(Var x, double first, double second) {                             \
    return unary(UnaryOp::Struct, std::move(x), constants<ops::Struct>(first, second)); \
  }
NF_UNARY_OPS_2(NF_DECLARE)
#undef NF_DECLARE
#define NF_DECLARE(Struct, function) \
  inline Var function(Var a, Var b) { return binary(BinaryOp::Struct, std::move(a), std::move(b)); }
NF_BINARY_OPS(NF_DECLARE)
#undef NF_DECLARE

Var where(const Tensor& condition, const Var& a, const Var& b);

inline Var operator+(Var a, Var b) { return add(std::move(a), std::move(b)); }
inline Var operator-(Var a, Var b) { return sub(std::move(a), std::move(b)); }
inline Var operator*(Var a, Var b) { return mul(std::move(a), std::move(b)); }
inline Var operator/(Var a, Var b) { return div(std::move(a), std::move(b)); }
inline Var operator-(Var a) { return neg(std::move(a)); }
inline Var operator+(Var a, double b) { return affine(std::move(a), 1, b); }
inline Var operator+(double a, Var b) { return affine(std::move(b), 1, a); }
inline Var operator-(Var a, double b) { return affine(std::move(a), 1, -b); }
inline Var operator-(double a, Var b) { return affine(std::move(b), -1, a); }
inline Var operator*(Var a, double b) { return affine(std::move(a), b, -0.0); }
inline Var operator*(double a, Var b) { return affine(std::move(b), a, -0.0); }
inline Var operator/(Var a, double b) { return affine(std::move(a), 1 / b, -0.0); }

// --- reductions ---------------------------------------------------------------------------------
#define NF_DECLARE(Struct, function) \
  Var function(const Var& x, const Axes& axes = {}, bool keep_dims = false);
NF_SMOOTH_REDUCTIONS(NF_DECLARE)
#undef NF_DECLARE

// --- matrix products ----------------------------------------------------------------------------
Var matmul(const Var& a, const Var& b);
/// act(x w^T + bias): x (N, in), w (out, in), bias (out) or undefined. One kernel, one node.
Var linear(const Var& x, const Var& w, const Var& bias, const UnaryOp* act = nullptr,
           OpArgs args = {});
/// act(conv(x, w) + bias): x (N, H, W, C), w (O, C, kh, kw), bias (O) or undefined (tensor/conv.h).
Var conv2d(const Var& x, const Var& w, const Var& bias, const ConvGeometry& geometry,
           const UnaryOp* act = nullptr, OpArgs args = {});

// --- maps by mixtures of logistics --------------------------------------------------------------
/// Backward computes everything from x and the parameters once more.
LogOdds<Var> mixture_log_odds(const Var& x, const Var& parameters, int components, double limit);

// --- rational-quadratic splines -----------------------------------------------------------------
/// Backward computes everything from x and the parameters once more.
Sloped<Var> rational_quadratic_spline(const Var& x, const Var& parameters, const SplineArgs& args);

// --- shapes -------------------------------------------------------------------------------------
Var reshape(const Var& x, const Shape& shape);
Var permute(const Var& x, const std::vector<int>& order);
Var transpose(const Var& x, int a, int b);
Var broadcast_to(const Var& x, const Shape& shape);
Var slice(const Var& x, int axis, std::int64_t start, std::int64_t count, std::int64_t step = 1);
inline Var narrow(const Var& x, int axis, std::int64_t start, std::int64_t count) {
  return slice(x, axis, start, count, 1);
}
Var flip(const Var& x, int axis);
Var concat(std::span<const Var> parts, int axis);
inline Var concat(std::initializer_list<Var> parts, int axis) {
  return concat(std::span<const Var>(parts.begin(), parts.size()), axis);
}
/// `whole` with `part` at start, start + 1, ... of `axis`, in whole's own memory: what grows by a
/// part in each step is never copied. Nobody may have read this place in `whole`, which begins as
/// Tensor::empty. The gradient of `whole` has that of `part` in it, where nobody looks.
Var append(Var whole, int axis, std::int64_t start, const Var& part);
std::vector<Var> split(const Var& x, const std::vector<std::int64_t>& sizes, int axis);
Var pad(const Var& x, int axis, std::int64_t before, std::int64_t after, double value = 0);
/// To f32 or f64; the gradient comes back in x's dtype.
Var cast(const Var& x, DType dtype);

// --- indexing -----------------------------------------------------------------------------------
Var index_select(const Var& x, int axis, const Tensor& index);
Var index_add(const Var& x, int axis, const Tensor& index, const Var& src);
Var gather(const Var& x, int axis, const Tensor& index);
Var scatter_add(const Var& x, int axis, const Tensor& index, const Var& src);

// --- linear algebra (tensor/linalg.h) -----------------------------------------------------------
/// A X = B for triangular A; the gradient of A has A's triangle only.
Var triangular_solve(const Var& a, const Var& b, bool lower = true);
Var cholesky(const Var& a);  ///< of a symmetric A; its gradient is symmetric too
Var inverse(const Var& a);
/// log|det A|, a scalar. d/dA = A^-T.
Var slogdet(const Var& a);

// --- memory for time ----------------------------------------------------------------------------
/// fn(inputs) as one node that keeps only the inputs: backward runs fn again on a nested tape. fn
/// must be a pure function of its inputs and of leaves (a random draw inside must repeat itself).
using MultiFn = std::function<std::vector<Var>(const std::vector<Var>&)>;
std::vector<Var> checkpoint(const MultiFn& fn, const std::vector<Var>& inputs);

}  // namespace nf
