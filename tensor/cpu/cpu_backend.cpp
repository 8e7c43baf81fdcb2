#include "tensor/cpu/cpu_backend.h"

namespace nf {

// Never destroyed: tensors with static lifetime give their memory back after main has ended.
Backend& cpu_backend() {
  static CpuBackend& backend = *new CpuBackend;
  return backend;
}

}  // namespace nf
