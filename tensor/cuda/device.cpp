#include "tensor/cuda/device.h"

#include <algorithm>

#include "tensor/cuda/cuda_backend.h"

namespace nf {
namespace cuda {
namespace {

int wanted = 0;  // a process may choose it, and count beyond the GPUs that are there
bool in_use = false;

/// Usable: the driver answers, and the device has the memory pools that memory.cpp works with.
cudaError_t device_status() {
  int count = 0, pools = 0;
  cudaError_t status = cudaGetDeviceCount(&count);
  if (status == cudaSuccess && count == 0) status = cudaErrorNoDevice;
  if (status == cudaSuccess)
    status = cudaDeviceGetAttribute(&pools, cudaDevAttrMemoryPoolsSupported, wanted % count);
  if (status == cudaSuccess && pools == 0) status = cudaErrorNotSupported;
  (void)cudaGetLastError();  // the next call shall not report this one's error
  return status;
}

struct Context {
  cudaStream_t stream = nullptr;
  int blocks = 0;  ///< of kThreads threads that the device runs at a time

  Context() {
    int processors = 0, threads = 0;
    const int device = device_index();
    check(cudaSetDevice(device), "cudaSetDevice");
    check(cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, device),
          "attributes");
    check(cudaDeviceGetAttribute(&threads, cudaDevAttrMaxThreadsPerMultiProcessor, device),
          "attributes");
    check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreate");
    blocks = processors * (threads / kThreads);
  }
};

/// Never destroyed: tensors may outlive every static object.
const Context& context() {
  static const Context& context = *new Context;
  return context;
}

}  // namespace

void check(cudaError_t status, const char* what) {
  NF_CHECK(status == cudaSuccess, "[cuda] ", what, ": ", cudaGetErrorString(status));
}

int device_index() {
  in_use = true;
  int count = 0;
  check(cudaGetDeviceCount(&count), "devices");
  return wanted % std::max(1, count);
}

cudaStream_t stream() { return context().stream; }

dim3 grid_for(std::int64_t threads) {
  const std::int64_t blocks = (threads + kThreads - 1) / kThreads;
  return dim3(static_cast<unsigned>(std::clamp<std::int64_t>(blocks, 1, context().blocks)));
}

}  // namespace cuda

bool cuda_available() {
  static const bool available = cuda::device_status() == cudaSuccess;
  return available;
}

void choose_cuda_device(int index) {
  NF_CHECK(!cuda::in_use, "[device] the GPU is in use already; another one cannot be chosen");
  cuda::wanted = index;
}

Backend& cuda_backend() {
  static CudaBackend& backend = []() -> CudaBackend& {
    const cudaError_t status = cuda::device_status();
    NF_CHECK(status == cudaSuccess,
             "[device] no CUDA device can be used: ", cudaGetErrorString(status),
             "; use the CPU (flowcli: --device cpu)");
    return *new CudaBackend;
  }();
  return backend;
}

}  // namespace nf
