#include "tensor/cpu/host/openblas_product.h"

#include <algorithm>
#include <limits>

#include "tensor/blas.h"
#include "tensor/cpu_kernels.h"
#include "tensor/layout.h"
#include "tensor/threads.h"

namespace nf::cpu {
namespace {

using Index = std::int64_t;

template <class T>
bool multiply(const Strided<T>& a, const Strided<T>& b, T* c, Index ldc, Index m, Index n, Index k,
              bool add) {
  const auto left = matrix_order(m, k, a.row, a.col), right = matrix_order(k, n, b.row, b.col);
  if (!left || !right) return false;
  if (std::max({m, n, k, ldc, left->ld, right->ld}) > std::numeric_limits<int>::max()) return false;
  // The cut depends on the shape alone, and so does the order of OpenBLAS's sums.
  constexpr Index kPartCols = 16;
  const Index blocks = (n + kPartCols - 1) / kPartCols;
  const Index parts = double(m) * double(n) * double(k) < 0x1p19 ? 1 : std::min<Index>(4, blocks);
  reserve_blas(static_cast<int>(std::min<Index>(parts, num_threads())));
  parallel_for(parts, 1, [&](Index begin, Index end) {
    const BlasTurn blas;
    const auto call = [&](auto* gemm, Index n0, Index n1) {
      using namespace cblas;
      gemm(kRowMajor, left->transposed ? kTrans : kNoTrans, right->transposed ? kTrans : kNoTrans,
           static_cast<int>(m), static_cast<int>(n1 - n0), static_cast<int>(k), T(1), a.data,
           static_cast<int>(left->ld), b.data + n0 * b.col, static_cast<int>(right->ld),
           add ? T(1) : T(0), c + n0, static_cast<int>(ldc));
    };
    for (Index i = begin; i < end; ++i) {
      const Index n0 = blocks * i / parts * kPartCols,
                  n1 = std::min(n, blocks * (i + 1) / parts * kPartCols);
      if constexpr (sizeof(T) == sizeof(float)) {
        call(blas->sgemm, n0, n1);
      } else {
        call(blas->dgemm, n0, n1);
      }
    }
  });
  return true;
}

}  // namespace

template <class T>
bool product_by_openblas(const Strided<T>& a, const Strided<T>& b, T* c, std::int64_t ldc,
                         std::int64_t m, std::int64_t n, std::int64_t k, bool add) {
  return multiplies_by_openblas() && multiply(a, b, c, ldc, m, n, k, add);
}

template bool product_by_openblas(const Strided<float>&, const Strided<float>&, float*,
                                  std::int64_t, std::int64_t, std::int64_t, std::int64_t, bool);
template bool product_by_openblas(const Strided<double>&, const Strided<double>&, double*,
                                  std::int64_t, std::int64_t, std::int64_t, std::int64_t, bool);

}  // namespace nf::cpu
