// Reductions: each is one struct, with its name, its value and its gradient, and one entry in the
// list at the end. The CPU's loops (cpu/reduce.cpp), the CUDA kernels, the enum, the functions on
// tensors (ops.h) and on Vars (autograd/functions.h) and the tests' enumeration come from there.
//
// A value is either a Fold, a reduction of of(x) by one associative operation, or a State of its
// own. A state takes in elements, states of the parts of a row are merged in order, and finish(n)
// gives the result of n elements. Sums of f32 are of doubles. `of_nothing` is the result of no
// elements; without it they are an error.
//
// A gradient is written with functions of tensors, which it finds by its argument g: g.dout is the
// gradient of the result, broadcast to the elements; g.n the elements of one result; g.axes the
// axes. Where it `needs` the input, g.x are the elements and g.out the results, with kept
// dimensions.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

#include "tensor/elementwise.h"
#include "tensor/host_device.h"
#include "tensor/math.h"

namespace nf::reductions {

// --- folds --------------------------------------------------------------------------------------

struct Sum {
  static constexpr const char* name = "sum";
  static constexpr Needs needs = Needs::Nothing;
  static constexpr double of_nothing = 0;
  template <class T>
  struct Fold {
    using Acc = double;
    static constexpr Acc start = 0;
    NF_HD static Acc of(T x) { return x; }
    NF_HD static Acc join(Acc a, Acc b) { return a + b; }
    NF_HD static T finish(Acc a, std::int64_t) { return static_cast<T>(a); }
  };
  static auto grad(const auto& g) { return g.dout; }
};

struct Mean {
  static constexpr const char* name = "mean";
  static constexpr Needs needs = Needs::Nothing;
  template <class T>
  struct Fold : Sum::Fold<T> {
    NF_HD static T finish(double a, std::int64_t n) {
      return static_cast<T>(a / static_cast<double>(n));
    }
  };
  static auto grad(const auto& g) { return g.dout / g.n; }
};

struct SumSquares {
  static constexpr const char* name = "sum_squares";
  static constexpr Needs needs = Needs::Input;
  static constexpr double of_nothing = 0;
  template <class T>
  struct Fold : Sum::Fold<T> {
    NF_HD static double of(T x) { return static_cast<double>(x) * x; }
  };
  static auto grad(const auto& g) { return g.dout * g.x * 2.0; }
};

struct Prod {
  static constexpr const char* name = "prod";
  static constexpr Needs needs = Needs::Input;
  static constexpr double of_nothing = 1;
  template <class T>
  struct Fold {
    using Acc = double;
    static constexpr Acc start = 1;
    NF_HD static Acc of(T x) { return x; }
    NF_HD static Acc join(Acc a, Acc b) { return a * b; }
    NF_HD static T finish(Acc a, std::int64_t) { return static_cast<T>(a); }
  };
  /// The product of the others: prod / x_i, except beside a zero. With one zero in the row only
  /// that element has a gradient, with two nobody has.
  static auto grad(const auto& g) {
    const auto zero = g.constant(0), one = g.constant(1);
    const auto is_zero = equal(g.x, zero);
    const auto without_zeros = where(is_zero, one, g.x);
    const auto rest = prod(without_zeros, g.axes, true);
    const auto zeros = sum(is_zero.to(g.x.dtype()), g.axes, true);
    const auto at_zero = where(equal(zeros, one), rest, zero);
    const auto elsewhere = where(equal(zeros, zero), rest, zero) / without_zeros;
    return g.dout * where(is_zero, at_zero, elsewhere);
  }
};

/// A gradient that all elements share which are equal to the result.
auto share_among_equals(const auto& g) {
  const auto hit = equal(g.x, g.out).to(g.x.dtype());
  return g.dout * hit / sum(hit, g.axes, true);
}

struct Max {
  static constexpr const char* name = "max";
  static constexpr Needs needs = Needs::Input;
  template <class T>
  struct Fold {
    using Acc = T;
    static constexpr Acc start = -std::numeric_limits<T>::infinity();
    NF_HD static Acc of(T x) { return x; }
    NF_HD static Acc join(Acc a, Acc b) {
      return b > a || b != b ? b : a;
    }  // a NaN of either stays
    NF_HD static T finish(Acc a, std::int64_t) { return a; }
  };
  static auto grad(const auto& g) { return share_among_equals(g); }
};

struct Min {
  static constexpr const char* name = "min";
  static constexpr Needs needs = Needs::Input;
  template <class T>
  struct Fold {
    using Acc = T;
    static constexpr Acc start = std::numeric_limits<T>::infinity();
    NF_HD static Acc of(T x) { return x; }
    NF_HD static Acc join(Acc a, Acc b) { return b < a || b != b ? b : a; }
    NF_HD static T finish(Acc a, std::int64_t) { return a; }
  };
  static auto grad(const auto& g) { return share_among_equals(g); }
};

// --- states of their own ------------------------------------------------------------------------

/// log(sum exp(x)) = max + log(sum exp(x - max)), with a running maximum.
struct LogSumExp {
  static constexpr const char* name = "logsumexp";
  static constexpr Needs needs = Needs::Input;
  template <class T>
  struct State {
    using Out = T;
    T max = Max::Fold<T>::start;
    double sum = 0;  ///< of exp(x - max); unused while max is not finite

    NF_HD void take(T x, std::int64_t) {
      update_max(x);
      if (std::isfinite(max)) sum += static_cast<double>(math::exp_nonpositive(x - max));
    }
    NF_HD void merge(const State& next) {
      update_max(next.max);
      if (std::isfinite(max)) sum += next.sum * math::exp(static_cast<double>(next.max) - max);
    }
    NF_HD Out finish(std::int64_t) const {
      return std::isfinite(max) ? static_cast<T>(max + math::log(sum)) : max;
    }
    NF_HD void update_max(T other) {
      const T raised = Max::Fold<T>::join(max, other);
      if (raised == max) return;
      if (std::isfinite(raised)) sum *= math::exp(static_cast<double>(max) - raised);
      max = raised;
    }
  };
  /// softmax(x); a row of -inf has no direction in which it grows: gradient 0.
  static auto grad(const auto& g) {
    const auto softmax = exp(g.x - g.out);
    const auto lowest = g.constant(-std::numeric_limits<double>::infinity());
    return g.dout * where(equal(g.x, lowest), g.constant(0), softmax);
  }
};

/// Mean of the squared distance from the mean (divides by n). The state has the mean and the sum of
/// squared distances from it: single elements by Welford's recurrence (1962), parts by the formula
/// of Chan, Golub and LeVeque (1979).
struct Variance {
  static constexpr const char* name = "variance";
  static constexpr Needs needs = Needs::Input;
  template <class T>
  struct State {
    using Out = T;
    double count = 0, mean = 0, squares = 0;

    NF_HD void take(T x, std::int64_t) {
      const double distance = x - mean;
      count += 1;
      mean += distance / count;
      squares += distance * (x - mean);
    }
    NF_HD void merge(const State& next) {
      if (next.count == 0) return;
      const double total = count + next.count, distance = next.mean - mean;
      squares += next.squares + distance * distance * count * next.count / total;
      mean += distance * next.count / total;
      count = total;
    }
    NF_HD Out finish(std::int64_t) const { return static_cast<T>(squares / count); }
  };
  static auto grad(const auto& g) { return g.dout * (g.x - mean(g.x, g.axes, true)) * (2 / g.n); }
};

/// The first of the largest elements, or the first NaN. Parts may be merged in any order.
struct ArgMax {
  static constexpr const char* name = "argmax";
  template <class T>
  struct State {
    using Out = std::int32_t;
    T value = 0;
    std::int64_t index = -1;  ///< none yet

    NF_HD void take(T x, std::int64_t i) {
      if (!above(x)) return;
      value = x;
      index = i;
    }
    NF_HD void merge(const State& next) {
      if (next.index < 0) return;
      const bool equal = next.value == value || (next.value != next.value && value != value);
      if (above(next.value) || (equal && next.index < index)) *this = next;
    }
    NF_HD Out finish(std::int64_t) const { return static_cast<Out>(index); }
    NF_HD bool above(T other) const {
      return index < 0 || other > value || (other != other && value == value);
    }
  };
};

// --- the state of each --------------------------------------------------------------------------

template <class Fold, class T>
struct FoldState {
  using Out = T;
  typename Fold::Acc acc = Fold::start;

  NF_HD void take(T x, std::int64_t) { acc = Fold::join(acc, Fold::of(x)); }
  NF_HD void merge(const FoldState& next) { acc = Fold::join(acc, next.acc); }
  NF_HD Out finish(std::int64_t n) const { return Fold::finish(acc, n); }
};

template <class Op, class T>
concept HasFold = requires {
  typename Op::template Fold<T>;
};

template <class Op, class T>
struct StateOf {
  using Type = typename Op::template State<T>;
};
template <class Op, class T>
requires HasFold<Op, T>
struct StateOf<Op, T> {
  using Type = FoldState<typename Op::template Fold<T>, T>;
};
template <class Op, class T>
using State = typename StateOf<Op, T>::Type;

}  // namespace nf::reductions

namespace nf {

// The lists: X(Struct, function).
// clang-format off
#define NF_SMOOTH_REDUCTIONS(X)                                                             \
  X(Sum, sum) X(Mean, mean) X(SumSquares, sum_squares) X(Prod, prod) X(Max, max) X(Min, min) \
  X(LogSumExp, logsumexp) X(Variance, variance)
// Those that give an index have hand-written signatures in ops.h, and no gradient.
#define NF_REDUCTIONS(X) NF_SMOOTH_REDUCTIONS(X) X(ArgMax, argmax)
// clang-format on

#define NF_ENUMERATOR(Struct, function) Struct,
enum class ReduceOp : std::uint8_t { NF_REDUCTIONS(NF_ENUMERATOR) };
#undef NF_ENUMERATOR

/// visit(op, [&]<class Op>() { ... reductions::State<Op, float> ... })
#define NF_CASE(Struct, function) \
  case ReduceOp::Struct:          \
    return body.template operator()<reductions::Struct>();
template <class Body>
constexpr decltype(auto) visit(ReduceOp op, Body&& body) {
  switch (op) { NF_REDUCTIONS(NF_CASE) }
  __builtin_unreachable();
}
#undef NF_CASE

}  // namespace nf
