// How the benches time.
#pragma once

#include <algorithm>
#include <limits>

#include "tensor/clock.h"

namespace nf {

/// Seconds of the shortest of `runs` calls of run(), after `warm_up` that are not counted.
template <class Run>
double shortest(int runs, int warm_up, const Run& run) {
  for (int i = 0; i < warm_up; ++i) run();
  double best = std::numeric_limits<double>::infinity();
  for (int i = 0; i < runs; ++i) {
    const double start = seconds_now();
    run();
    best = std::min(best, seconds_now() - start);
  }
  return best;
}

}  // namespace nf
