// Random numbers one by one, for the generators of single samples.
#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>

#include "tensor/philox.h"

namespace nf::data {

/// The numbers of one sample: Philox blocks (sample << 32), (sample << 32) + 1, ... of a seed and
/// stream. A sample is thus a pure function of (seed, stream, sample), whichever thread draws it.
class Draws {
 public:
  Draws(std::uint64_t seed, std::uint64_t stream, std::uint64_t sample)
      : seed_(seed), stream_(stream), counter_(sample << 32) {}

  /// U[0, 1)
  double uniform() {
    if (used_ >= 4) refill();
    used_ += 2;
    return uniform_f64(block_[used_ - 2], block_[used_ - 1]);
  }
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  /// 0, 1, ..., n-1, equally likely
  int index(int n) { return static_cast<int>(uniform() * n); }
  /// N(0, 1), by Box-Muller
  double normal() {
    const double radius = std::sqrt(-2 * std::log1p(-uniform()));
    return radius * std::cos(2 * std::numbers::pi * uniform());
  }

 private:
  void refill() {
    block_ = philox(seed_, counter_++, stream_);
    used_ = 0;
  }
  std::uint64_t seed_, stream_, counter_;
  PhiloxBlock block_{};
  int used_ = 4;
};

}  // namespace nf::data
