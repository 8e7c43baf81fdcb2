// What stands for cuBLASLt: plain loops, exact whatever the precision.
#include "tensor/cuda/gemm.h"

#include <cuda_runtime.h>

namespace nf::cuda {
namespace {

template <class T>
void multiply(const Product& p) {
  const auto at = [](const Matrix& x, std::int64_t s, std::int64_t i, std::int64_t j) {
    const T* const data = static_cast<const T*>(x.data) + s * x.step;
    return static_cast<double>(data[x.transposed ? j * x.ld + i : i * x.ld + j]);
  };
  const T* const bias = static_cast<const T*>(p.bias);
  T* c = static_cast<T*>(p.c);
  for (std::int64_t s = 0; s < p.batch; ++s) {
    for (std::int64_t i = 0; i < p.m; ++i) {
      for (std::int64_t j = 0; j < p.n; ++j) {
        double sum = bias ? bias[j] : 0;
        for (std::int64_t l = 0; l < p.k; ++l) sum += at(p.a, s, i, l) * at(p.b, s, l, j);
        const bool relu = p.epilogue == Epilogue::Relu || p.epilogue == Epilogue::BiasRelu;
        *c++ = static_cast<T>(relu && sum < 0 ? 0 : sum);
      }
    }
  }
}

}  // namespace

void gemm(const Product& product, Precision) {
  emulator::enqueue([product] {
    visit_float(product.dtype, [&]<class T>() { multiply<T>(product); });
    return cudaSuccess;
  });
}

}  // namespace nf::cuda
