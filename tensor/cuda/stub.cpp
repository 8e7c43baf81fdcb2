// What stands for the CUDA backend in a build without CUDA.
#include "tensor/backend.h"

namespace nf {

bool cuda_available() { return false; }

void choose_cuda_device(int) {}

Backend& cuda_backend() {
  fail("[device] this build has no CUDA backend; use the CPU (flowcli: --device cpu)");
}

}  // namespace nf
