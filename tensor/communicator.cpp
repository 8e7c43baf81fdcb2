#include "tensor/communicator.h"

#include "tensor/environment.h"

namespace nf {

bool nccl_allowed() {
  static const bool allowed = environment_choice("processes", "NF_NCCL", {"auto", "off"}, 0) == 0;
  return allowed;
}

}  // namespace nf
