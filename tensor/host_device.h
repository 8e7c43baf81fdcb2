// NF_HD marks a function that both the CPU loops and the CUDA kernels compile: the only place
// outside tensor/cuda where the project asks which compiler is running.
#pragma once

#ifdef __CUDACC__
#define NF_HD __host__ __device__
#else
#define NF_HD
#endif

namespace nf {

/// In an NF_HD function: is this the version that runs on the GPU?
#ifdef __CUDA_ARCH__
inline constexpr bool kOnDevice = true;
#else
inline constexpr bool kOnDevice = false;
#endif

}  // namespace nf
