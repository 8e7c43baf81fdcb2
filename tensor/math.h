// Scalar functions for elementwise.h, for float and double, on host and device.
//
// The float versions are our own: straight-line code (polynomials, exponent bits, selects), so that
// any plain loop over them vectorises without -ffast-math, which would give up NaN, infinity and
// signed zero. Every element takes the same path, so its value does not depend on its place in an
// array or on the number of threads. glibc's libmvec would vectorise too, but g++ uses it only
// under -ffast-math, its errors reach 4 ulp, and the remainder of a loop would go through other
// code. The double versions serve gradient checks and call the standard library. On the GPU (see
// kOnDevice), where branches are cheap and vectors are not an issue, CUDA's own accurate functions
// (1 to 4 ulp; never the __expf kind) take the place of those that it has.
//
// Largest error of the float functions in ulp over all floats, subnormal results included, with and
// without fused multiply-add (tests/tensor_math.cpp asserts these bounds):
//   exp 1.1     expm1 1.6    log 0.9        log1p 1.7        sin 1.6         cos 1.6    sqrt 0.5
//   tanh 2.6    sigmoid 2.5  softplus 2.5   normal_cdf 6.5   normal_pdf 2.7  pow 0.6
//   asinh 3.0   atan 3.0     softsign 1.5
#pragma once

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "tensor/host_device.h"

namespace nf::math {

namespace detail {

inline constexpr float kInf = std::numeric_limits<float>::infinity();
inline constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
inline constexpr float kLn2High = 0.693145752F;  // 16 bits: its product with an exponent is exact
inline constexpr float kLn2Low = 1.42860682e-06F;
inline constexpr double kLn2 = 0.69314718055994530942;

NF_HD inline std::uint32_t bits(float x) { return std::bit_cast<std::uint32_t>(x); }
NF_HD inline float from_bits(std::uint32_t b) { return std::bit_cast<float>(b); }

/// 2^n for -126 <= n <= 127.
NF_HD inline float power_of_two(std::int32_t n) {
  return from_bits(static_cast<std::uint32_t>(n + 127) << 23);
}

/// |x|, but at most `limit`, which NaN becomes too: an integer minimum is the cheapest.
NF_HD inline float size_up_to(float limit, float x) {
  const std::uint32_t size = bits(x) & 0x7fffffffU;
  return from_bits(size < bits(limit) ? size : bits(limit));
}

/// x to the nearest integer, |x| < 2^22: in `value`, and in the low bits of `bits`.
struct Rounded {
  float value;
  std::int32_t integer;
};
NF_HD inline Rounded round(float x) {
  constexpr float kShift = 12582912.0F;  // 1.5 * 2^23: adding it pushes the fraction out
  const float shifted = x + kShift;
  return {shifted - kShift, static_cast<std::int32_t>(bits(shifted) - 0x4b400000U)};
}

// The polynomials are summed by halves (Estrin's scheme): with Horner's, a loop would wait for one
// long chain of dependent operations.

/// (exp(r) - 1 - r) / r^2 for |r| <= ln(2)/2, minimax.
NF_HD inline float exp_tail(float r) {
  const float low = 0.166665211F * r + 0.49999994F, high = 0.00836867746F * r + 0.0416682698F;
  const float r2 = r * r;
  return (0.00138204114F * r2 + high) * r2 + low;
}
NF_HD inline float expm1_reduced(float r) { return r * r * exp_tail(r) + r; }

/// exp(high + low) for -104 <= high <= 0 and |low| < 1, which carries digits that high has no room
/// for. exp(-104) is 0.
NF_HD inline float exp_nonpositive(float high, float low) {
  constexpr float kShift = 12582912.0F + 127 + 64;  // as in round(); its low bits are an exponent's
  const float shifted = high * 1.44269504F + kShift, n = shifted - kShift;
  const float r = (high - n * kLn2High) + (low - n * kLn2Low);
  // exp(r) 2^-64, times 2^(n+64): the product rounds once where the result is subnormal.
  const float p = r * r * 0x1p-64F * exp_tail(r) + (r * 0x1p-64F + 0x1p-64F);
  return p * from_bits(bits(shifted) << 23);
}

/// k*ln(2) + log(1 + m) for m in [-1/3, 1/3]: m - m^2/2 + m^3 * polynomial, minimax.
NF_HD inline float log_reduced(float k, float m) {
  const float m2 = m * m, m4 = m2 * m2;
  const float p01 = -0.249998003F * m + 0.333332151F, p23 = -0.166803762F * m + 0.20010446F;
  const float p45 = -0.121857136F * m + 0.140053064F, p67 = -0.12885657F * m + 0.139868975F;
  const float p = (p67 * m2 + p45) * m4 + (p23 * m2 + p01);
  return k * kLn2High + (m + (m2 * (m * p - 0.5F) + k * kLn2Low));
}

/// The exponent, as it stands in a float's bits, that brings x > 0 into [2/3, 4/3).
NF_HD inline std::uint32_t exponent_field(float x) { return (bits(x) - 0x3f2aaaabU) & 0xff800000U; }
NF_HD inline float exponent_value(std::uint32_t field) {
  return static_cast<float>(static_cast<std::int32_t>(field) >> 23);
}

/// exp(-x^2/2) for 0 <= x <= 14.4 with the square in two parts.
NF_HD inline float gauss(float x) {
  const float head = from_bits(bits(x) & 0xfffff000U);  // 12 bits: its square is exact
  const float half = 0.5F * head;
  return exp_nonpositive(-half * head, (head - x) * (0.5F * x + half));
}

/// 2^k mod 2 pi for k = 0..104, each as a number of 29 bits and a remainder.
struct TwoPiResidues {
  double high[105] = {};
  double low[105] = {};

  constexpr TwoPiResidues() {
    // Fixed point with 188 bits behind the point, most significant word first; r = 2r mod 2 pi.
    constexpr std::uint64_t kTwoPi[3] = {0x6487ed5110b4611aU, 0x62633145c06e0e68U,
                                         0x948127044533e63aU};
    std::uint64_t r[3] = {std::uint64_t{1} << 60, 0, 0};
    for (int k = 0; k < 105; ++k) {
      high[k] = static_cast<double>(r[0] >> 34) * 0x1p-26;
      low[k] =
          static_cast<double>(r[0] & 0x3ffffffffU) * 0x1p-60 + static_cast<double>(r[1]) * 0x1p-124;
      r[0] = r[0] << 1 | r[1] >> 63;
      r[1] = r[1] << 1 | r[2] >> 63;
      r[2] = r[2] << 1;
      const bool less = r[0] != kTwoPi[0]   ? r[0] < kTwoPi[0]
                        : r[1] != kTwoPi[1] ? r[1] < kTwoPi[1]
                                            : r[2] < kTwoPi[2];
      if (less) continue;
      const bool borrow2 = r[2] < kTwoPi[2];
      const bool borrow1 = r[1] < kTwoPi[1] || (r[1] == kTwoPi[1] && borrow2);
      r[2] -= kTwoPi[2];
      r[1] -= kTwoPi[1] + borrow2;
      r[0] -= kTwoPi[0] + borrow1;
    }
  }
};

/// sin(x + quarter_turns * pi/2).
///
/// x = f * 2^k with |f| < 2^25, so x is f * (2^k mod 2 pi) up to whole turns: one table look-up
/// covers all floats. The reduction to [-pi/4, pi/4] is done in double, where all products but the
/// last small ones are exact.
NF_HD inline float sin_turned(float x, std::uint32_t quarter_turns) {
  static constexpr TwoPiResidues kResidues;
  constexpr double kShift = 6755399441055744.0;  // 1.5 * 2^52, see round()
  constexpr double kHalfPi1 = 0x1.921fb5p+0, kHalfPi2 = 0x1.110b46p-26,
                   kHalfPi3 = 0x1.1a62633145c07p-54;  // pi/2 in parts of 25, 24 and 53 bits

  const std::int32_t exponent = static_cast<std::int32_t>(bits(x) >> 23 & 255U);
  const std::int32_t k = exponent > 151 ? exponent - 151 : 0;
  const double f = static_cast<double>(x * power_of_two(-k));
  const double high = f * kResidues.high[k], low = f * kResidues.low[k];
  const double shifted = (high + low) * 0.63661977236758134308 + kShift;  // 2/pi
  const double n = shifted - kShift;
  const double rest = ((high - n * kHalfPi1) - n * kHalfPi2) + (low - n * kHalfPi3);
  const std::uint32_t quadrant =
      static_cast<std::uint32_t>(std::bit_cast<std::uint64_t>(shifted)) + quarter_turns;

  const float r = static_cast<float>(rest), s = r * r;
  const float sine = r + r * s * (-0.166666552F + s * (0.00833218824F + s * -0.000195180997F));
  const float cosine =
      1.0F + s * (-0.5F + s * (0.0416666456F + s * (-0.00138873106F + s * 2.44325529e-05F)));
  const float value = (quadrant & 1U) != 0 ? cosine : sine;
  return from_bits(bits(value) ^ (quadrant & 2U) << 30);
}

/// exp(y) in double, to the precision of a float, for |y| < 700.
NF_HD inline double exp_wide(double y) {
  constexpr double kShift = 6755399441055744.0;
  const double shifted = y * 1.44269504088896340736 + kShift;
  const double r = y - (shifted - kShift) * kLn2;
  double p = 1.0 / 362880;
  p = p * r + 1.0 / 40320;
  p = p * r + 1.0 / 5040;
  p = p * r + 1.0 / 720;
  p = p * r + 1.0 / 120;
  p = p * r + 1.0 / 24;
  p = p * r + 1.0 / 6;
  p = p * r + 0.5;
  p = (p * r + 1.0) * r + 1.0;
  return p * std::bit_cast<double>((std::bit_cast<std::uint64_t>(shifted) + 1023) << 52);
}

/// log(a) in double, with a relative error below 2^-35, for positive normal doubles.
NF_HD inline double log_wide(double a) {
  const std::uint64_t b = std::bit_cast<std::uint64_t>(a);
  const std::uint64_t field = (b - 0x3fe5555555555555U) & 0xfff0000000000000U;  // a into [2/3, 4/3)
  const double m = std::bit_cast<double>(b - field);
  // The exponent as a double: 2^52 + (exponent + 1024), put together from bits.
  const double k =
      std::bit_cast<double>((field >> 52 ^ 0x800U) - 0x400U + 0x4330000000000000U) - 0x1p52 - 1024;
  const double s = (m - 1) / (m + 1), t = s * s;  // log(m) = 2 artanh(s), |s| <= 1/5
  double p = 2.0 / 15;
  p = p * t + 2.0 / 13;
  p = p * t + 2.0 / 11;
  p = p * t + 2.0 / 9;
  p = p * t + 2.0 / 7;
  p = p * t + 2.0 / 5;
  p = p * t + 2.0 / 3;
  return k * kLn2 + (s * t * p + 2 * s);
}

/// For x >= 0: is it a whole number?
NF_HD inline bool is_whole(float x) { return x >= 0x1p23F || (x + 0x1p23F) - 0x1p23F == x; }

}  // namespace detail

// --- float and double ---------------------------------------------------------------------------

NF_HD inline float abs(float x) { return std::fabs(x); }
NF_HD inline double abs(double x) { return std::fabs(x); }
NF_HD inline float sqrt(float x) { return std::sqrt(x); }
NF_HD inline double sqrt(double x) { return std::sqrt(x); }

NF_HD inline double exp(double x) { return std::exp(x); }
NF_HD inline float exp(float x) {
  if constexpr (kOnDevice) return ::expf(x);
  float y = x > 89.0F ? 89.0F : x;  // beyond: infinity
  y = y < -104.0F ? -104.0F : y;    // beyond: zero
  const auto [n, k] = detail::round(y * 1.44269504F);
  const float r = (y - n * detail::kLn2High) - n * detail::kLn2Low;
  const float p = detail::expm1_reduced(r) + 1.0F;
  // 2^k in two factors, of which the second overflows or rounds to a subnormal number.
  const std::int32_t half = k >> 1;
  return p * detail::power_of_two(half) * detail::power_of_two(k - half);
}

/// exp(x) for x <= 0 only, and cheaper. NaN gives 0.
NF_HD inline double exp_nonpositive(double x) { return std::exp(x); }
NF_HD inline float exp_nonpositive(float x) {
  if constexpr (kOnDevice) return ::expf(x);
  return detail::exp_nonpositive(-detail::size_up_to(104.0F, x), 0.0F);
}

NF_HD inline double expm1(double x) { return std::expm1(x); }
NF_HD inline float expm1(float x) {
  if constexpr (kOnDevice) return ::expm1f(x);
  const float y = x > 89.0F ? 89.0F : x < -20.0F ? -20.0F : x;  // beyond: infinity, -1
  const auto [n, k] = detail::round(y * 1.44269504F);
  const float q = detail::expm1_reduced((y - n * detail::kLn2High) - n * detail::kLn2Low);
  const float half = detail::power_of_two(k - 1);  // half of 2^k, which may be beyond the range
  const float value = (half * q + (half - 0.5F)) * 2.0F;
  return abs(x) < 0x1p-25F ? x : value;  // keeps -0 and subnormal numbers
}

NF_HD inline double log(double x) { return std::log(x); }
NF_HD inline float log(float x) {
  if constexpr (kOnDevice) return ::logf(x);
  const float scale = x < 0x1p-126F ? 0x1p23F : 1.0F;  // makes a subnormal number normal
  const float normal = x * scale;
  const std::uint32_t field = detail::exponent_field(normal);
  const float m = detail::from_bits(detail::bits(normal) - field) - 1.0F;
  const float k = detail::exponent_value(field - (detail::bits(scale) - detail::bits(1.0F)));
  const float value = detail::log_reduced(k, m);
  const float finite = x < detail::kInf ? value : x;  // infinity and NaN
  return x > 0.0F ? finite : x == 0.0F ? -detail::kInf : detail::kNaN;
}

NF_HD inline double log1p(double x) { return std::log1p(x); }
NF_HD inline float log1p(float x) {
  if constexpr (kOnDevice) return ::log1pf(x);
  const float u = 1.0F + x;
  const std::uint32_t field = detail::exponent_field(u);
  // (1+x) 2^-k - 1 from x itself, which still has the digits that u has lost.
  const float scale = detail::from_bits(detail::bits(4.0F) - field);  // 4 * 2^-k
  const float m = detail::from_bits(detail::bits(x) - field) + (0.25F * scale - 1.0F);
  const float value = detail::log_reduced(detail::exponent_value(field), m);
  const float finite = x < detail::kInf ? value : x;
  const float nonzero = abs(x) < 0x1p-25F ? x : finite;  // keeps -0 and subnormal numbers
  return u > 0.0F ? nonzero : u == 0.0F ? -detail::kInf : detail::kNaN;
}

NF_HD inline float sin(float x) {
  if constexpr (kOnDevice) return ::sinf(x);
  const float value = detail::sin_turned(x, 0);
  return x == 0.0F ? x : value;  // keeps -0
}
NF_HD inline double sin(double x) { return std::sin(x); }
NF_HD inline float cos(float x) {
  if constexpr (kOnDevice) return ::cosf(x);
  return detail::sin_turned(x, 1);
}
NF_HD inline double cos(double x) { return std::cos(x); }

/// Reduced as in Cephes' atanf: by -1/a above tan(3 pi/8), by (a - 1)/(a + 1) above tan(pi/8).
NF_HD inline float atan(float x) {
  if constexpr (kOnDevice) return ::atanf(x);
  const float a = abs(x);
  const bool large = a > 2.41421356F, middle = a > 0.414213562F;
  const float top = large ? -1.0F : middle ? a - 1.0F : a;
  const float t = top / (large ? a : middle ? a + 1.0F : 1.0F), z = t * t;
  const float p = (0.199777096F - 0.138776854F * z + 0.0805374458F * z * z) * z - 0.333329499F;
  // pi/2 or pi/4, and what of it a float has no room for.
  const float base = large ? 1.57079637F : middle ? 0.785398185F : 0.0F;
  const float rest = large ? -4.37113883e-8F : middle ? -2.18556941e-8F : 0.0F;
  return std::copysign(base + (t + (t * z * p + rest)), x);
}
NF_HD inline double atan(double x) { return std::atan(x); }

/// log(x + sqrt(x^2 + 1)), odd; for small |x| by log1p(a + a^2 / (1 + sqrt(1 + a^2))).
NF_HD inline double asinh(double x) { return std::asinh(x); }
NF_HD inline float asinh(float x) {
  if constexpr (kOnDevice) return ::asinhf(x);
  const float a = abs(x), square = a * a;
  const bool large = a > 4096.0F;  // from here on it is log(2a) in a float
  const float inner = large ? a - 1.0F : a + square / (1.0F + sqrt(1.0F + square));
  return std::copysign(log1p(inner) + (large ? 0.693147182F : 0.0F), x);
}
/// Its derivative 1 / sqrt(1 + x^2), also where x^2 is beyond the range.
template <class T>
NF_HD inline T asinh_slope(T x) {
  const T a = abs(x);
  return a > T(1e10) ? T(1) / a : T(1) / sqrt(T(1) + x * x);
}

/// x / (1 + |x|): -1 and 1 at the infinities.
template <class T>
NF_HD inline T softsign(T x) {
  const T a = abs(x), value = x / (T(1) + a);
  return a < std::numeric_limits<T>::infinity() || x != x ? value : std::copysign(T(1), x);
}
/// Its derivative 1 / (1 + |x|)^2, which underflows rather than overflows on the way.
template <class T>
NF_HD inline T softsign_slope(T x) {
  const T root = T(1) / (T(1) + abs(x));
  return root * root;
}

NF_HD inline double tanh(double x) { return std::tanh(x); }
NF_HD inline float tanh(float x) {
  if constexpr (kOnDevice) return ::tanhf(x);
  // -e / (2 + e) with e = exp(-2|x|) - 1, from -1 to 0.
  const float y = -2.0F * detail::size_up_to(10.0F, x);
  const auto [n, k] = detail::round(y * 1.44269504F);
  const float q = detail::expm1_reduced((y - n * detail::kLn2High) - n * detail::kLn2Low);
  const float scale = detail::power_of_two(k);
  const float e = scale * q + (scale - 1.0F);
  const float value = std::copysign(-e / (2.0F + e), x);
  return x != x ? x : value;
}

/// 1 / (1 + exp(-x)), by exp(-|x|) so that nothing overflows and small values keep their digits.
NF_HD inline double sigmoid(double x) {
  const double e = std::exp(-std::fabs(x));
  return (x < 0 ? e : 1.0) / (1.0 + e);
}
NF_HD inline float sigmoid(float x) {
  const float e = exp_nonpositive(-abs(x));
  const float value = (x < 0.0F ? e : 1.0F) / (1.0F + e);
  return x != x ? x : value;
}

/// log(1 + exp(x)) = max(x, 0) + log(1 + exp(-|x|)).
NF_HD inline double softplus(double x) {
  return (x < 0 ? 0.0 : x) + std::log1p(std::exp(-std::fabs(x)));
}
NF_HD inline float softplus(float x) {
  const float e = exp_nonpositive(-abs(x));
  // log(1 + e) for e in [0, 1]: e + e^2 * polynomial, minimax.
  const float e2 = e * e, e4 = e2 * e2;
  const float p01 = 0.333304673F * e - 0.499999315F, p23 = 0.196924895F * e - 0.249580741F;
  const float p45 = 0.106638692F * e - 0.153462604F, p67 = 0.0201044995F * e - 0.0574880056F;
  const float p = ((-0.00329491706F * e4 + (p67 * e2 + p45)) * e4) + (p23 * e2 + p01);
  return (x < 0.0F ? 0.0F : x) + (e2 * p + e);
}

/// The standard normal density.
NF_HD inline double normal_pdf(double x) { return std::exp(-0.5 * x * x) * 0.39894228040143267794; }
NF_HD inline float normal_pdf(float x) {
  const float value = detail::gauss(detail::size_up_to(14.4F, x)) * 0.39894228F;
  return x != x ? x : value;
}

/// The standard normal distribution function, with a small relative error far into the left tail.
NF_HD inline double normal_cdf(double x) { return 0.5 * std::erfc(x * -0.70710678118654752440); }
NF_HD inline float normal_cdf(float x) {
  // Phi(-a) = exp(-a^2/2) * q * p(t) with q = 1/(a+4), t = (a-4) q in [-1, 0.58], p minimax.
  const float a = detail::size_up_to(14.4F, x);  // beyond: zero
  const float q = 1.0F / (a + 4.0F), t = (a - 4.0F) * q;
  const float t2 = t * t, t4 = t2 * t2;
  const float p01 = -0.607896626F * t + 0.755285144F, p23 = -0.186522335F * t + 0.38713637F;
  const float p45 = -0.00753061194F * t + 0.0604089312F, p67 = 0.00157315889F * t - 0.0035301731F;
  const float p89 = -0.000122504556F * t + 0.000200845883F;
  const float p = ((p89 * t4 + (p67 * t2 + p45)) * t4) + (p23 * t2 + p01);
  const float tail = p * q * detail::gauss(a);
  const float value = x > 0.0F ? 1.0F - tail : tail;
  return x != x ? x : value;
}

/// a^b, with the special values of C's pow. The float version computes in double.
NF_HD inline double pow(double a, double b) { return std::pow(a, b); }
NF_HD inline float pow(float a, float b) {
  if constexpr (kOnDevice) return ::powf(a, b);
  const float size = abs(a), exponent = abs(b);
  double log_size = detail::log_wide(static_cast<double>(size));
  log_size = size == 0.0F ? -std::numeric_limits<double>::infinity() : log_size;
  log_size = size < detail::kInf ? log_size : std::numeric_limits<double>::infinity();
  double y = static_cast<double>(b) * log_size;
  y = y > 90 ? 90 : y < -110 ? -110 : y;  // beyond the range of float
  float value = size == 1.0F ? 1.0F : static_cast<float>(detail::exp_wide(y));

  const bool whole = detail::is_whole(exponent);
  const bool odd = whole && exponent < 0x1p24F && !detail::is_whole(0.5F * exponent);
  value = odd ? std::copysign(value, a) : value;
  value = a < 0.0F && size < detail::kInf && !whole ? detail::kNaN : value;
  value = a != a || b != b ? detail::kNaN : value;
  return a == 1.0F || b == 0.0F ? 1.0F : value;
}

}  // namespace nf::math
