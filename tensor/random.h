// Random tensors. See philox.h for why the numbers do not depend on threads or device.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "tensor/tensor.h"

namespace nf {

/// Which numbers a draw for rows of samples takes; see Generator::place.
struct RowDraw {
  std::uint64_t seed, stream, round;
  std::uint64_t number;  ///< of the draw in its round
  Tensor samples;        ///< i32, the sample of each row; undefined: row i is sample i
};

/// A position in one of 2^64 random sequences. Three words are its whole state (seed, stream,
/// offset): save them, restore them, and the numbers go on where they stopped.
///
/// Every draw gives numbers that were never there before. A generator that is placed draws for rows
/// of samples instead, the first dimension of a draw: what a row gets is a pure function of (seed,
/// stream, round, its sample, the draw's number in the round, place in the row). So it does not
/// matter which other rows are beside it.
class Generator {
 public:
  explicit Generator(std::uint64_t seed = 0, std::uint64_t stream = 0)
      : seed_(seed), stream_(stream) {}

  std::uint64_t seed() const { return seed_; }
  std::uint64_t stream() const { return stream_; }
  std::uint64_t offset() const { return offset_; }
  void set_offset(std::uint64_t offset) { offset_ = offset; }

  /// Claims `blocks` Philox blocks (four 32-bit words each) and returns the first one's counter.
  std::uint64_t advance(std::uint64_t blocks);

  /// From now on row i of a draw is for sample samples[i] (i32 (B), on the device of the draws;
  /// undefined: for sample i), and the next draw is the first of `round`: an epoch, the number of a
  /// noise draw. The offset is the round. Generators that are copied from one another must not
  /// share a stream: their draws would be the same numbers.
  void place(Tensor samples, std::uint64_t round);
  bool placed() const { return placed_; }
  /// The next draw of a placed generator, which is for `rows` rows.
  RowDraw next_draw(std::int64_t rows);

 private:
  std::uint64_t seed_;
  std::uint64_t stream_;
  std::uint64_t offset_ = 0;
  bool placed_ = false;
  std::uint64_t draws_ = 0;  // of this round
  Tensor samples_;
};

/// Puts generators back when it dies to where they stood when it was made.
class KeepGenerators {
 public:
  explicit KeepGenerators(std::span<Generator* const> generators);
  ~KeepGenerators();
  KeepGenerators(const KeepGenerators&) = delete;
  KeepGenerators& operator=(const KeepGenerators&) = delete;

 private:
  std::vector<std::pair<Generator*, Generator>> kept_;
};

/// While it lives, generators are placed.
class Placed {
 public:
  Placed(std::span<Generator* const> generators, const Tensor& samples, std::uint64_t round)
      : keep_(generators) {
    for (Generator* gen : generators) gen->place(samples, round);
  }

 private:
  const KeepGenerators keep_;
};

enum class Distribution : std::uint8_t { Uniform, Normal, Logistic };

/// visit<kind>() for the distribution.
template <class Visit>
void visit_distribution(Distribution kind, const Visit& visit) {
  switch (kind) {
    case Distribution::Uniform:
      return visit.template operator()<Distribution::Uniform>();
    case Distribution::Normal:
      return visit.template operator()<Distribution::Normal>();
    case Distribution::Logistic:
      return visit.template operator()<Distribution::Logistic>();
  }
}

// f32 or f64 tensors of independent draws. An f32 draw of n elements claims ceil(n/4) blocks, an
// f64 draw ceil(n/2); one of a placed generator claims none, and has at most 2^26 (f32) or 2^25
// (f64) elements in a row.
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
/// Levels to reals: out[i, j] = levels[rows[i], j] + u, below the next level, u ~ U[0, 1). levels
/// u8 (N, D), rows i32 (B) or undefined for all; out f32. In one pass: on a GPU a batch, its noise
/// and its dtype are one kernel. Of a placed generator u are the draws of uniform(gen, (B, D)), and
/// row i is for samples[i], whatever rows[i] is; otherwise they are new at every call, which claims
/// one block.
Tensor dequantize(Generator& gen, const Tensor& levels, const Tensor& rows = {});
/// How images are moved at random.
struct ImageMoves {
  bool flip = false;  ///< half of the images are mirrored: left becomes right
  /// Then they are shifted by whole pixels, down and to the right by any number of -shift..shift
  /// each, all equally likely. What comes in repeats the edge.
  std::int64_t shift = 0;

  bool any() const { return flip || shift > 0; }
};
/// Images moved at random, each in its own way: images (N, H, W, C) of any type, rows i32 (B) or
/// undefined for all; (B, H, W, C). Rows are picked and moved in one pass. Of a placed generator
/// row i moves as samples[i] does in this round, whatever rows[i] is; otherwise moves are new at
/// every call, which claims one block. philox.h has how many pixels (image_move). Throws Error for
/// a shift that is not below both sides.
Tensor move_images(Generator& gen, const Tensor& images, const Tensor& rows,
                   const ImageMoves& moves);
/// A random order of 0..n-1, i32, shape (n). Claims ceil(n/4) blocks; no draw of a placed
/// generator.
Tensor permutation(Generator& gen, std::int64_t n);

}  // namespace nf
