// Every scalar operation of the project: its formula, its derivative, and what backward must keep.
//
// This file is the only place where they are written. The CPU loops (cpu/elementwise.cpp) and the
// CUDA kernels are templates over these structs; the enums, the front-end functions (ops.h), the
// differentiable functions (autograd/functions.h) and the tests' enumeration come from the lists at
// the end. To add an operation, with constants or without: write its struct, add it to a list, add
// its row to tests/op_table.h.
//
// Formulas hold for T = float and double. They propagate NaN and respect infinities and signed
// zero.
#pragma once

#include <cstdint>

#include "tensor/error.h"
#include "tensor/host_device.h"
#include "tensor/math.h"

namespace nf {

/// What the derivative of a unary operation is a function of.
enum class Needs : std::uint8_t { Nothing, Input, Output };

/// Up to two constants of an operation: a slope, an alpha, the bounds of clamp.
struct OpArgs {
  double a = 0;
  double b = 0;
};

template <class T>
struct Args {
  T a, b;
  NF_HD explicit Args(OpArgs args) : a(static_cast<T>(args.a)), b(static_cast<T>(args.b)) {}
};

namespace ops {

// Each struct: f(x) is the value, df(saved) the derivative, where `saved` is what `needs` says.
// What follows is a member more, the rule of the constants k.a and k.b.
#define NF_UNARY(Struct, text, what, ...)               \
  struct Struct {                                       \
    static constexpr const char* name = text;           \
    static constexpr Needs needs = Needs::what;         \
    __VA_ARGS__                                         \
    template <class T>                                  \
    NF_HD static T f(T x, [[maybe_unused]] Args<T> k);  \
    template <class T>                                  \
    NF_HD static T df(T s, [[maybe_unused]] Args<T> k); \
  };
#define NF_RULE(right, ...) \
  static void check(OpArgs k) { NF_CHECK(right, "[", name, "] ", __VA_ARGS__); }
#define NF_F(Struct, expression)                                               \
  template <class T>                                                           \
  NF_HD inline T Struct::f([[maybe_unused]] T x, [[maybe_unused]] Args<T> k) { \
    return expression;                                                         \
  }
#define NF_DF(Struct, expression)                                               \
  template <class T>                                                            \
  NF_HD inline T Struct::df([[maybe_unused]] T s, [[maybe_unused]] Args<T> k) { \
    return expression;                                                          \
  }

// clang-format off
NF_UNARY(Affine, "affine", Nothing)          // a*x + b; to scale only, b is -0.0, which keeps the sign of a zero
NF_F(Affine, k.a * x + k.b)
NF_DF(Affine, k.a)

NF_UNARY(Neg, "neg", Nothing)
NF_F(Neg, -x)
NF_DF(Neg, T(-1))

NF_UNARY(Abs, "abs", Input)
NF_F(Abs, math::abs(x))
NF_DF(Abs, s > T(0) ? T(1) : s < T(0) ? T(-1) : s)

NF_UNARY(Sign, "sign", Nothing)              // -1, 0, 1; NaN stays NaN
NF_F(Sign, x > T(0) ? T(1) : x < T(0) ? T(-1) : x)
NF_DF(Sign, T(0))

NF_UNARY(Exp, "exp", Output)
NF_F(Exp, math::exp(x))
NF_DF(Exp, s)

NF_UNARY(Log, "log", Input)
NF_F(Log, math::log(x))
NF_DF(Log, T(1) / s)

NF_UNARY(Log1p, "log1p", Input)              // log(1 + x), exact for small x
NF_F(Log1p, math::log1p(x))
NF_DF(Log1p, T(1) / (T(1) + s))

NF_UNARY(Expm1, "expm1", Output)             // exp(x) - 1, exact for small x
NF_F(Expm1, math::expm1(x))
NF_DF(Expm1, s + T(1))

NF_UNARY(Sqrt, "sqrt", Output)
NF_F(Sqrt, math::sqrt(x))
NF_DF(Sqrt, T(0.5) / s)

NF_UNARY(Rsqrt, "rsqrt", Output)             // 1 / sqrt(x)
NF_F(Rsqrt, T(1) / math::sqrt(x))
NF_DF(Rsqrt, T(-0.5) * s * s * s)

NF_UNARY(Square, "square", Input)
NF_F(Square, x * x)
NF_DF(Square, T(2) * s)

NF_UNARY(Reciprocal, "reciprocal", Output)
NF_F(Reciprocal, T(1) / x)
NF_DF(Reciprocal, -s * s)

NF_UNARY(Sin, "sin", Input)
NF_F(Sin, math::sin(x))
NF_DF(Sin, math::cos(s))

NF_UNARY(Cos, "cos", Input)
NF_F(Cos, math::cos(x))
NF_DF(Cos, -math::sin(s))

NF_UNARY(Atan, "atan", Input)
NF_F(Atan, math::atan(x))
NF_DF(Atan, T(1) / (T(1) + s * s))

NF_UNARY(Asinh, "asinh", Input)              // log(x + sqrt(x^2 + 1))
NF_F(Asinh, math::asinh(x))
NF_DF(Asinh, math::asinh_slope(s))

NF_UNARY(Softsign, "softsign", Input)        // x / (1 + |x|)
NF_F(Softsign, math::softsign(x))
NF_DF(Softsign, math::softsign_slope(s))

NF_UNARY(Tanh, "tanh", Output)
NF_F(Tanh, math::tanh(x))
NF_DF(Tanh, T(1) - s * s)

NF_UNARY(Sigmoid, "sigmoid", Output)         // 1 / (1 + exp(-x))
NF_F(Sigmoid, math::sigmoid(x))
NF_DF(Sigmoid, s * (T(1) - s))

NF_UNARY(Softplus, "softplus", Input)        // log(1 + exp(x))
NF_F(Softplus, math::softplus(x))
NF_DF(Softplus, math::sigmoid(s))

NF_UNARY(LogSigmoid, "log_sigmoid", Input)   // -softplus(-x)
NF_F(LogSigmoid, -math::softplus(-x))
NF_DF(LogSigmoid, math::sigmoid(-s))

NF_UNARY(Relu, "relu", Output)
NF_F(Relu, x < T(0) ? T(0) : x)
NF_DF(Relu, s > T(0) ? T(1) : T(0))

NF_UNARY(LeakyRelu, "leaky_relu", Output,    // a*x below zero; a >= 0, so the output's sign is the input's
         NF_RULE(k.a >= 0, "slope must be at least 0, got ", k.a))
NF_F(LeakyRelu, x < T(0) ? k.a * x : x)
NF_DF(LeakyRelu, s > T(0) ? T(1) : k.a)

NF_UNARY(Elu, "elu", Output,                 // a * (exp(x) - 1) below zero
         NF_RULE(k.a >= 0, "alpha must be at least 0, got ", k.a))
NF_F(Elu, x < T(0) ? k.a * math::expm1(x) : x)
NF_DF(Elu, s > T(0) ? T(1) : s + k.a)

NF_UNARY(Gelu, "gelu", Input)                // x * Phi(x), exact (erf), not the tanh approximation
NF_F(Gelu, x * math::normal_cdf(x))
NF_DF(Gelu, math::normal_cdf(s) + s * math::normal_pdf(s))

NF_UNARY(Silu, "silu", Input)                // x * sigmoid(x)
NF_F(Silu, x * math::sigmoid(x))
NF_DF(Silu, math::sigmoid(s) * (T(1) + s * (T(1) - math::sigmoid(s))))

NF_UNARY(Clamp, "clamp", Input,              // into [a, b]; gradient 1 inside and on the bounds
         NF_RULE(k.a <= k.b, "low ", k.a, " is above high ", k.b))
NF_F(Clamp, x < k.a ? k.a : x > k.b ? k.b : x)
NF_DF(Clamp, s < k.a || s > k.b ? T(0) : T(1))
// clang-format on

#undef NF_UNARY
#undef NF_RULE
#undef NF_F
#undef NF_DF

// Binary operations. `uses_inputs` says whether the derivatives read a and b (then backward keeps
// them); da and db are the partial derivatives. Ties of min and max share the gradient equally.
// clang-format off
#define NF_BINARY(Struct, text, uses, value, d_a, d_b)                                     \
  struct Struct {                                                                          \
    static constexpr const char* name = text;                                              \
    static constexpr bool uses_inputs = uses;                                              \
    template <class T> NF_HD static T f(T a, T b) { return value; }                        \
    template <class T> NF_HD static T da([[maybe_unused]] T a, [[maybe_unused]] T b) { return d_a; } \
    template <class T> NF_HD static T db([[maybe_unused]] T a, [[maybe_unused]] T b) { return d_b; } \
  };
NF_BINARY(Add, "add", false, a + b, T(1), T(1))
NF_BINARY(Sub, "sub", false, a - b, T(1), T(-1))
NF_BINARY(Mul, "mul", true, a * b, b, a)
NF_BINARY(Div, "div", true, a / b, T(1) / b, -a / (b * b))
NF_BINARY(Pow, "pow", true, math::pow(a, b), b == T(0) ? T(0) : b * math::pow(a, b - T(1)),
          a > T(0) ? math::pow(a, b) * math::log(a) : T(0))
NF_BINARY(Min, "min", true, a < b || a != a ? a : b,
          a < b ? T(1) : a == b ? T(0.5) : T(0), b < a ? T(1) : a == b ? T(0.5) : T(0))
NF_BINARY(Max, "max", true, a > b || a != a ? a : b,
          a > b ? T(1) : a == b ? T(0.5) : T(0), b > a ? T(1) : a == b ? T(0.5) : T(0))
#undef NF_BINARY

#define NF_COMPARE(Struct, text, expression)                                   \
  struct Struct {                                                              \
    static constexpr const char* name = text;                                  \
    template <class T> NF_HD static std::uint8_t f(T a, T b) { return expression; } \
  };
NF_COMPARE(Equal, "equal", a == b)
NF_COMPARE(NotEqual, "not_equal", a != b)
NF_COMPARE(Less, "less", a < b)
NF_COMPARE(LessEqual, "less_equal", a <= b)
NF_COMPARE(Greater, "greater", a > b)
NF_COMPARE(GreaterEqual, "greater_equal", a >= b)
#undef NF_COMPARE
// clang-format on

}  // namespace ops

// The lists: X(Struct, function).
// clang-format off
#define NF_PLAIN_UNARY_OPS(X)                                                               \
  X(Neg, neg) X(Abs, abs) X(Sign, sign) X(Exp, exp) X(Log, log) X(Log1p, log1p)             \
  X(Expm1, expm1) X(Sqrt, sqrt) X(Rsqrt, rsqrt) X(Square, square) X(Reciprocal, reciprocal) \
  X(Sin, sin) X(Cos, cos) X(Atan, atan) X(Asinh, asinh) X(Tanh, tanh) X(Softsign, softsign) \
  X(Sigmoid, sigmoid) X(Softplus, softplus) X(LogSigmoid, log_sigmoid)    \
  X(Relu, relu) X(Gelu, gelu) X(Silu, silu)
// With one constant and its default, X(Struct, function, constant, default); with two of them,
// X(Struct, function, first, second).
#define NF_UNARY_OPS_1(X) X(LeakyRelu, leaky_relu, slope, 0.01) X(Elu, elu, alpha, 1)
#define NF_UNARY_OPS_2(X) X(Affine, affine, a, b) X(Clamp, clamp, low, high)
#define NF_UNARY_OPS(X) NF_PLAIN_UNARY_OPS(X) NF_UNARY_OPS_1(X) NF_UNARY_OPS_2(X)
#define NF_BINARY_OPS(X)                                                                    \
  X(Add, add) X(Sub, sub) X(Mul, mul) X(Div, div) X(Pow, pow) X(Min, minimum) X(Max, maximum)
#define NF_COMPARE_OPS(X)                                                                   \
  X(Equal, equal) X(NotEqual, not_equal) X(Less, less) X(LessEqual, less_equal)             \
  X(Greater, greater) X(GreaterEqual, greater_equal)
// clang-format on

/// The whole part of x, moved into [0, highest]; NaN becomes 0.
template <class T>
NF_HD inline std::int32_t index_within(T x, std::int32_t highest) {
  if (!(x > T(0))) return 0;
  if (!(x < T(2147483648.0))) return highest;  // 2^31: the conversion would be undefined
  const auto whole = static_cast<std::int32_t>(x);
  return whole < highest ? whole : highest;
}

#define NF_ENUMERATOR(Struct, ...) Struct,
enum class UnaryOp : std::uint8_t { NF_UNARY_OPS(NF_ENUMERATOR) };
enum class BinaryOp : std::uint8_t { NF_BINARY_OPS(NF_ENUMERATOR) };
enum class CompareOp : std::uint8_t { NF_COMPARE_OPS(NF_ENUMERATOR) };
#undef NF_ENUMERATOR

// Visitors: visit(op, [&]<class Op>() { ... Op::f(x) ... }).
#define NF_CASE(Struct, ...) \
  case Enum::Struct:         \
    return body.template operator()<ops::Struct>();
template <class Body>
constexpr decltype(auto) visit(UnaryOp op, Body&& body) {
  using Enum = UnaryOp;
  switch (op) { NF_UNARY_OPS(NF_CASE) }
  __builtin_unreachable();
}
template <class Body>
constexpr decltype(auto) visit(BinaryOp op, Body&& body) {
  using Enum = BinaryOp;
  switch (op) { NF_BINARY_OPS(NF_CASE) }
  __builtin_unreachable();
}
template <class Body>
constexpr decltype(auto) visit(CompareOp op, Body&& body) {
  using Enum = CompareOp;
  switch (op) { NF_COMPARE_OPS(NF_CASE) }
  __builtin_unreachable();
}
#undef NF_CASE

template <class E>
constexpr const char* name_of(E op) {
  return visit(op, []<class Op>() { return Op::name; });
}
constexpr Needs needs_of(UnaryOp op) {
  return visit(op, []<class Op>() { return Op::needs; });
}
/// The constants of an operation; throws where they break its rule.
template <class Op>
OpArgs constants(double a, double b = 0) {
  const OpArgs k{a, b};
  if constexpr (requires { Op::check(k); }) Op::check(k);
  return k;
}
constexpr bool uses_inputs(BinaryOp op) {
  return visit(op, []<class Op>() { return Op::uses_inputs; });
}

}  // namespace nf
