#include "tensor/cpu/host/thread_memory.h"

#include <pthread.h>

#include <cstdlib>
#include <utility>

namespace nf {
namespace {

void free_list(void* first) {
  auto* memory = static_cast<ThreadMemory*>(first);
  while (memory) {
    std::free(memory->data);
    memory = std::exchange(*memory, {}).next;
  }
}

/// The threads' lists; null when there are no keys left.
const pthread_key_t* lists() {
  static pthread_key_t key;
  static const bool made = pthread_key_create(&key, free_list) == 0;
  return made ? &key : nullptr;
}

}  // namespace

bool free_at_thread_end(ThreadMemory& memory) {
  if (memory.listed) return true;
  const pthread_key_t* const key = lists();
  if (!key) return false;
  memory.next = static_cast<ThreadMemory*>(pthread_getspecific(*key));
  memory.listed = pthread_setspecific(*key, &memory) == 0;
  return memory.listed;
}

}  // namespace nf
