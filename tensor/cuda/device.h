// What every file of the CUDA backend needs: the device, its one stream, checked calls and
// launches.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace nf::cuda {

/// Throws Error "[cuda] WHAT: why" unless `status` is success. A kernel's own failure shows up in a
/// later call; with CUDA_LAUNCH_BLOCKING=1 in the environment, in the one that names it.
void check(cudaError_t status, const char* what);

/// The GPU of this process: 0, unless choose_cuda_device said another. From then on it stays.
int device_index();

/// All work is done in order on this stream; nothing here waits for it but transfers to the host.
cudaStream_t stream();

inline constexpr int kThreads = 256;  ///< of a block, unless a kernel says otherwise

/// Enough blocks of kThreads for `threads` threads, but not more than keep the device full: kernels
/// loop with the stride of the grid.
dim3 grid_for(std::int64_t threads);

/// Runs a kernel on the stream; every launch of the project. `name` is for the error.
template <class... Params, class... Args>
void launch(const char* name, dim3 grid, dim3 block, void (*kernel)(Params...),
            const Args&... args) {
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = block;
  config.stream = stream();
  check(cudaLaunchKernelEx(&config, kernel, static_cast<Params>(args)...), name);
}

}  // namespace nf::cuda
