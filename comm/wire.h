// How numbers travel between processes: as they are, or rounded to bf16, half the bytes of f32.
//
// A message holds what its sender has, rounded before: then the sender goes on with the same number
// as its receiver, and what is added up does not depend on who sent what to whom.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>

namespace nf::comm {

enum class Wire : std::uint8_t { Exact, BF16 };

/// To the nearest number whose mantissa has 7 bits, even on ties; what is larger than the largest
/// is infinite, and NaN stays.
inline float round_to_bf16(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const std::uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) & 0xffff0000;
  return std::isnan(x) ? std::numeric_limits<float>::quiet_NaN() : std::bit_cast<float>(rounded);
}

/// The upper half of an f32 that round_to_bf16 has given.
struct Bf16 {
  std::uint16_t bits;

  template <class T>
  static Bf16 of(T rounded) {
    const auto all = std::bit_cast<std::uint32_t>(static_cast<float>(rounded));
    return {static_cast<std::uint16_t>(all >> 16)};
  }
  float value() const { return std::bit_cast<float>(std::uint32_t{bits} << 16); }
};

/// What travels without a change.
template <class T>
void round_for(Wire wire, std::span<T> values) {
  if (wire == Wire::Exact) return;
  for (T& value : values) value = static_cast<T>(round_to_bf16(static_cast<float>(value)));
}

/// sum += other, both as they travel, and so is the new sum.
template <class T>
void add_for(Wire wire, std::span<T> sum, std::span<const T> other) {
  for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += other[i];
  round_for(wire, sum);
}

}  // namespace nf::comm
