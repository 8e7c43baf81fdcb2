// The one thread pool. Every parallel loop of the project goes through parallel_for.
#pragma once

#include <cstdint>
#include <string_view>
#include <type_traits>

namespace nf {

/// Processors that this process may run on, by its affinity and by what its container may take
/// (docker --cpus): 1.5 of them are 2.
int usable_processors();
/// Of a file cpu.max of Linux, "150000 100000" (microseconds of each period) or "max 100000": 2; 0
/// where there is no limit or the text is another.
int processors_of_quota(std::string_view text);

/// Number of threads that parallel_for uses, the caller included. The default is NF_NUM_THREADS,
/// else usable_processors().
int num_threads();

/// Sets it; 0 restores the default. Not to be called from inside parallel_for.
void set_num_threads(int n);

namespace detail {
using RangeFn = void (*)(void* body, std::int64_t begin, std::int64_t end);
void parallel_for(std::int64_t n, std::int64_t grain, RangeFn fn, void* body);
}  // namespace detail

/// Splits [0, n) into one contiguous range per thread and calls body(begin, end) for each, every
/// range but the last a multiple of `grain` long. Runs on the caller alone when n <= grain, when
/// there is one thread, and when called from inside another parallel_for. An exception thrown by
/// the body is rethrown here after all ranges are done.
template <class Body>
void parallel_for(std::int64_t n, std::int64_t grain, Body&& body) {
  using B = std::remove_reference_t<Body>;
  detail::parallel_for(
      n, grain,
      [](void* b, std::int64_t begin, std::int64_t end) { (*static_cast<B*>(b))(begin, end); },
      const_cast<std::remove_const_t<B>*>(&body));
}

}  // namespace nf
