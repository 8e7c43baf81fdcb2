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

/// to[k * pitch + i] = from(i, k) for `lanes` i's and `depth` k's, and 0 for lanes <= i < pitch
/// when `fill`. May write up to kVectorBytes behind the end of `to`.
template <class T>
void pack(const View<T>& from, Index lanes, Index depth, Index pitch, T* to);

}  // namespace nf::cpu
