// C = A B, cut for the caches and for the threads.
#pragma once

#include "tensor/cpu/gemm/pack.h"

namespace nf::cpu {

/// Multiplications that are worth waking one more thread.
inline constexpr Index kWorthWaking = Index{1} << 18;

/// What happens to a block of C that is complete and still in the first cache: `rows` rows, `ldc`
/// apart, of columns [first, first + cols).
template <class T>
struct Finish {
  void (*block)(T* c, Index ldc, Index rows, Index first, Index cols, const void* with) = nullptr;
  const void* with = nullptr;
};

template <class T>
struct Product {
  View<T> a, b;  ///< (m, k), (k, n)
  T* c;          ///< (m, n), its rows ldc apart
  Index m, n, k, ldc;
  bool add = false;  ///< c += a b
  Finish<T> finish = {};
};

/// By as many threads as are worth waking; the factors are multiplied as P says. The result does
/// not depend on them: each element of C is summed along k, in blocks whose places k alone decides.
template <class P>
void product(const Product<NumberOf<P>>& p);

/// The same on the caller's thread alone.
template <class P>
void product_alone(const Product<NumberOf<P>>& p);

}  // namespace nf::cpu
