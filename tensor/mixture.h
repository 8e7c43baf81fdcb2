// The map by a mixture of logistics as scalar code, for host and device: the only place of its
// formulas. Source: Ho et al., "Flow++" (2019), section 3.2.
//
// Of a number x and 3K parameters, K logits, K means m and K raw log scales:
//   w = softmax(logits), s = limit tanh(raw / limit), u = (x - m) e^-s, and sums over k in
//   F      = sum w sigma(u)                   the distribution function
//   1 - F  = sum w sigma(-u)
//   F'     = sum w sigma(u) sigma(-u) e^-s    the density
//   value = ln F - ln(1 - F), log_slope = ln F' - ln F - ln(1 - F), the log of value's derivative
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

  NF_HD Logistic(T x, T mean, T raw, T limit) {
    bent = math::tanh(raw / limit);
    const T log_scale = limit * bent;
    inverse_scale = math::exp(-log_scale);
    u = (x - mean) * inverse_scale;
    const T size = math::abs(u);
    const T tail = math::softplus(-size);  // ln sigma(u) = min(u, 0) - tail
    below = (u < T(0) ? u : T(0)) - tail;
    above = (u > T(0) ? -u : T(0)) - tail;
    density = -size - T(2) * tail - log_scale;
  }
};

/// ln of sum exp(logit), and of the sums F, 1 - F and F' with e^logit in the place of weights.
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
  NF_HD Logs<T> logs() const { return {weights.log(), below.log(), above.log(), density.log()}; }
};

/// What a component gives to the gradient of x, and its parameters' gradients. With its shares r in
/// each sum, and q = sigma(-u), p = sigma(u),
///   d ln F = r_F (dln w + q du),  d ln(1 - F) = r_R (dln w - p du),
///   d ln F' = r_P (dln w + (q - p) du - ds).
/// Shares add up to 1, so the gradients of all ln w add up to -dlog_slope, and what softmax takes
/// from that of a logit is -w dlog_slope.
template <class T>
struct Gradients {
  T x, logit, mean, raw;

  NF_HD Gradients(T dvalue, T dlog_slope, T z, const Logistic<T>& at, const Logs<T>& all) {
    const T weight = math::exp(z - all.weights);
    const T g_below = (dvalue - dlog_slope) * math::exp(z + at.below - all.below);
    const T g_above = (-dvalue - dlog_slope) * math::exp(z + at.above - all.above);
    const T g_density = dlog_slope * math::exp(z + at.density - all.density);
    const T p = math::sigmoid(at.u), q = math::sigmoid(-at.u);
    const T du = g_below * q - g_above * p + g_density * (q - p);
    x = du * at.inverse_scale;
    mean = -x;
    raw = -(du * at.u + g_density) * (T(1) - at.bent * at.bent);
    logit = g_below + g_above + g_density + weight * dlog_slope;
  }
};

}  // namespace nf::mixture
