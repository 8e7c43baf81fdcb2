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

/// A grid for so many threads in blocks of kThreads: enough of them, but not more than the device
/// runs at a time, which depends on the kernel. Kernels loop with the stride of the grid.
struct GridFor {
  std::int64_t threads;
};
inline GridFor grid_for(std::int64_t threads) { return {threads}; }
dim3 blocks_of(GridFor grid, const void* kernel);

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
template <class... Params, class... Args>
void launch(const char* name, GridFor grid, dim3 block, void (*kernel)(Params...),
            const Args&... args) {
  launch(name, blocks_of(grid, reinterpret_cast<const void*>(kernel)), block, kernel, args...);
}

}  // namespace nf::cuda
