// Reductions, written once for the CPU's loops and the CUDA kernels. A state takes in elements,
// states of the parts of a row are merged in order, and finish(n) gives the result of n elements.
// Sums of f32 are of doubles.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

#include "tensor/host_device.h"
#include "tensor/math.h"

namespace nf::reductions {

// --- folds: reductions of of(x) by one associative operation ------------------------------------

template <class T>
struct Sum {
  using Acc = double;
  static constexpr Acc start = 0;
  NF_HD static Acc of(T x) { return x; }
  NF_HD static Acc join(Acc a, Acc b) { return a + b; }
  NF_HD static T finish(Acc a, std::int64_t) { return static_cast<T>(a); }
};

template <class T>
struct Mean : Sum<T> {
  NF_HD static T finish(double a, std::int64_t n) {
    return static_cast<T>(a / static_cast<double>(n));
  }
};

template <class T>
struct SumSquares : Sum<T> {
  NF_HD static double of(T x) { return static_cast<double>(x) * x; }
};

template <class T>
struct Prod {
  using Acc = double;
  static constexpr Acc start = 1;
  NF_HD static Acc of(T x) { return x; }
  NF_HD static Acc join(Acc a, Acc b) { return a * b; }
  NF_HD static T finish(Acc a, std::int64_t) { return static_cast<T>(a); }
};

template <class T>
struct Max {
  using Acc = T;
  static constexpr Acc start = -std::numeric_limits<T>::infinity();
  NF_HD static Acc of(T x) { return x; }
  NF_HD static Acc join(Acc a, Acc b) { return b > a || b != b ? b : a; }  // keeps a NaN of either
  NF_HD static T finish(Acc a, std::int64_t) { return a; }
};

template <class T>
struct Min {
  using Acc = T;
  static constexpr Acc start = std::numeric_limits<T>::infinity();
  NF_HD static Acc of(T x) { return x; }
  NF_HD static Acc join(Acc a, Acc b) { return b < a || b != b ? b : a; }
  NF_HD static T finish(Acc a, std::int64_t) { return a; }
};

// --- states -------------------------------------------------------------------------------------

template <class Fold, class T>
struct FoldState {
  using Out = T;
  typename Fold::Acc acc = Fold::start;

  NF_HD void take(T x, std::int64_t) { acc = Fold::join(acc, Fold::of(x)); }
  NF_HD void merge(const FoldState& next) { acc = Fold::join(acc, next.acc); }
  NF_HD Out finish(std::int64_t n) const { return Fold::finish(acc, n); }
};

/// log(sum exp(x)) = max + log(sum exp(x - max)), with a running maximum.
template <class T>
struct LogSumExp {
  using Out = T;
  T max = Max<T>::start;
  double sum = 0;  ///< of exp(x - max); unused while max is not finite

  NF_HD void take(T x, std::int64_t) {
    raise(x);
    if (std::isfinite(max)) sum += static_cast<double>(math::exp_nonpositive(x - max));
  }
  NF_HD void merge(const LogSumExp& next) {
    raise(next.max);
    if (std::isfinite(max)) sum += next.sum * math::exp(static_cast<double>(next.max) - max);
  }
  NF_HD Out finish(std::int64_t) const {
    return std::isfinite(max) ? static_cast<T>(max + math::log(sum)) : max;
  }
  NF_HD void raise(T other) {
    const T raised = Max<T>::join(max, other);
    if (raised == max) return;
    if (std::isfinite(raised)) sum *= math::exp(static_cast<double>(max) - raised);
    max = raised;
  }
};

/// Mean and sum of squared distances from it: single elements by Welford's recurrence (1962), parts
/// by the formula of Chan, Golub and LeVeque (1979).
template <class T>
struct Variance {
  using Out = T;
  double count = 0, mean = 0, squares = 0;

  NF_HD void take(T x, std::int64_t) {
    const double distance = x - mean;
    count += 1;
    mean += distance / count;
    squares += distance * (x - mean);
  }
  NF_HD void merge(const Variance& next) {
    if (next.count == 0) return;
    const double total = count + next.count, distance = next.mean - mean;
    squares += next.squares + distance * distance * count * next.count / total;
    mean += distance * next.count / total;
    count = total;
  }
  NF_HD Out finish(std::int64_t) const { return static_cast<T>(squares / count); }
};

/// The first of the largest elements, or the first NaN. Parts may be merged in any order.
template <class T>
struct ArgMax {
  using Out = std::int32_t;
  T value = 0;
  std::int64_t index = -1;  ///< none yet

  NF_HD void take(T x, std::int64_t i) {
    if (!above(x)) return;
    value = x;
    index = i;
  }
  NF_HD void merge(const ArgMax& next) {
    if (next.index < 0) return;
    const bool equal = next.value == value || (next.value != next.value && value != value);
    if (above(next.value) || (equal && next.index < index)) *this = next;
  }
  NF_HD Out finish(std::int64_t) const { return static_cast<Out>(index); }
  NF_HD bool above(T other) const {
    return index < 0 || other > value || (other != other && value == value);
  }
};

}  // namespace nf::reductions
