#include "tensor/cuda/device.h"

#include <algorithm>
#include <mutex>
#include <unordered_map>

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
  int processors = 0;

  Context() {
    const int device = device_index();
    check(cudaSetDevice(device), "cudaSetDevice");
    check(cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, device),
          "attributes");
    check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreate");
  }
};

/// Never destroyed: tensors may outlive every static object.
const Context& context() {
  static const Context& context = *new Context;
  return context;
}

/// Blocks of kThreads of a kernel that the device runs at a time: its registers decide. Asked once.
std::int64_t resident_blocks(const void* kernel) {
  static auto& mutex = *new std::mutex;
  static auto& known = *new std::unordered_map<const void*, int>;
  const std::lock_guard lock(mutex);
  const auto [at, is_new] = known.try_emplace(kernel, 1);
  if (is_new) {
    check(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&at->second, kernel, kThreads, 0),
          "occupancy");
  }
  return std::int64_t{context().processors} * std::max(1, at->second);
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

dim3 blocks_of(GridFor grid, const void* kernel) {
  const std::int64_t blocks = (grid.threads + kThreads - 1) / kThreads;
  return dim3(static_cast<unsigned>(std::clamp<std::int64_t>(blocks, 1, resident_blocks(kernel))));
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
