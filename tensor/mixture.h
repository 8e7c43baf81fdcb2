// The map by a mixture of logistics as scalar code, for host and device: the only place of its
// formulas. Source: Ho et al., "Flow++" (2019), section 3.2; the fixed component is ours.
//
// Of a number x and 3K parameters, K logits, K means m and K raw log scales, and of one component
// more that is not learned, with m = s = 0 and the weight eps = 1/128 of all:
//   w = (1 - eps) softmax(logits), s = limit tanh(raw / limit), u = (x - m) e^-s, and sums in
//   F      = sum w sigma(u)                   the distribution function
//   1 - F  = sum w sigma(-u)
//   F'     = sum w sigma(u) sigma(-u) e^-s    the density
//   value = ln F - ln(1 - F), log_slope = ln F' - ln F - ln(1 - F), the log of value's derivative
// Since F >= eps sigma(x) and 1 - F >= eps sigma(-x), |value| <= |x| + ln(2 / eps) whatever the
// parameters are, and far out the slope is at most 1. Of the learned components alone the widest
// decides there, and its slope may be e^limit, in each of many layers.
//
// Each sum is taken by its logarithm, so that nothing saturates far out. The CPU's loop
// (cpu/mixture.cpp) and the CUDA kernels go through the components twice for a gradient, first for
// the sums, and so need memory for none of them.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

#include "tensor/host_device.h"
#include "tensor/math.h"

namespace nf::mixture {

// Of the fixed component: eps, ln eps, ln(eps / (1 - eps)).
constexpr double kFixed = 1.0 / 128, kLogFixed = -4.852030263919617,
                 kLogitFixed = -4.844187086458591;

/// log(sum exp(x)) of one x after another, which may be infinite or NaN.
template <class T>
struct LogSum {
  T max = std::numeric_limits<T>::lowest();  ///< not -inf, from which -inf has no distance
  T sum = 0;                                 ///< of exp(x - max)

  NF_HD void take(T x) {
    const T above = x - max;
    const T size = math::exp_nonpositive(-math::abs(above));
    const T ratio = above != above ? above : size;
    sum = above > T(0) ? sum * ratio + T(1) : sum + ratio;
    max = above > T(0) ? x : max;
  }
  NF_HD T log() const { return max + math::log(sum); }
};

/// One component at x: of the sums above each term's logarithm without its weight.
template <class T>
struct Logistic {
  T u, inverse_scale, bent;  ///< u, e^-s, tanh(raw / limit)
  T below, above, density;   ///< ln sigma(u), ln sigma(-u), ln (sigma(u) sigma(-u) e^-s)

  NF_HD Logistic(T x, T mean, T raw, T limit) : bent(math::tanh(raw / limit)) {
    const T log_scale = limit * bent;
    inverse_scale = math::exp(-log_scale);
    u = (x - mean) * inverse_scale;
    take_logs(log_scale);
  }
  /// The fixed one.
  NF_HD explicit Logistic(T x) : u(x), inverse_scale(1), bent(0) { take_logs(T(0)); }

 private:
  NF_HD void take_logs(T log_scale) {
    const T size = math::abs(u);
    const T tail = math::softplus(-size);  // ln sigma(u) = min(u, 0) - tail
    below = (u < T(0) ? u : T(0)) - tail;
    above = (u > T(0) ? -u : T(0)) - tail;
    density = -size - T(2) * tail - log_scale;
  }
};

/// ln of sum exp(logit), and of the sums F, 1 - F and F' with e^logit in the place of weights; the
/// fixed component among them.
template <class T>
struct Logs {
  T weights, below, above, density;

  NF_HD T value() const { return below - above; }
  NF_HD T log_slope() const { return (density - above) - (below - weights); }
};

template <class T>
struct Sums {
  LogSum<T> weights, below, above, density;

  NF_HD void take(T logit, const Logistic<T>& at) {
    weights.take(logit);
    below.take(logit + at.below);
    above.take(logit + at.above);
    density.take(logit + at.density);
  }
  /// After all learned ones of a number: the fixed one at it, and what the sums are.
  NF_HD Logs<T> logs(T x) {
    take(weights.log() + T(kLogitFixed), Logistic<T>(x));
    return {weights.log(), below.log(), above.log(), density.log()};
  }
};

/// What comes to a component from dvalue and dlog_slope. With its shares r in each sum, and q =
/// sigma(-u), p = sigma(u),
///   d ln F = r_F (dln w + q du),  d ln(1 - F) = r_R (dln w - p du),
///   d ln F' = r_P (dln w + (q - p) du - ds).
template <class T>
struct Part {
  T weight, density, u;  ///< to ln w, to -s beside what u gives, to u

  NF_HD Part(T dvalue, T dlog_slope, T z, const Logistic<T>& at, const Logs<T>& all) {
    const T g_below = (dvalue - dlog_slope) * math::exp(z + at.below - all.below);
    const T g_above = (-dvalue - dlog_slope) * math::exp(z + at.above - all.above);
    density = dlog_slope * math::exp(z + at.density - all.density);
    const T p = math::sigmoid(at.u), q = math::sigmoid(-at.u);
    u = g_below * q - g_above * p + density * (q - p);
    weight = g_below + g_above + density;
  }
};

/// What the fixed component gives to the gradient of x, and to those of the logits: its own logit
/// is ln sum exp(logit) of the learned ones and a constant. Shares add up to 1, so the gradients of
/// all ln w add up to -dlog_slope; that of a learned logit, with t its softmax among the learned
/// ones, is what comes to its ln w and t (what comes to the fixed one + dlog_slope).
template <class T>
struct Fixed {
  T x, pull;  ///< pull: of w instead of t

  NF_HD Fixed(T dvalue, T dlog_slope, T at, const Logs<T>& all) {
    const T z = all.weights + T(kLogFixed);
    const Part<T> part(dvalue, dlog_slope, z, Logistic<T>(at), all);
    x = part.u;
    pull = (part.weight + dlog_slope) * T(1 / (1 - kFixed));
  }
};

/// What a learned component gives to the gradient of x, and its parameters' gradients; `pull` is
/// Fixed's.
template <class T>
struct Gradients {
  T x, logit, mean, raw;

  NF_HD Gradients(T dvalue, T dlog_slope, T pull, T z, const Logistic<T>& at, const Logs<T>& all) {
    const Part<T> part(dvalue, dlog_slope, z, at, all);
    x = part.u * at.inverse_scale;
    mean = -x;
    raw = -(part.u * at.u + part.density) * (T(1) - at.bent * at.bent);
    logit = part.weight + math::exp(z - all.weights) * pull;
  }
};

}  // namespace nf::mixture
