// A recorded step: the CUDA graph, the memory that it works in, and what changes between replays.
//
// A graph holds addresses, so memory that its work may touch must stay where it is as long as the
// graph lives. While one is recorded, allocations come from blocks of its own, which are used again
// within the recording but by nobody else; blocks of others that are released stay with it too.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <map>
#include <mutex>
#include <vector>

#include "tensor/graph.h"

namespace nf::cuda {

/// What kernels of a graph read from the device's memory instead of from their arguments.
struct StepConstants {
  static constexpr std::size_t kGenerators = 32, kUpdates = 16;
  std::uint64_t offsets[kGenerators];  ///< where each generator stands at the start of the step
  UpdateArgs updates[kUpdates];
};

/// Guards what is known of the device's memory, here and in memory.cpp. Whoever calls allocate,
/// release or owner_of holds it.
std::mutex& memory_mutex();

class CudaRecording final : public Recording {
 public:
  explicit CudaRecording(std::span<Generator* const> generators);
  ~CudaRecording() override;
  CudaRecording(const CudaRecording&) = delete;
  CudaRecording& operator=(const CudaRecording&) = delete;

  /// The one that is being made, or null.
  static CudaRecording* current();
  /// The one whose memory `block` is, or null.
  static CudaRecording* owner_of(const void* block);

  void capture(const std::function<void()>& step);
  std::size_t updates() const override { return updates_; }
  void replay(std::span<const std::uint64_t> offsets, std::span<const UpdateArgs> updates) override;

  // --- for the backend's functions while this is current ----------------------------------------
  /// A block of the recording's own; null when there is no memory.
  void* allocate(std::size_t bytes);
  /// Takes back a block of its own, or keeps another's until the recording dies.
  void release(void* block, std::size_t bytes);
  /// Pinned memory that lives as long as the recording.
  void* pinned(std::size_t bytes);
  /// Where the generator of (seed, stream) will stand; makes `offset` relative to it.
  const std::uint64_t* live_offset(std::uint64_t seed, std::uint64_t stream, std::uint64_t& offset);
  /// The constants of the next update.
  const UpdateArgs* live_update();

 private:
  struct Source {
    std::uint64_t seed, stream, start;
  };
  std::vector<Source> sources_;
  std::size_t updates_ = 0;
  StepConstants* constants_ = nullptr;      ///< on the device
  std::multimap<std::size_t, void*> free_;  ///< own blocks by size
  std::vector<void*> kept_;                 ///< of others
  std::vector<void*> pinned_;
  cudaGraphExec_t graph_ = nullptr;
};

}  // namespace nf::cuda
