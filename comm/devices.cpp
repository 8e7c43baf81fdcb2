#include "comm/devices.h"

#include <algorithm>

namespace nf::comm {

namespace {

/// Why these cannot be joined, the same text in each process; empty: they can.
std::string why_not_joined(Group& group) {
  const CudaPeer own = cuda_peer();
  const auto lacks = group.gather(own.lacks);
  for (std::size_t r = 0; r < lacks.size(); ++r) {
    if (!lacks[r].empty()) return group.name_of(static_cast<int>(r)) + ": " + lacks[r];
  }
  const auto gpus = group.gather(host_name() + '\0' + own.gpu);
  for (auto gpu = gpus.begin(); gpu != gpus.end(); ++gpu) {
    const auto before = std::find(gpus.begin(), gpu, *gpu);
    if (before == gpu) continue;
    return str(group.name_of(static_cast<int>(gpu - gpus.begin())), " shares a GPU with rank ",
               before - gpus.begin());
  }
  return "";
}

}  // namespace

Devices join_devices(Group& group) {
  std::string why_not = why_not_joined(group);
  if (!why_not.empty()) return {nullptr, std::move(why_not)};
  CommunicatorId id{};
  if (group.first()) id = new_cuda_communicator();
  group.broadcast(id);
  return {join_cuda_communicator(id, group.rank(), group.size()), ""};
}

}  // namespace nf::comm
