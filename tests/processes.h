// Several processes of a group, as threads of this one.
#pragma once

#include <exception>
#include <functional>
#include <thread>
#include <vector>

#include "comm/local_group.h"

namespace nf::test {

/// body(group) for each rank, at the same time. What one throws is thrown here when all are done.
inline void with_processes(int size, const std::function<void(comm::Group&)>& body) {
  auto groups = comm::local_groups(size);
  std::vector<std::exception_ptr> errors(groups.size());
  std::vector<std::thread> threads;
  for (std::size_t r = 0; r < groups.size(); ++r) {
    threads.emplace_back([&, r] {
      try {
        body(*groups[r]);
      } catch (...) {
        errors[r] = std::current_exception();
      }
      groups[r].reset();  // the others see that it is gone
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::exception_ptr& error : errors) {
    if (error) std::rethrow_exception(error);
  }
}

}  // namespace nf::test
