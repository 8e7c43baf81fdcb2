// The rational-quadratic spline as scalar code, for host and device: the only place of its
// formulas. Source: Durkan, Bekasov, Murray, Papamakarios, "Neural Spline Flows" (2019), section
// 3.1; Gregory and Delbourgo (1982).
//
// Of a number and 3K - 1 parameters, K logits of widths, K of heights, K - 1 of slopes. On both
// sides of [-B, B] a bin k begins and is large, with the shares p = softmax(logits) and the least
// part m = 1/1000,
//   begin = 2B ((1 - m K) (p_0 + .. + p_{k-1}) + m k) - B,  size = 2B ((1 - m K) p_k + m)
// and slopes are softplus(logit + c) + m at inner knots, with c such that 0 gives 1, and 1 at both
// ends. In a bin from (x_k, y_k), w wide and h high, with the slopes d and e at its knots:
//   t = (x - x_k) / w,  s = h / w,  q = t (1 - t)
//   below = s + (d + e - 2 s) q,  value = y_k + h (s t^2 + d q) / below
//   log_slope = ln(s^2 (e t^2 + 2 s q + d (1 - t)^2)) - 2 ln below
// Outside of (-B, B) the value is x, and log_slope 0. A number there is evaluated at 0 instead,
// before anything is selected, so that no NaN comes out of what nobody wants.
#pragma once

#include <cmath>
#include <cstdint>

#include "tensor/host_device.h"
#include "tensor/math.h"

namespace nf::spline {

constexpr double kLeast = 1e-3;                     // m: of shares, and of slopes
constexpr double kSlopeShift = 0.5397424172369521;  // c = ln(e^(1 - m) - 1)

/// How shares become places on a side of the interval.
template <class T>
struct Scale {
  T bound, rest;  ///< B, 1 - m K

  NF_HD Scale(std::int64_t bins, double b)
      : bound(static_cast<T>(b)), rest(static_cast<T>(1 - kLeast * static_cast<double>(bins))) {}
  /// Where bin number k begins that has the sum `before` of all shares before it.
  NF_HD T begin(T k, T before) const {
    return (before * rest + k * T(kLeast)) * (T(2) * bound) - bound;
  }
  NF_HD T size(T share) const { return (share * rest + T(kLeast)) * (T(2) * bound); }
  NF_HD bool holds(T x) const { return math::abs(x) < bound; }
  /// The number itself inside.
  NF_HD T within(T x) const { return holds(x) ? x : T(0); }
};

/// Of an inner knot.
template <class T>
NF_HD T slope_of(T logit) {
  return math::softplus(logit + T(kSlopeShift)) + T(kLeast);
}

/// A way through the bins of a side, from the first to the last: what is remembered of one of them.
template <class T>
struct Way {
  T sum = 0;                ///< of all shares until now
  T before = 0, share = 0;  ///< of the bin that is remembered: the sum then, its own

  NF_HD void take(bool remember, T p) {
    before = remember ? sum : before;
    share = remember ? p : share;
    sum += p;
  }
};

/// The bin in which a number lies: the last one that begins at or below it.
template <class T>
struct Bin {
  T left, width, bottom, height, slope, next_slope;  ///< x_k, w, y_k, h, d, e
};

/// What the formulas are made of at the part t of a bin.
template <class T>
struct Inside {
  T t, s, q, below, above, top;  ///< above: e t^2 + 2 s q + d (1 - t)^2; top: s t^2 + d q

  NF_HD Inside(const Bin<T>& b, T at) : t(at), s(b.height / b.width), q(at * (T(1) - at)) {
    below = s + (b.slope + b.next_slope - T(2) * s) * q;
    above = b.next_slope * t * t + T(2) * s * q + b.slope * (T(1) - t) * (T(1) - t);
    top = s * t * t + b.slope * q;
  }
  NF_HD T value(const Bin<T>& b) const { return b.bottom + b.height * top / below; }
  NF_HD T log_slope() const { return math::log(s * s * above) - T(2) * math::log(below); }
  NF_HD T slope() const { return (s / below) * (s * above / below); }
};

template <class T>
NF_HD Inside<T> at_x(const Bin<T>& b, T x) {
  return {b, (x - b.left) / b.width};
}

/// Where the value is z: Gregory and Delbourgo's root that does not cancel. What is under the
/// square root is not negative but for rounding. (Durkan et al., eq. 6 to 8)
template <class T>
NF_HD Inside<T> at_z(const Bin<T>& b, T z) {
  const T s = b.height / b.width, up = z - b.bottom;
  const T bend = b.slope + b.next_slope - T(2) * s;
  const T qa = b.height * (s - b.slope) + up * bend, qb = b.height * b.slope - up * bend;
  const T qc = -(s * up);
  const T square = qb * qb - T(4) * qa * qc;
  const T t = T(2) * qc / (-qb - math::sqrt(square > T(0) ? square : T(0)));
  return {b, t < T(0) ? T(0) : t > T(1) ? T(1) : t};
}

template <class T>
struct Result {
  T value, log_slope;
};

/// The spline, or its inverse, at x, which lies in this bin of its side.
template <bool Inverse, class T>
NF_HD Result<T> result_at(const Scale<T>& scale, const Bin<T>& b, T x) {
  const T at = scale.within(x);
  const Inside<T> here = Inverse ? at_z(b, at) : at_x(b, at);
  const T value = Inverse ? b.left + here.t * b.width : here.value(b);
  const T log_slope = Inverse ? -here.log_slope() : here.log_slope();
  return {scale.holds(x) ? value : x, scale.holds(x) ? log_slope : T(0)};
}

/// What comes to the numbers of a bin, and to x, from dvalue and dlog_slope of the spline.
template <class T>
struct Pulls {
  T x, left, width, bottom, height, slope, next_slope;

  NF_HD Pulls(const Bin<T>& b, const Inside<T>& at, T dvalue, T dlog_slope) {
    const T t = at.t, u = T(1) - at.t, q = at.q, s = at.s;
    const T dtop = dvalue * b.height / at.below, dabove = dlog_slope / at.above;
    const T dbelow = -(dtop * at.top + T(2) * dlog_slope) / at.below;
    const T dq = dbelow * (b.slope + b.next_slope - T(2) * s) + dtop * b.slope + dabove * T(2) * s;
    const T dt = dtop * T(2) * s * t + dq * (T(1) - T(2) * t) +
                 T(2) * dabove * (b.next_slope * t - b.slope * u);
    const T ds =
        T(2) * dlog_slope / s + dbelow * (T(1) - T(2) * q) + dtop * t * t + T(2) * dabove * q;
    x = dt / b.width;
    left = -x;
    width = -(dt * t + ds * s) / b.width;
    bottom = dvalue;
    height = dvalue * at.top / at.below + ds / b.width;
    slope = (dbelow + dtop) * q + dabove * u * u;
    next_slope = dbelow * q + dabove * t * t;
  }
};

/// Those of result_at. With x = f^-1(z) and M = -log_slope(x), dz = f' dx + what the parameters do,
/// so the inverse's pulls are the spline's with -(dx + x's share of dM) / f' for the value and -dM
/// for the slope.
template <bool Inverse, class T>
NF_HD Pulls<T> pulls_at(const Scale<T>& scale, const Bin<T>& b, T x, T dvalue, T dlog_slope) {
  const bool inside = scale.holds(x);
  const T at = scale.within(x), zero = T(0);
  const Inside<T> here = Inverse ? at_z(b, at) : at_x(b, at);
  T dv = inside ? dvalue : zero, ds = inside ? dlog_slope : zero, dx = zero;
  if constexpr (Inverse) {
    ds = -ds;
    dx = (dv + Pulls<T>(b, here, zero, ds).x) / here.slope();
    dv = -dx;
  }
  Pulls<T> pulls(b, here, dv, ds);
  pulls.x = inside ? (Inverse ? dx : pulls.x) : dvalue;
  return pulls;
}

/// The gradient of a logit of a side whose bin number k has the share p, from those of where `bin`
/// begins, and how large it is.
template <class T>
struct SideGradient {
  T bin, begin, size, mean;  ///< mean: what comes to all shares, by their size

  NF_HD SideGradient(const Scale<T>& scale, T bin_, const Way<T>& way, T dbegin, T dsize)
      : bin(bin_), begin(dbegin * factor(scale)), size(dsize * factor(scale)) {
    mean = begin * way.before + size * way.share;
  }
  NF_HD T of(T k, T p) const {
    const T own = k < bin ? begin : k == bin ? size : T(0);
    return p * (own - mean);
  }

 private:
  NF_HD static T factor(const Scale<T>& scale) { return T(2) * scale.bound * scale.rest; }
};

/// And of slope logit number j, that of knot j + 1; `logit` is its value.
template <class T>
NF_HD T slope_gradient(T dslope, T logit) {
  return dslope * math::sigmoid(logit + T(kSlopeShift));
}

}  // namespace nf::spline
