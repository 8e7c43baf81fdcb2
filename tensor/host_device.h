// NF_HD marks a function that both the CPU loops and the CUDA kernels compile: the only place
// outside tensor/cuda where the project asks which compiler is running.
#pragma once

#ifdef __CUDACC__
#define NF_HD __host__ __device__
#else
#define NF_HD
#endif
