// Packing: what a tile reads in vectors, or reads again and again, is copied into one run of
// memory.
#pragma once

#include "tensor/cpu/gemm/tile.h"

namespace nf::cpu {

/// Element (i, j) of a matrix at data[i * row + j * col]; any strides.
template <class T>
struct View {
  const T* data;
  Index row, col;

  View at(Index i, Index j) const { return {data + i * row + j * col, row, col}; }
  View t() const { return {data, col, row}; }
};

/// to[s * pitch + i] = from(i, k) for `lanes` i's and `depth` k's, and 0 for lanes <= i < pitch.
/// Step s is k, or for pairs 2 s and 2 s + 1, where a k that is missing counts as 0. May write up
/// to kVectorBytes behind the end of `to`.
template <class P>
void pack(const View<NumberOf<P>>& from, Index lanes, Index depth, Index pitch, P* to);

}  // namespace nf::cpu
