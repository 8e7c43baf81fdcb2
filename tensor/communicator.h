// Communicator: sums between the GPUs of several processes, without their hosts.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "tensor/tensor.h"

namespace nf {

class Communicator {
 public:
  virtual ~Communicator() = default;
  /// "NCCL 2.27.3"
  virtual std::string name() const = 0;
  /// Element by element over all processes, in place and the same values in each. In which order
  /// they are added the library decides. Contiguous floats on the GPU of this process; all give the
  /// same sizes in the same order. Returns before it is done. A step that was done once may be
  /// recorded with it (tensor/graph.h).
  virtual void sum(std::span<Tensor> tensors) = 0;
  /// Waits until the GPU has done all it was asked for. Throws Error when the library has found
  /// that another process is lost, which it may do late or never.
  virtual void wait() = 0;
  /// Gives up the sums that are under way, which would wait for a lost process for ever. Nothing
  /// can be added up afterwards.
  virtual void abort() = 0;
};

/// What the processes have to know of each other before they join their GPUs.
struct CudaPeer {
  std::string gpu;    ///< where it is in its machine: "0000:3b:00.0"
  std::string lacks;  ///< why this process cannot join: no library, no GPU; empty: it can
};
CudaPeer cuda_peer();

/// Made by one process and sent to the others.
using CommunicatorId = std::array<std::byte, 128>;
CommunicatorId new_cuda_communicator();
/// Comes back when all `size` processes have called it. Throws Error where they cannot be joined.
std::unique_ptr<Communicator> join_cuda_communicator(const CommunicatorId& id, int rank, int size);

/// What NF_NCCL says: false for "off", true for "auto" or nothing.
bool nccl_allowed();

}  // namespace nf
