// Memory of a thread for packed operands that are cut to the size of a cache: it grows and is kept.
// What grows with a model's weights is memory of the call (call_memory, ../host/host_backend.h).
#pragma once

#include <cstdlib>
#include <utility>

#include "tensor/cpu/gemm/tile.h"
#include "tensor/cpu/host/thread_memory.h"
#include "tensor/error.h"

namespace nf::cpu {

/// A variable of a thread, with which its memory ends.
class Scratch {
 public:
  /// `operation`: whose error it is when there is no memory.
  explicit constexpr Scratch(const char* operation = "matmul") : operation_(operation) {}

  /// Room for `count` numbers and the end of a vector behind them. What was there is lost.
  template <class T>
  T* get(Index count) {
    const std::size_t bytes =
        (static_cast<std::size_t>(count) * sizeof(T) + 2 * kVectorBytes + 63) / 64 * 64;
    if (bytes > memory_.bytes) {
      std::free(std::exchange(memory_.data, nullptr));
      memory_.bytes = 0;
      if (free_at_thread_end(memory_)) memory_.data = std::aligned_alloc(64, bytes);
      NF_CHECK(memory_.data, "[", operation_, "] out of memory: there are no ", (bytes >> 10) + 1,
               " KiB to pack operands into; use a smaller batch or model");
      memory_.bytes = bytes;
    }
    return static_cast<T*>(memory_.data);
  }

 private:
  const char* operation_;
  ThreadMemory memory_;
};

}  // namespace nf::cpu
