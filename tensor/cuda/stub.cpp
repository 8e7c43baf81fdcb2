// What stands for the CUDA backend in a build without CUDA.
#include "tensor/backend.h"
#include "tensor/communicator.h"

namespace nf {

namespace {
[[noreturn]] void no_cuda() {
  fail("[device] this build has no CUDA backend; use the CPU (flowcli: --device cpu)");
}
}  // namespace

bool cuda_available() { return false; }

void choose_cuda_device(int) {}

Backend& cuda_backend() { no_cuda(); }

CudaPeer cuda_peer() { return {.gpu = "", .lacks = "this build has no CUDA backend"}; }
CommunicatorId new_cuda_communicator() { no_cuda(); }
std::unique_ptr<Communicator> join_cuda_communicator(const CommunicatorId&, int, int) { no_cuda(); }

}  // namespace nf
