#include "tensor/cpu/cpu_backend.h"

namespace nf {

// CMake names it: cpu_backend_base, cpu_backend_avx2, .. It is all that is seen of this set.
Backend& NF_CPU_BACKEND() {
  static CpuBackend& backend = *new CpuBackend;  // never destroyed, see cpu_kernels.cpp
  return backend;
}

}  // namespace nf
