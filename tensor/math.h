// Scalar functions for elementwise.h, for float and double, on host and device.
//
// The float versions are our own: straight-line code (polynomials, exponent bits, selects), so that
// any plain loop over them vectorises without -ffast-math, which would give up NaN, infinity and
// signed zero. Every element takes the same path, so its value does not depend on its place in an
// array or on the number of threads. glibc's libmvec would vectorise too, but g++ uses it only under
// -ffast-math, its errors reach 4 ulp, and the remainder of a loop would go through other code.
// The double versions serve gradient checks and call the standard library.
//
// Largest error of the float functions in ulp, over all floats (subnormal results included):
//   exp 1.0    log 1.0   log1p 1.5  expm1 1.5  tanh 2.5     sigmoid 2.5      softplus 2.5
//   sin 1.5    cos 1.5   pow 1.0    sqrt 0.5   normal_cdf 5 normal_pdf 3
// tests/tensor_math.cpp asserts these bounds.
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

/// exp(r) - 1 for |r| <= ln(2)/2: r + r^2 * polynomial, minimax.
NF_HD inline float expm1_reduced(float r) {
  float p = 0.00138204114F;
  p = p * r + 0.00836867746F;
  p = p * r + 0.0416682698F;
  p = p * r + 0.166665211F;
  p = p * r + 0.49999994F;
  return r * r * p + r;
}

/// exp(high + low), |low| < 1: low carries digits that high has no room for.
NF_HD inline float exp_sum(float high, float low) {
  high = high > 89.0F ? 89.0F : high < -104.0F ? -104.0F : high;  // beyond: infinity, zero
  const auto [n, k] = round(high * 1.44269504F);
  const float r = (high - n * kLn2High) + (low - n * kLn2Low);
  // 2^k in two factors, of which the second overflows or rounds to a subnormal number.
  const std::int32_t half = k >> 1;
  return (expm1_reduced(r) + 1.0F) * power_of_two(half) * power_of_two(k - half);
}

/// k*ln(2) + log(1 + m) for m in [-1/3, 1/3]: m - m^2/2 + m^3 * polynomial, minimax.
NF_HD inline float log_reduced(float k, float m) {
  float p = -0.12885657F;
  p = p * m + 0.139868975F;
  p = p * m - 0.121857136F;
  p = p * m + 0.140053064F;
  p = p * m - 0.166803762F;
  p = p * m + 0.20010446F;
  p = p * m - 0.249998003F;
  p = p * m + 0.333332151F;
  p = p * m - 0.5F;
  return k * kLn2High + (m + (m * m * p + k * kLn2Low));
}

/// The exponent, as it stands in a float's bits, that brings x > 0 into [2/3, 4/3).
NF_HD inline std::uint32_t exponent_field(float x) {
  return (bits(x) - 0x3f2aaaabU) & 0xff800000U;
}
NF_HD inline float exponent_value(std::uint32_t field) {
  return static_cast<float>(static_cast<std::int32_t>(field) >> 23);
}

/// -x^2/2 as a sum of two floats, for 0 <= x < 2^12.
struct HighLow {
  float high, low;
};
NF_HD inline HighLow minus_half_square(float x) {
  const float head = from_bits(bits(x) & 0xfffff000U);  // 12 bits: its square is exact
  return {-0.5F * head * head, -0.5F * (x - head) * (x + head)};
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
      low[k] = static_cast<double>(r[0] & 0x3ffffffffU) * 0x1p-60 +
               static_cast<double>(r[1]) * 0x1p-124;
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

// --- float and double --------------------------------------------------------------------------

NF_HD inline float abs(float x) { return std::fabs(x); }
NF_HD inline double abs(double x) { return std::fabs(x); }
NF_HD inline float sqrt(float x) { return std::sqrt(x); }
NF_HD inline double sqrt(double x) { return std::sqrt(x); }

NF_HD inline double exp(double x) { return std::exp(x); }
NF_HD inline float exp(float x) { return detail::exp_sum(x, 0.0F); }

NF_HD inline double expm1(double x) { return std::expm1(x); }
NF_HD inline float expm1(float x) {
  const float y = x > 89.0F ? 89.0F : x < -20.0F ? -20.0F : x;  // beyond: infinity, -1
  const auto [n, k] = detail::round(y * 1.44269504F);
  const float q = detail::expm1_reduced((y - n * detail::kLn2High) - n * detail::kLn2Low);
  const float half = detail::power_of_two(k - 1);  // half of 2^k, which may be beyond the range
  const float value = (half * q + (half - 0.5F)) * 2.0F;
  return abs(x) < 0x1p-25F ? x : value;  // keeps -0 and subnormal numbers
}

NF_HD inline double log(double x) { return std::log(x); }
NF_HD inline float log(float x) {
  const bool subnormal = x < 0x1p-126F;
  const float normal = subnormal ? x * 0x1p23F : x;
  const std::uint32_t field = detail::exponent_field(normal);
  const float k = detail::exponent_value(field) - (subnormal ? 23.0F : 0.0F);
  const float value = detail::log_reduced(k, detail::from_bits(detail::bits(normal) - field) - 1.0F);
  const float finite = x < detail::kInf ? value : x;  // infinity and NaN
  return x > 0.0F ? finite : x == 0.0F ? -detail::kInf : detail::kNaN;
}

NF_HD inline double log1p(double x) { return std::log1p(x); }
NF_HD inline float log1p(float x) {
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
  const float value = detail::sin_turned(x, 0);
  return x == 0.0F ? x : value;  // keeps -0
}
NF_HD inline double sin(double x) { return std::sin(x); }
NF_HD inline float cos(float x) { return detail::sin_turned(x, 1); }
NF_HD inline double cos(double x) { return std::cos(x); }

NF_HD inline double tanh(double x) { return std::tanh(x); }
NF_HD inline float tanh(float x) {
  const float e = expm1(-2.0F * abs(x));
  return std::copysign(-e / (2.0F + e), x);
}

/// 1 / (1 + exp(-x)), by exp(-|x|) so that nothing overflows and small values keep their digits.
template <class T>
NF_HD inline T sigmoid(T x) {
  const T e = exp(-abs(x));
  return (x < T(0) ? e : T(1)) / (T(1) + e);
}

/// log(1 + exp(x)) = max(x, 0) + log(1 + exp(-|x|)).
NF_HD inline double softplus(double x) {
  return (x < 0 ? 0.0 : x) + std::log1p(std::exp(-std::fabs(x)));
}
NF_HD inline float softplus(float x) {
  const float e = exp(-abs(x));
  const bool large = e > 1.0F / 3;  // then log(1 + e) = log(2) + log(1 + (e-1)/2)
  const float log = detail::log_reduced(large ? 1.0F : 0.0F, large ? 0.5F * e - 0.5F : e);
  return (x < 0.0F ? 0.0F : x) + log;
}

/// The standard normal density.
NF_HD inline double normal_pdf(double x) { return std::exp(-0.5 * x * x) * 0.39894228040143267794; }
NF_HD inline float normal_pdf(float x) {
  const float a = abs(x) > 15.0F ? 15.0F : abs(x);
  const auto [high, low] = detail::minus_half_square(a);
  return detail::exp_sum(high, low) * 0.39894228F;
}

/// The standard normal distribution function, with a small relative error far into the left tail.
NF_HD inline double normal_cdf(double x) { return 0.5 * std::erfc(x * -0.70710678118654752440); }
NF_HD inline float normal_cdf(float x) {
  // Phi(-a) = exp(-a^2/2) * q * p(t) with q = 1/(a+4), t = (a-4) q in [-1, 0.58], p minimax.
  const float a = abs(x) > 15.0F ? 15.0F : abs(x);
  const float q = 1.0F / (a + 4.0F), t = (a - 4.0F) * q;
  float p = -0.000122504556F;
  p = p * t + 0.000200845883F;
  p = p * t + 0.00157315889F;
  p = p * t - 0.0035301731F;
  p = p * t - 0.00753061194F;
  p = p * t + 0.0604089312F;
  p = p * t - 0.186522335F;
  p = p * t + 0.38713637F;
  p = p * t - 0.607896626F;
  p = p * t + 0.755285144F;
  const auto [high, low] = detail::minus_half_square(a);
  const float tail = p * q * detail::exp_sum(high, low);
  return x > 0.0F ? 1.0F - tail : tail;
}

/// a^b, with the special values of C's pow. The float version computes in double.
NF_HD inline double pow(double a, double b) { return std::pow(a, b); }
NF_HD inline float pow(float a, float b) {
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
