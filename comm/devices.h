// The GPUs of several processes, joined: what is on them is added up without the hosts.
#pragma once

#include <memory>
#include <string>

#include "comm/group.h"
#include "tensor/communicator.h"

namespace nf::comm {

struct Devices {
  std::unique_ptr<Communicator> communicator;  ///< null: they are not joined
  std::string why_not;                         ///< and which process it is for
};

/// Joins the GPUs that the processes have chosen (choose_cuda_device), by NCCL. Not where one of
/// them has no NCCL, or two share a GPU. Collective.
Devices join_devices(Group& group);

}  // namespace nf::comm
