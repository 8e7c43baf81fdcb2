// Random tensors. See philox.h for why the numbers do not depend on threads or device.
#pragma once

#include <cstdint>

#include "tensor/tensor.h"

namespace nf {

/// A position in one of 2^64 random sequences. Three words are its whole state (seed, stream,
/// offset): save them, restore them, and the numbers go on where they stopped.
class Generator {
 public:
  explicit Generator(std::uint64_t seed = 0, std::uint64_t stream = 0)
      : seed_(seed), stream_(stream) {}

  std::uint64_t seed() const { return seed_; }
  std::uint64_t stream() const { return stream_; }
  std::uint64_t offset() const { return offset_; }
  void set_offset(std::uint64_t offset) { offset_ = offset; }

  /// Claims `blocks` Philox blocks (four 32-bit words each) and returns the first one's counter.
  std::uint64_t advance(std::uint64_t blocks) {
    const std::uint64_t first = offset_;
    offset_ += blocks;
    return first;
  }

 private:
  std::uint64_t seed_;
  std::uint64_t stream_;
  std::uint64_t offset_ = 0;
};

enum class Distribution : std::uint8_t { Uniform, Normal, Logistic };

// f32 or f64 tensors of independent draws. An f32 draw of n elements claims ceil(n/4) blocks, an
// f64 draw ceil(n/2).
Tensor random(Distribution kind, Generator& gen, const Shape& shape, DType dtype = DType::F32,
              Device device = Device::CPU);
/// U[0, 1): may be 0, never 1.
Tensor uniform(Generator& gen, const Shape& shape, DType dtype = DType::F32,
               Device device = Device::CPU);
/// N(0, 1), by Box-Muller.
Tensor normal(Generator& gen, const Shape& shape, DType dtype = DType::F32,
              Device device = Device::CPU);
/// Standard logistic, ln u - ln(1-u) with u in the open interval (0, 1): always finite.
Tensor logistic(Generator& gen, const Shape& shape, DType dtype = DType::F32,
                Device device = Device::CPU);
/// 1 with probability p, else 0 (of the given dtype).
Tensor bernoulli(Generator& gen, double p, const Shape& shape, DType dtype = DType::F32,
                 Device device = Device::CPU);
/// Levels to reals: out[i, j] = levels[rows[i], j] + u, below the next level, with the draws of
/// uniform(gen, out.shape()). levels u8 (N, D), rows i32 (B) or undefined for all; out f32. In one
/// pass: on a GPU a batch, its noise and its dtype are one kernel.
Tensor dequantize(Generator& gen, const Tensor& levels, const Tensor& rows = {});
/// A random order of 0..n-1, i32, shape (n). Claims ceil(n/4) blocks.
Tensor permutation(Generator& gen, std::int64_t n);

}  // namespace nf
