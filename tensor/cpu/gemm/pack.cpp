#include "tensor/cpu/gemm/pack.h"

#include <algorithm>
#include <utility>

#include "tensor/cpu/gemm/vector.h"

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

/// N k's of up to N lanes, whose numbers lie one behind the other along k: `lanes` of them are
/// there, the others are zeros.
template <class T, bool kWhole>
void pack_block(const T* from, Index row, Index lanes, Index pitch, T* to) {
  constexpr int N = kLanes<T>;
  VectorOf<T, N> r[N];
#pragma GCC unroll 16
  for (int i = 0; i < N; ++i) {
    r[i] = kWhole || i < lanes ? load_vector<T, N>(from + i * row) : VectorOf<T, N>{};
  }
  transpose<T, N>(r);
#pragma GCC unroll 16
  for (int i = 0; i < N; ++i) store_vector(to + i * pitch, r[i]);
}

/// Any strides, one number after the other.
template <class T>
void pack_numbers(const View<T>& from, Index lanes, Index depth, Index pitch, T* to) {
  for (Index k = 0; k < depth; ++k, to += pitch) {
    const T* const x = from.data + k * from.col;
    for (Index i = 0; i < lanes; ++i) to[i] = x[i * from.row];
    std::fill(to + lanes, to + pitch, T(0));
  }
}

/// Lanes side by side in memory: whole vectors, which may reach into what follows in that row and
/// in `to`, where the next k is written over it. The last k is copied number by number.
template <class T, int kVectors>
void pack_rows(const View<T>& from, Index depth, Index pitch, T* to) {
  constexpr int N = kLanes<T>;
  for (Index k = 0; k < depth; ++k) {
    const T* const x = from.data + k * from.col;
    T* const y = to + k * pitch;
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) store_vector(y + v * N, load_vector<T, N>(x + v * N));
  }
}

template <class T>
void pack_rows(const View<T>& from, Index lanes, Index depth, Index pitch, T* to) {
  const Index vectors = (lanes + kLanes<T> - 1) / kLanes<T>;
  Index k = 0;
  // What lies behind the lanes is of the same row, or of the next one.
  if ((lanes == pitch || vectors * kLanes<T> == lanes) && from.col >= vectors * kLanes<T>) {
    const Index safe = vectors * kLanes<T> == lanes ? depth : depth - 1;
    k = safe;
    if (vectors == 1) {
      pack_rows<T, 1>(from, safe, pitch, to);
    } else if (vectors == 2) {
      pack_rows<T, 2>(from, safe, pitch, to);
    } else {
      k = 0;
    }
  }
  pack_numbers<T>({from.data + k * from.col, 1, from.col}, lanes, depth - k, pitch, to + k * pitch);
}

}  // namespace

template <class T>
void pack(const View<T>& from, Index lanes, Index depth, Index pitch, T* to) {
  constexpr Index N = kLanes<T>;
  if (from.row == 1) return pack_rows(from, lanes, depth, pitch, to);
  Index k = 0;
  if (from.col == 1) {
    const Index blocks = (pitch + N - 1) / N;
    for (; k + N <= depth; k += N) {
      // The last block first: where the pitch is no multiple of N it writes into the next k's
      // lanes.
      for (Index b = blocks; b-- > 0;) {
        const T* const x = from.data + b * N * from.row + k;
        T* const y = to + k * pitch + b * N;
        if (lanes - b * N >= N) {
          pack_block<T, true>(x, from.row, N, pitch, y);
        } else {
          pack_block<T, false>(x, from.row, lanes - b * N, pitch, y);
        }
      }
    }
  }
  pack_numbers(from.at(0, k), lanes, depth - k, pitch, to + k * pitch);
}

template void pack(const View<float>&, Index, Index, Index, float*);
template void pack(const View<double>&, Index, Index, Index, double*);

}  // namespace nf::cpu
