// What the CPU backend does alike on every processor: memory and linear algebra. Compiled once.
//   memory.cpp       64-byte aligned blocks, cached by size
//   thread_memory.cpp  memory that ends with its thread
//   linalg.cpp       LAPACK
//   cpu_kernels.cpp  the choice among the sets of kernels
//   machine.cpp      the machine's own limits
//   openblas_product.cpp  OpenBLAS as a peer for products
#pragma once

#include "tensor/backend.h"

namespace nf {

class HostBackend : public Backend {
 public:
  void* allocate(std::size_t bytes) override;
  void release(void* data, std::size_t bytes) override;
  void to_host(void* host, const void* device, std::size_t bytes) override;
  void from_host(void* device, const void* host, std::size_t bytes) override;
  std::size_t bytes_in_use() const override;
  std::size_t peak_bytes() const override;

  void cholesky(Tensor& a) override;
  void triangular_solve(const Tensor& a, bool lower, bool transpose, bool unit, Tensor& b) override;
  void lu(Tensor& a, Tensor& pivots, Tensor& det) override;
  void lu_inverse(const Tensor& lu, const Tensor& pivots, Tensor& out) override;
  int qr(Tensor& a, Tensor& r) override;
  int eigh(Tensor& a, Tensor& values) override;

  /// FLOP/s of the kernels' multiply-adds in registers; see machine.h.
  virtual double peak_flops(DType dtype) = 0;
  virtual double update_bytes(std::int64_t numbers) = 0;  ///< per second; see update_gbs
};

/// Memory of one call for `count` numbers, and for a vector's end behind them. It is a tensor's:
/// counted in peak_bytes, and used again by others afterwards. Throws Error "[operation] no memory
/// for WHAT, .. MB".
Tensor call_memory(const char* operation, const char* what, std::int64_t count, DType dtype);

}  // namespace nf
