// Linear algebra on the CPU: the matrices are small (the mixing matrix of a layer), f64, and made
// or checked once, while cuSOLVER is a library of more than 100 MB that needs as long to load.
#include "tensor/cuda/cuda_backend.h"

namespace nf {

int CudaBackend::cholesky(Tensor& a) {
  Tensor host = a.to(Device::CPU);
  const int info = cpu_backend().cholesky(host);
  a.copy_(host);
  return info;
}

int CudaBackend::triangular_solve(const Tensor& a, bool lower, bool transpose, bool unit,
                                  Tensor& b) {
  Tensor host = b.to(Device::CPU);
  const int info = cpu_backend().triangular_solve(a.to(Device::CPU), lower, transpose, unit, host);
  b.copy_(host);
  return info;
}

int CudaBackend::lu(Tensor& a, Tensor& pivots) {
  Tensor host = a.to(Device::CPU), host_pivots = Tensor::empty(pivots.shape(), DType::I32);
  const int info = cpu_backend().lu(host, host_pivots);
  a.copy_(host);
  pivots.copy_(host_pivots);
  return info;
}

int CudaBackend::qr(Tensor& a, Tensor& r) {
  Tensor host = a.to(Device::CPU), host_r = Tensor::empty(r.shape(), DType::F64);
  const int info = cpu_backend().qr(host, host_r);
  a.copy_(host);
  r.copy_(host_r);
  return info;
}

int CudaBackend::eigh(Tensor& a, Tensor& values) {
  Tensor host = a.to(Device::CPU), host_values = Tensor::empty(values.shape(), DType::F64);
  const int info = cpu_backend().eigh(host, host_values);
  a.copy_(host);
  values.copy_(host_values);
  return info;
}

}  // namespace nf
