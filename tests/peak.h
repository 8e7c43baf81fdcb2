// How much memory a computation takes at its height.
#pragma once

#include <cstddef>
#include <functional>

#include "tensor/backend.h"
#include "tensor/tensor.h"

namespace nf::test {

/// The most bytes that `run` has in use beyond those that were in use before.
inline std::size_t peak_of(const std::function<void()>& run) {
  Backend& cpu = cpu_backend();
  // Nothing is below the peak any more, so that it rises by all that is allocated.
  const std::size_t ballast = cpu.peak_bytes() - cpu.bytes_in_use() + 1;
  void* const block = cpu.allocate(ballast);
  const std::size_t before = cpu.bytes_in_use();
  run();
  cpu.release(block, ballast);
  return cpu.peak_bytes() - before;
}

}  // namespace nf::test
