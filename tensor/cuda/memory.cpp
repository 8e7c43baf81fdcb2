// Memory of CUDA tensors, and the way between host and device.
//
// cudaMallocAsync takes from the device's pool in the order of the stream, so a block is used again
// without waiting for the work that used it last. The pool keeps what is released (its threshold is
// raised); what it keeps goes back to the driver only when memory runs out. While a step is
// recorded, memory is the recording's affair (recording.h).
#include <algorithm>
#include <cstring>
#include <mutex>

#include "tensor/cuda/cuda_backend.h"
#include "tensor/cuda/device.h"
#include "tensor/cuda/recording.h"

namespace nf {
namespace {

using namespace nf::cuda;

constexpr std::size_t kMiB = std::size_t{1} << 20;

class Memory {
 public:
  Memory() {
    (void)stream();  // chooses the device, in which else the first call would be
    check(cudaDeviceGetDefaultMemPool(&pool_, device_index()), "memory pool");
    std::uint64_t threshold = ~std::uint64_t{0};
    check(cudaMemPoolSetAttribute(pool_, cudaMemPoolAttrReleaseThreshold, &threshold),
          "memory pool");
    std::size_t free = 0;
    check(cudaMemGetInfo(&free, &total_), "cudaMemGetInfo");
  }

  void* allocate(std::size_t bytes) {
    const std::lock_guard lock(memory_mutex());
    void* block = from_pool(bytes);
    if (!block && !CudaRecording::current()) {
      check(cudaStreamSynchronize(stream()), "allocate");  // then what is released is free
      check(cudaMemPoolTrimTo(pool_, 0), "allocate");
      block = from_pool(bytes);
    }
    NF_CHECK(block, out_of_memory(bytes));
    in_use_ += bytes;
    peak_ = std::max(peak_, in_use_);
    return block;
  }

  void release(void* block, std::size_t bytes) {
    const std::lock_guard lock(memory_mutex());
    in_use_ -= bytes;
    CudaRecording* const owner = CudaRecording::owner_of(block);
    CudaRecording* const recording = owner ? owner : CudaRecording::current();
    if (recording) return recording->release(block, bytes);
    // Nothing can be done about an error, and a destructor may be calling.
    (void)cudaFreeAsync(block, stream());
  }

  std::size_t in_use() const {
    const std::lock_guard lock(memory_mutex());
    return in_use_;
  }
  std::size_t peak() const {
    const std::lock_guard lock(memory_mutex());
    return peak_;
  }

 private:
  void* from_pool(std::size_t bytes) {
    if (bytes > total_) return nullptr;
    bytes = std::max<std::size_t>(bytes, 1);
    if (CudaRecording* const recording = CudaRecording::current()) {
      return recording->allocate(bytes);
    }
    void* block = nullptr;
    const cudaError_t status = cudaMallocAsync(&block, bytes, stream());
    if (status == cudaErrorMemoryAllocation) {
      (void)cudaGetLastError();
      return nullptr;
    }
    check(status, "cudaMallocAsync");
    return block;
  }

  std::string out_of_memory(std::size_t bytes) const {
    return str("[memory] out of memory on the GPU: ", bytes / kMiB, " MiB asked for, ",
               in_use_ / kMiB, " MiB in use by tensors, ", total_ / kMiB,
               " MiB on the device; lower --batch-size, --hidden-units or --couplings, or use "
               "--device cpu");
  }

  cudaMemPool_t pool_ = nullptr;
  std::size_t total_ = 0;
  std::size_t in_use_ = 0;
  std::size_t peak_ = 0;
};

/// Never destroyed: tensors may outlive every static object.
Memory& memory() {
  static Memory& memory = *new Memory;
  return memory;
}

/// Pinned buffers, used in turn: a transfer to or from one goes on while the host fills or empties
/// the next. With pageable memory every transfer would wait for all work before it.
class Staging {
 public:
  static constexpr std::size_t kBytes = kMiB;

  struct Slot {
    void* host = nullptr;
    cudaEvent_t done = nullptr;
  };

  Staging() {
    for (Slot& slot : slots_) {
      check(cudaMallocHost(&slot.host, kBytes), "pinned memory");
      check(cudaEventCreateWithFlags(&slot.done, cudaEventDisableTiming), "event");
    }
  }

  /// The buffer that was used longest ago, after its transfer is done.
  Slot& next() {
    Slot& slot = slots_[turn_++ % kSlots];
    check(cudaEventSynchronize(slot.done), "waiting for a transfer");
    return slot;
  }

  std::mutex mutex;

 private:
  static constexpr int kSlots = 16;
  Slot slots_[kSlots];
  unsigned turn_ = 0;
};

Staging& staging() {
  static Staging& staging = *new Staging;
  return staging;
}

}  // namespace

std::mutex& cuda::memory_mutex() {
  static std::mutex& mutex = *new std::mutex;
  return mutex;
}

void* CudaBackend::allocate(std::size_t bytes) { return memory().allocate(bytes); }
void CudaBackend::release(void* data, std::size_t bytes) { memory().release(data, bytes); }
std::size_t CudaBackend::bytes_in_use() const { return memory().in_use(); }
std::size_t CudaBackend::peak_bytes() const { return memory().peak(); }
bool CudaBackend::may_reuse(const void* data) const {
  const std::lock_guard lock(memory_mutex());
  return CudaRecording::owner_of(data) == CudaRecording::current();
}
void CudaBackend::synchronize() { check(cudaStreamSynchronize(stream()), "synchronize"); }

void CudaBackend::from_host(void* device, const void* host, std::size_t bytes) {
  if (CudaRecording* const recording = CudaRecording::current()) {
    void* const copy = recording->pinned(bytes);  // each replay copies from it
    std::memcpy(copy, host, bytes);
    return check(cudaMemcpyAsync(device, copy, bytes, cudaMemcpyHostToDevice, stream()),
                 "copy to the device");
  }
  Staging& buffers = staging();
  const std::lock_guard lock(buffers.mutex);
  for (std::size_t at = 0; at < bytes; at += Staging::kBytes) {
    const std::size_t size = std::min(Staging::kBytes, bytes - at);
    const Staging::Slot& slot = buffers.next();
    std::memcpy(slot.host, static_cast<const char*>(host) + at, size);
    check(cudaMemcpyAsync(static_cast<char*>(device) + at, slot.host, size, cudaMemcpyHostToDevice,
                          stream()),
          "copy to the device");
    check(cudaEventRecord(slot.done, stream()), "copy to the device");
  }
}

void CudaBackend::to_host(void* host, const void* device, std::size_t bytes) {
  NF_CHECK(!CudaRecording::current(),
           "[graph] a value is read on the host while a step is recorded; keep the tensor and read "
           "it after replay(), and run the step once before it is recorded");
  Staging& buffers = staging();
  const std::lock_guard lock(buffers.mutex);
  const auto collect = [&](const Staging::Slot& slot, std::size_t at) {
    check(cudaEventSynchronize(slot.done), "copy to the host");
    std::memcpy(static_cast<char*>(host) + at, slot.host, std::min(Staging::kBytes, bytes - at));
  };
  const Staging::Slot* before = nullptr;  // on its way while the next one is asked for
  for (std::size_t at = 0; at < bytes; at += Staging::kBytes) {
    const Staging::Slot& slot = buffers.next();
    check(cudaMemcpyAsync(slot.host, static_cast<const char*>(device) + at,
                          std::min(Staging::kBytes, bytes - at), cudaMemcpyDeviceToHost, stream()),
          "copy to the host");
    check(cudaEventRecord(slot.done, stream()), "copy to the host");
    if (before) collect(*before, at - Staging::kBytes);
    before = &slot;
  }
  if (before) collect(*before, (bytes - 1) / Staging::kBytes * Staging::kBytes);
}

}  // namespace nf
