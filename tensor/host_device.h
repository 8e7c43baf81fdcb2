// What differs from compiler to compiler: the only place outside tensor/cuda where the project asks
// which one is running. NF_HD marks a function that both the CPU loops and the CUDA kernels
// compile.
#pragma once

#ifdef __CUDACC__
#define NF_HD __host__ __device__
#else
#define NF_HD
#endif

// Before a loop whose iterations do not need each other's results in memory: it may be vectorised.
#ifdef __clang__
#define NF_INDEPENDENT_ITERATIONS _Pragma("clang loop vectorize(assume_safety)")
#else
#define NF_INDEPENDENT_ITERATIONS _Pragma("GCC ivdep")
#endif

namespace nf {

/// In an NF_HD function: is this the version that runs on the GPU?
#ifdef __CUDA_ARCH__
inline constexpr bool kOnDevice = true;
#else
inline constexpr bool kOnDevice = false;
#endif

}  // namespace nf
