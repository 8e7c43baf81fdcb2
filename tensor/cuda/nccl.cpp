// NCCL: sums between the GPUs of processes. It is neither linked nor compiled against, but opened
// when several processes have a GPU each; what is used of it is declared here, as in its nccl.h.
#include <dlfcn.h>

#include <chrono>
#include <exception>
#include <thread>
#include <type_traits>
#include <utility>

#include "tensor/communicator.h"
#include "tensor/cuda/cuda_backend.h"
#include "tensor/cuda/device.h"

namespace nf {
namespace {

using namespace nf::cuda;

enum NcclResult : int { kNcclSuccess = 0, kNcclInProgress = 7 };
enum NcclType : int { kNcclFloat32 = 7, kNcclFloat64 = 8 };
enum NcclOp : int { kNcclSum = 0 };
using NcclComm = struct NcclCommOpaque*;
static_assert(sizeof(CommunicatorId) == 128 && std::is_trivially_copyable_v<CommunicatorId>,
              "ncclUniqueId, which is passed by value");

struct NcclLibrary {
  NcclResult (*get_version)(int*) = nullptr;
  NcclResult (*get_unique_id)(CommunicatorId*) = nullptr;
  NcclResult (*comm_init_rank)(NcclComm*, int size, CommunicatorId, int rank) = nullptr;
  NcclResult (*all_reduce)(const void*, void*, std::size_t, NcclType, NcclOp, NcclComm,
                           cudaStream_t) = nullptr;
  NcclResult (*group_start)() = nullptr;
  NcclResult (*group_end)() = nullptr;
  NcclResult (*comm_get_async_error)(NcclComm, NcclResult*) = nullptr;
  NcclResult (*comm_abort)(NcclComm) = nullptr;
  NcclResult (*comm_destroy)(NcclComm) = nullptr;
  const char* (*get_error_string)(NcclResult) = nullptr;
  std::string lacks;  ///< empty: all is there

  NcclLibrary() {
    void* const library = ::dlopen("libnccl.so.2", RTLD_NOW | RTLD_LOCAL);
    if (!library) {
      lacks = str("NCCL cannot be opened (", ::dlerror(), ")");
      return;
    }
    const auto load = [&](auto& function, const char* name) {
      function =
          reinterpret_cast<std::remove_reference_t<decltype(function)>>(::dlsym(library, name));
      if (!function) lacks = str("libnccl.so.2 has no ", name);
    };
    load(get_version, "ncclGetVersion");
    load(get_unique_id, "ncclGetUniqueId");
    load(comm_init_rank, "ncclCommInitRank");
    load(all_reduce, "ncclAllReduce");
    load(group_start, "ncclGroupStart");
    load(group_end, "ncclGroupEnd");
    load(comm_get_async_error, "ncclCommGetAsyncError");
    load(comm_abort, "ncclCommAbort");
    load(comm_destroy, "ncclCommDestroy");
    load(get_error_string, "ncclGetErrorString");
  }
};

const NcclLibrary& nccl() {
  static const NcclLibrary& library = *new NcclLibrary;
  return library;
}

void check_nccl(NcclResult status, const char* what) {
  NF_CHECK(status == kNcclSuccess, "[nccl] ", what, ": ", nccl().get_error_string(status),
           "; NCCL_DEBUG=WARN tells more, NF_NCCL=off does without");
}

class NcclCommunicator final : public Communicator {
 public:
  NcclCommunicator(const CommunicatorId& id, int rank, int size) {
    (void)stream();  // the GPU of this process is that of this thread
    check_nccl(nccl().comm_init_rank(&comm_, size, id, rank), "joining the GPUs");
  }
  /// On the way of an error the others may not come to this: then it would wait for them.
  ~NcclCommunicator() override {
    if (comm_ && std::uncaught_exceptions() == 0) (void)nccl().comm_destroy(comm_);
  }

  std::string name() const override {
    int version = 0;
    check_nccl(nccl().get_version(&version), "version");
    return str("NCCL ", version / 10000, ".", version / 100 % 100, ".", version % 100);
  }

  // One group: either all are added up or nothing is.
  void sum(std::span<Tensor> tensors) override {
    NF_CHECK(comm_, "[nccl] the GPUs are not joined any more");
    check_nccl(nccl().group_start(), "a sum");
    NcclResult status = kNcclSuccess;
    for (Tensor& t : tensors) {
      if (t.numel() == 0 || status != kNcclSuccess) continue;
      const bool wide = t.dtype() == DType::F64;
      void* const data = wide ? static_cast<void*>(t.mutable_data<double>())
                              : static_cast<void*>(t.mutable_data<float>());
      status = nccl().all_reduce(data, data, static_cast<std::size_t>(t.numel()),
                                 wide ? kNcclFloat64 : kNcclFloat32, kNcclSum, comm_, stream());
    }
    const NcclResult ended = nccl().group_end();
    check_nccl(status, "a sum");
    check_nccl(ended, "a sum");
  }

  void wait() override {
    cudaError_t done = cudaErrorNotReady;
    while ((done = cudaStreamQuery(stream())) == cudaErrorNotReady) {
      look_for_errors();
      std::this_thread::sleep_for(std::chrono::microseconds(20));
    }
    look_for_errors();
    check(done, "waiting for a step");
  }

  void abort() override {
    if (comm_) (void)nccl().comm_abort(std::exchange(comm_, nullptr));
  }

 private:
  void look_for_errors() {
    if (!comm_) return;
    NcclResult found = kNcclSuccess;
    check_nccl(nccl().comm_get_async_error(comm_, &found), "looking for errors");
    if (found == kNcclSuccess || found == kNcclInProgress) return;
    abort();
    check_nccl(found, "a sum with the GPUs of other processes failed");
  }

  NcclComm comm_ = nullptr;
};

}  // namespace

CudaPeer cuda_peer() {
  if (!nccl_allowed()) return {.gpu = "", .lacks = "NF_NCCL is off"};
  if (!nccl().lacks.empty()) return {.gpu = "", .lacks = nccl().lacks};
  char address[32] = {};
  check(cudaDeviceGetPCIBusId(address, sizeof address, device_index()), "address of the GPU");
  return {.gpu = address, .lacks = ""};
}

CommunicatorId new_cuda_communicator() {
  CommunicatorId id{};
  check_nccl(nccl().get_unique_id(&id), "a name for the GPUs together");
  return id;
}

std::unique_ptr<Communicator> join_cuda_communicator(const CommunicatorId& id, int rank, int size) {
  return std::make_unique<NcclCommunicator>(id, rank, size);
}

}  // namespace nf
