#include "tensor/cpu/gemm/pack.h"

#include <algorithm>
#include <utility>

#include "tensor/cpu/gemm/bf16.h"

namespace nf::cpu {
namespace {

/// Lane i of the result: lane i / 2 of a or b by turns, counted from `kFirst`.
template <int kFirst, class Vector, int... I>
Vector interleave(const Vector& a, const Vector& b, std::integer_sequence<int, I...>) {
  constexpr int N = sizeof...(I);
  return __builtin_shufflevector(a, b, (kFirst + I / 2 + (I % 2) * N)...);
}

/// N rows of N numbers, transposed: log2 N times the first half of the rows is interleaved with the
/// second.
template <class T, int N>
void transpose(VectorOf<T, N> (&r)[N]) {
  constexpr std::make_integer_sequence<int, N> lanes{};
  VectorOf<T, N> t[N];
#pragma GCC unroll 4
  for (int stage = 1; stage < N; stage *= 2) {
#pragma GCC unroll 8
    for (int i = 0; i < N / 2; ++i) {
      t[2 * i] = interleave<0>(r[i], r[i + N / 2], lanes);
      t[2 * i + 1] = interleave<N / 2>(r[i], r[i + N / 2], lanes);
    }
#pragma GCC unroll 16
    for (int i = 0; i < N; ++i) r[i] = t[i];
  }
}

/// N steps of a lane whose numbers lie one behind the other.
template <class P>
VectorOf<P, kLanes<P>> along(const NumberOf<P>* x) {
  constexpr int N = kLanes<P>;
  if constexpr (kIsPair<P>) {
    return round_pairs(load_vector<float, N>(x), load_vector<float, N>(x + N));
  } else {
    return load_vector<P, N>(x);
  }
}

/// A step of N lanes that lie side by side; their next numbers are `next` further.
template <class P>
VectorOf<P, kLanes<P>> across(const NumberOf<P>* x, Index next) {
  constexpr int N = kLanes<P>;
  if constexpr (kIsPair<P>) {
    return round_lanes(load_vector<float, N>(x), load_vector<float, N>(x + next));
  } else {
    return load_vector<P, N>(x);
  }
}

/// One step of one lane, of which `left` numbers are there.
template <class P>
P step_of(const NumberOf<P>* x, Index next, Index left) {
  if constexpr (kIsPair<P>) {
    return round_pair(*x, left > 1 ? x[next] : 0.0F);
  } else {
    return *x;
  }
}

/// N steps of up to N lanes, whose numbers lie one behind the other along k: `lanes` of them are
/// there, the others are zeros.
template <class P, bool kWhole>
void pack_block(const NumberOf<P>* from, Index row, Index lanes, Index pitch, P* to) {
  constexpr int N = kLanes<P>;
  VectorOf<P, N> r[N];
#pragma GCC unroll 16
  for (int i = 0; i < N; ++i) {
    r[i] = kWhole || i < lanes ? along<P>(from + i * row) : VectorOf<P, N>{};
  }
  transpose<P, N>(r);
#pragma GCC unroll 16
  for (int i = 0; i < N; ++i) store_vector(to + i * pitch, r[i]);
}

/// Any strides, one number after the other.
template <class P>
void pack_numbers(const View<NumberOf<P>>& from, Index lanes, Index depth, Index pitch, P* to) {
  for (Index k = 0; k < depth; k += kNumbers<P>, to += pitch) {
    const NumberOf<P>* const x = from.data + k * from.col;
    for (Index i = 0; i < lanes; ++i) to[i] = step_of<P>(x + i * from.row, from.col, depth - k);
    std::fill(to + lanes, to + pitch, P(0));
  }
}

/// Lanes side by side in memory: whole vectors, which may reach into what follows in that row and
/// in `to`, where the next step is written over it. The last step is copied number by number.
template <class P, int kVectors>
void pack_rows(const View<NumberOf<P>>& from, Index steps, Index pitch, P* to) {
  constexpr int N = kLanes<P>;
  for (Index s = 0; s < steps; ++s) {
    const NumberOf<P>* const x = from.data + s * kNumbers<P> * from.col;
    P* const y = to + s * pitch;
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) store_vector(y + v * N, across<P>(x + v * N, from.col));
  }
}

template <class P>
void pack_rows(const View<NumberOf<P>>& from, Index lanes, Index depth, Index pitch, P* to) {
  const Index vectors = ceil_div(lanes, kLanes<P>);
  const bool whole = vectors * kLanes<P> == lanes;
  Index steps = 0;
  // What lies behind the lanes is of the same row, or of the next one.
  if ((lanes == pitch || whole) && from.col >= vectors * kLanes<P>) {
    const Index safe = whole ? depth / kNumbers<P> : (depth - 1) / kNumbers<P>;
    if (vectors == 1) pack_rows<P, 1>(from, steps = safe, pitch, to);
    if (vectors == 2) pack_rows<P, 2>(from, steps = safe, pitch, to);
  }
  const Index k = steps * kNumbers<P>;
  pack_numbers<P>(from.at(0, k), lanes, depth - k, pitch, to + steps * pitch);
}

}  // namespace

template <class P>
void pack(const View<NumberOf<P>>& from, Index lanes, Index depth, Index pitch, P* to) {
  constexpr Index N = kLanes<P>;
  if (from.row == 1) return pack_rows<P>(from, lanes, depth, pitch, to);
  Index k = 0;
  if (from.col == 1) {
    const Index blocks = ceil_div(pitch, N);
    for (; k + N * kNumbers<P> <= depth; k += N * kNumbers<P>, to += N * pitch) {
      // The last block first: where the pitch is no multiple of N it writes into the next step's
      // lanes.
      for (Index b = blocks; b-- > 0;) {
        const NumberOf<P>* const x = from.data + b * N * from.row + k;
        P* const y = to + b * N;
        if (lanes - b * N >= N) {
          pack_block<P, true>(x, from.row, N, pitch, y);
        } else {
          pack_block<P, false>(x, from.row, lanes - b * N, pitch, y);
        }
      }
    }
  }
  pack_numbers<P>(from.at(0, k), lanes, depth - k, pitch, to);
}

template void pack(const View<float>&, Index, Index, Index, float*);
template void pack(const View<double>&, Index, Index, Index, double*);
template void pack(const View<float>&, Index, Index, Index, Bf16Pair*);

}  // namespace nf::cpu
