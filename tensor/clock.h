// Time that never jumps, for progress and measurements.
#pragma once

#include <chrono>

namespace nf {

/// Seconds since some fixed moment.
inline double seconds_now() {
  using namespace std::chrono;
  return duration<double>(steady_clock::now().time_since_epoch()).count();
}

}  // namespace nf
