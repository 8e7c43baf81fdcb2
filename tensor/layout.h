// Layout: how a tensor's elements lie in its storage. Pure index arithmetic, no data.
//
// Element (i0, i1, ...) is found at offset + i0*strides[0] + i1*strides[1] + ..., counted in
// elements. Stride 0 repeats one element: that is what broadcasting is here.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "tensor/shape.h"

namespace nf {

using Strides = std::array<std::int64_t, kMaxDims>;

Strides row_major_strides(const Shape& shape);

struct Layout {
  Shape shape;
  Strides strides{};
  std::int64_t offset = 0;

  static Layout row_major(const Shape& shape) { return {shape, row_major_strides(shape), 0}; }

  /// True when the elements lie without gaps in row-major order (dimensions of size 1 may have any
  /// stride; empty tensors are contiguous).
  bool is_contiguous() const;

  // Views. Each throws with its own name when the arguments do not fit the shape.
  Layout permute(std::span<const int> order) const;
  Layout slice(int axis, std::int64_t start, std::int64_t count, std::int64_t step) const;
  Layout flip(int axis) const;  ///< negative stride
  Layout broadcast_to(const Shape& to) const;
  std::optional<Layout> reshape(const Shape& to) const;  ///< nothing when it needs a copy
};

/// A matrix as BLAS reads it: element (i, j) at i * ld + j, or at j * ld + i when transposed.
struct MatrixOrder {
  bool transposed;
  std::int64_t ld;
};

/// The order of a matrix with these strides; nothing when neither of them is 1 or the other is less
/// than the size that it steps over. A stride over a dimension of size 1 means nothing.
std::optional<MatrixOrder> matrix_order(std::int64_t rows, std::int64_t cols, std::int64_t row,
                                        std::int64_t col);

/// Two or more layouts over one shape, with dimensions merged that are adjacent in memory for all
/// of them and dimensions of size 1 dropped. Strided kernels walk this: fewer, longer loops.
/// The innermost dimension comes last; rank is at least 1.
template <int N>
struct Collapsed {
  int rank = 0;
  std::array<std::int64_t, kMaxDims> sizes{};
  std::array<std::array<std::int64_t, kMaxDims>, N> strides{};

  std::int64_t inner() const { return sizes[rank - 1]; }
  std::int64_t outer() const {
    std::int64_t n = 1;
    for (int d = 0; d + 1 < rank; ++d) n *= sizes[d];
    return n;
  }
  /// Element offsets (without the layouts' own) of row `row` of the outer loop.
  std::array<std::int64_t, N> row_offsets(std::int64_t row) const {
    std::array<std::int64_t, N> at{};
    for (int d = rank - 2; d >= 0; --d) {
      const std::int64_t index = row % sizes[d];
      row /= sizes[d];
      for (int k = 0; k < N; ++k) at[k] += index * strides[k][d];
    }
    return at;
  }
};

template <int N>
Collapsed<N> collapse(const Shape& shape, const std::array<const Strides*, N>& strides) {
  Collapsed<N> out;
  for (int d = 0; d < shape.rank(); ++d) {
    if (shape[d] == 1) continue;
    bool merges = out.rank > 0;
    for (int k = 0; k < N && merges; ++k) {
      merges = out.strides[k][out.rank - 1] == (*strides[k])[d] * shape[d];
    }
    if (merges) {
      out.sizes[out.rank - 1] *= shape[d];
    } else {
      out.sizes[out.rank++] = shape[d];
    }
    for (int k = 0; k < N; ++k) out.strides[k][out.rank - 1] = (*strides[k])[d];
  }
  if (out.rank == 0) {  // a single element
    out.rank = 1;
    out.sizes[0] = 1;
    for (int k = 0; k < N; ++k) out.strides[k][0] = 1;
  }
  return out;
}

/// Dimensions [first, last) of a layout alone.
Collapsed<1> collapse_dims(const Layout& layout, int first, int last);

}  // namespace nf
