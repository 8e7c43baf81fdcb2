// OpenBLAS as a peer: with NF_MATMUL=openblas it computes the products of matrices, so that speed
// and results can be set side by side.
#pragma once

#include <cstdint>

namespace nf::cpu {

/// A matrix, element (i, j) at data[i * row + j * col].
template <class T>
struct Strided {
  const T* data;
  std::int64_t row, col;
};

/// c (m, n) = a b, or += with `add`, by OpenBLAS, if NF_MATMUL asks for it. False, and nothing is
/// done, if it does not or if OpenBLAS cannot read these strides: one of each pair has to be 1.
/// Throws Error for a NF_MATMUL that is neither "own" nor "openblas".
template <class T>
bool product_by_openblas(const Strided<T>& a, const Strided<T>& b, T* c, std::int64_t ldc,
                         std::int64_t m, std::int64_t n, std::int64_t k, bool add);

}  // namespace nf::cpu
