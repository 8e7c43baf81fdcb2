// Memory of a thread for packed operands that are cut to the size of a cache: it grows and is kept.
// What grows with a model's weights is memory of the call (call_memory, ../host/host_backend.h).
#pragma once

#include <cstdlib>
#include <memory>

#include "tensor/cpu/gemm/tile.h"
#include "tensor/error.h"

namespace nf::cpu {

class Scratch {
 public:
  /// `operation`: whose error it is when there is no memory.
  explicit constexpr Scratch(const char* operation = "matmul") : operation_(operation) {}

  /// Room for `count` numbers and the end of a vector behind them. What was there is lost.
  template <class T>
  T* get(Index count) {
    const std::size_t bytes =
        (static_cast<std::size_t>(count) * sizeof(T) + 2 * kVectorBytes + 63) / 64 * 64;
    if (bytes > size_) {
      memory_.reset();
      size_ = 0;
      memory_.reset(std::aligned_alloc(64, bytes));
      NF_CHECK(memory_, "[", operation_, "] out of memory: there are no ", (bytes >> 10) + 1,
               " KiB to pack operands into; use a smaller batch or model");
      size_ = bytes;
    }
    return static_cast<T*>(memory_.get());
  }

 private:
  struct Free {
    void operator()(void* p) const { std::free(p); }
  };
  const char* operation_;
  std::unique_ptr<void, Free> memory_;
  std::size_t size_ = 0;
};

}  // namespace nf::cpu
