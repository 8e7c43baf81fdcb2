// Products of bf16: f32 numbers whose mantissa is rounded to 7 bits, two of them in 32 bits. One
// instruction (AVX512_BF16) multiplies two pairs in each lane and adds both products to a sum of
// f32, so a vector does twice the work.
#pragma once

#include <cstdint>
#include <utility>

#include "tensor/cpu/gemm/tile.h"
#include "tensor/cpu/gemm/vector.h"
#include "tensor/processor.h"

namespace nf::cpu {

/// The N numbers of a and the N of b, rounded to the nearest bf16 (even on ties, denormals to
/// zero): N pairs of neighbours, those of a first.
inline VectorOf<Bf16Pair, kLanes<float>> round_pairs(const VectorOf<float, kLanes<float>>& a,
                                                     const VectorOf<float, kLanes<float>>& b) {
  VectorOf<Bf16Pair, kLanes<float>> pairs;
  NF_ROUND_BF16_PAIRS(pairs, a, b);
  return pairs;
}

/// sum[i] += the products of both numbers of a[i] and b[i].
template <class Sum, class Pairs>
inline void multiply_add_pairs(Sum& sum, const Pairs& a, const Pairs& b) {
  NF_MULTIPLY_ADD_BF16_PAIRS(sum, a, b);
}

template <int... I>
VectorOf<std::uint16_t, sizeof...(I)> interleave_halves(
    const VectorOf<std::uint16_t, sizeof...(I)>& v, std::integer_sequence<int, I...>) {
  return __builtin_shufflevector(v, v, (I / 2 + I % 2 * static_cast<int>(sizeof...(I) / 2))...);
}

/// Pairs (a[i], b[i]).
inline VectorOf<Bf16Pair, kLanes<float>> round_lanes(const VectorOf<float, kLanes<float>>& a,
                                                     const VectorOf<float, kLanes<float>>& b) {
  constexpr int N = 2 * kLanes<float>;
  VectorOf<std::uint16_t, N> halves;
  const auto pairs = round_pairs(a, b);
  std::memcpy(&halves, &pairs, sizeof halves);
  halves = interleave_halves(halves, std::make_integer_sequence<int, N>{});
  VectorOf<Bf16Pair, kLanes<float>> out;
  std::memcpy(&out, &halves, sizeof out);
  return out;
}

/// The pair (a, b).
inline Bf16Pair round_pair(float a, float b) {
  using Vector = VectorOf<float, kLanes<float>>;
  return round_lanes(Vector{a}, Vector{b})[0];
}

/// to[i] = the pair (a[i], b[i]), for `count` of them.
inline void round_lanes(const float* a, const float* b, Index count, Bf16Pair* to) {
  constexpr int N = kLanes<float>;
  Index i = 0;
  for (; i + N <= count; i += N) {
    store_vector(to + i, round_lanes(load_vector<float, N>(a + i), load_vector<float, N>(b + i)));
  }
  for (; i < count; ++i) to[i] = round_pair(a[i], b[i]);
}

/// The pairs of `count` numbers, the last one with a 0 if need be; returns their end.
inline Bf16Pair* round_numbers(const float* from, Index count, Bf16Pair* to) {
  constexpr int N = kLanes<float>;
  for (; count >= 2 * N; count -= 2 * N, from += 2 * N, to += N) {
    store_vector(to, round_pairs(load_vector<float, N>(from), load_vector<float, N>(from + N)));
  }
  for (; count > 0; count -= 2, from += 2) *to++ = round_pair(*from, count > 1 ? from[1] : 0.0F);
  return to;
}

}  // namespace nf::cpu
