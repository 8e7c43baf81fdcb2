// The one seam to cuBLASLt: a row-major matrix product, batched, with what is fused into it.
#pragma once

#include <cstdint>

#include "tensor/backend.h"

namespace nf::cuda {

/// An operand in row-major storage: element (i, j) at data[i*ld + j], or at data[j*ld + i] if
/// transposed; matrix s of a batch starts `step` elements after matrix s - 1.
struct Matrix {
  const void* data = nullptr;
  std::int64_t ld = 0;
  bool transposed = false;
  std::int64_t step = 0;
};

enum class Epilogue : std::uint8_t { None, Bias, Relu, BiasRelu };

/// c[s] = f(a[s] b[s] + bias) for `batch` products of (m, k) by (k, n); c and bias (n) contiguous.
struct Product {
  DType dtype = DType::F32;
  std::int64_t m = 0, n = 0, k = 0, batch = 1;
  Matrix a, b;
  void* c = nullptr;
  Epilogue epilogue = Epilogue::None;  ///< f32 only
  const void* bias = nullptr;
};

/// k is at least 1. False: cuBLASLt has nothing that fuses the epilogue into this shape, and c = a
/// b. NaN behind a fused ReLU is 0. Throws Error with the shape when there is no way to do it.
bool gemm(const Product& product, Precision precision);

/// out = act(out + bias) for (rows, cols): what gemm cannot fuse. `bias` may be null, so may `act`.
void bias_act(Tensor& out, const Tensor& bias, const UnaryOp* act, OpArgs args);

}  // namespace nf::cuda
