// Memory that ends with its thread.
#pragma once

#include <cstddef>

namespace nf {

/// A block of malloc's in a thread_local variable. It has no destructor: of one, a thread is told
/// at its first use, and where there is no memory for that the process is aborted.
struct ThreadMemory {
  void* data = nullptr;
  std::size_t bytes = 0;
  ThreadMemory* next = nullptr;  ///< of the thread's list
  bool listed = false;
};

/// Sees to it that `memory`, a variable of this thread, is freed when the thread ends. False: there
/// is no memory for that.
bool free_at_thread_end(ThreadMemory& memory);

}  // namespace nf
