// Philox 4x32-10: the counter-based generator behind every random number here.
//
// Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011).
// A block is a pure function of (key, counter), so element i of a draw can be computed by any
// thread, on any device, in any order, with the same result.
#pragma once

#include <array>
#include <cstdint>

#include "tensor/host_device.h"
#include "tensor/math.h"

namespace nf {

using PhiloxBlock = std::array<std::uint32_t, 4>;

NF_HD inline PhiloxBlock philox(std::uint64_t key, std::uint64_t counter,
                                std::uint64_t stream = 0) {
  constexpr std::uint32_t kMul0 = 0xD2511F53, kMul1 = 0xCD9E8D57;    // multipliers of the paper
  constexpr std::uint32_t kWeyl0 = 0x9E3779B9, kWeyl1 = 0xBB67AE85;  // golden ratio, sqrt(3)-1
  std::uint32_t c0 = static_cast<std::uint32_t>(counter),
                c1 = static_cast<std::uint32_t>(counter >> 32);
  std::uint32_t c2 = static_cast<std::uint32_t>(stream),
                c3 = static_cast<std::uint32_t>(stream >> 32);
  std::uint32_t k0 = static_cast<std::uint32_t>(key), k1 = static_cast<std::uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = std::uint64_t{kMul0} * c0, p1 = std::uint64_t{kMul1} * c2;
    const std::uint32_t n0 = static_cast<std::uint32_t>(p1 >> 32) ^ c1 ^ k0;
    const std::uint32_t n2 = static_cast<std::uint32_t>(p0 >> 32) ^ c3 ^ k1;
    c0 = n0;
    c1 = static_cast<std::uint32_t>(p1);
    c2 = n2;
    c3 = static_cast<std::uint32_t>(p0);
    k0 += kWeyl0;
    k1 += kWeyl1;
  }
  return {c0, c1, c2, c3};
}

// Draws for rows of samples. A row's numbers are those of the blocks row_counter(sample, draw, 0),
// row_counter(sample, draw, 1), .. of the stream that belongs to the round.

inline constexpr std::int64_t kRowBlocks = std::int64_t{1} << 24;  ///< of one draw for one row
/// Draws of one generator in one round; the number kRoundDraws itself is of those without a place.
inline constexpr std::uint64_t kRoundDraws = 255;

/// sample: 31 bits above, draw: 8 bits, block: 24 bits.
NF_HD inline std::uint64_t row_counter(std::int32_t sample, std::uint64_t draw,
                                       std::uint64_t block) {
  return std::uint64_t{static_cast<std::uint32_t>(sample)} << 32 | draw << 24 | block;
}

/// SplitMix64's function of a word (Steele, Lea, Flood 2014): one to one, and neighbours come out
/// unlike.
NF_HD inline std::uint64_t mix_bits(std::uint64_t x) {
  x += 0x9E3779B97F4A7C15;
  x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9;
  x = (x ^ x >> 27) * 0x94D049BB133111EB;
  return x ^ x >> 31;
}

/// The stream of a round: other rounds of this stream have other ones, and those of other streams
/// lie elsewhere in 2^64.
NF_HD inline std::uint64_t round_stream(std::uint64_t stream, std::uint64_t round) {
  return mix_bits(mix_bits(stream) + round);
}

/// 24 random bits as a float in [0, 1): never rounds up to 1.
NF_HD inline float uniform_f32(std::uint32_t bits) { return (bits >> 8) * 0x1p-24F; }

/// level + u for u in [0, 1). Where f32 rounds that up to the next level's number, it is the float
/// below: (level + 1) (1 - 2^-24).
NF_HD inline float within_level(float level, float u) {
  const float next = level + 1, value = level + u;
  return value < next ? value : next * (1 - 0x1p-24F);
}

/// How one image is moved: output (y, x) is the pixel (y - down, x - right) of the image, which was
/// mirrored before where `flip` says so.
struct ImageMove {
  bool flip;
  std::int32_t down, right;
};

/// One of -most..most, equally likely to (2 most + 1) / 2^32 (Lemire 2019).
NF_HD inline std::int32_t symmetric_i32(std::uint32_t bits, std::int32_t most) {
  const std::uint64_t numbers = 2 * static_cast<std::uint64_t>(most) + 1;
  return static_cast<std::int32_t>(bits * numbers >> 32) - most;
}

/// The move that the words of a block mean: the first its flip, the next two its shifts.
NF_HD inline ImageMove image_move(const PhiloxBlock& words, bool flip, std::int32_t shift) {
  return {flip && words[0] >> 31 != 0, symmetric_i32(words[1], shift),
          symmetric_i32(words[2], shift)};
}

/// Where pixel `at` of `size` comes from after a shift, with the edge repeated.
NF_HD inline std::int32_t shifted_from(std::int32_t at, std::int32_t shift, std::int32_t size) {
  const std::int32_t from = at - shift;
  return from < 0 ? 0 : from >= size ? size - 1 : from;
}

/// 53 random bits as a double in [0, 1).
NF_HD inline double uniform_f64(std::uint32_t high, std::uint32_t low) {
  const std::uint64_t bits = (std::uint64_t{high} << 32 | low) >> 11;
  return static_cast<double>(bits) * 0x1p-53;
}

/// A number in the open interval (0, 1): the middle of one of 2^23 or 2^52 equal parts.
NF_HD inline float open_uniform_f32(std::uint32_t bits) {
  return (static_cast<float>(bits >> 9) + 0.5F) * 0x1p-23F;
}
NF_HD inline double open_uniform_f64(std::uint32_t high, std::uint32_t low) {
  const std::uint64_t bits = (std::uint64_t{high} << 32 | low) >> 12;
  return (static_cast<double>(bits) + 0.5) * 0x1p-52;
}

/// The standard logistic distribution's quantile of u in (0, 1).
template <class T>
NF_HD T logistic_quantile(T u) {
  return math::log(u) - math::log(T(1) - u);
}

/// Two standard normal numbers from u, v in [0, 1), by Box & Muller (1958).
template <class T>
NF_HD void box_muller(T u, T v, T& first, T& second) {
  const T radius = math::sqrt(T(-2) * math::log(T(1) - u));
  const T angle = T(6.28318530717958647692) * v;
  first = radius * math::cos(angle);
  second = radius * math::sin(angle);
}

}  // namespace nf
