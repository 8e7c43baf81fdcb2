// Philox draws. f32: element i of a draw is made from lane i % 4 of block offset + i/4; f64: from
// lanes 0, 1 or 2, 3 of block offset + i/2. So an element depends on nothing but its place. In
// draws for rows of samples, i counts from the start of the row, and blocks are those of its
// sample.
#include <algorithm>
#include <array>
#include <cstdint>

#include "tensor/cpu/cpu_backend.h"
#include "tensor/philox.h"
#include "tensor/threads.h"

namespace nf {
namespace {

using Index = std::int64_t;

constexpr Index kBlocks = 64;  // Philox blocks that are made at a time

/// The words of kBlocks blocks, lane by lane: loops over them vectorise.
struct Lanes {
  std::uint32_t word[4][kBlocks];

  /// counter(b) of block b.
  template <class Counter>
  Lanes(std::uint64_t seed, std::uint64_t stream, const Counter& counter) {
    for (Index b = 0; b < kBlocks; ++b) {
      const PhiloxBlock block = philox(seed, counter(b), stream);
      for (int l = 0; l < 4; ++l) word[l][b] = block[l];
    }
  }
};

/// The 4*kBlocks numbers of a batch, in order.
template <Distribution kind>
void draw(const Lanes& lanes, float* out) {
  float value[4][kBlocks];
  const auto& w = lanes.word;
  for (int l = 0; l < 4; l += kind == Distribution::Normal ? 2 : 1) {
    for (Index b = 0; b < kBlocks; ++b) {
      if constexpr (kind == Distribution::Uniform) value[l][b] = uniform_f32(w[l][b]);
      if constexpr (kind == Distribution::Logistic) {
        value[l][b] = logistic_quantile(open_uniform_f32(w[l][b]));
      }
      if constexpr (kind == Distribution::Normal) {
        box_muller(uniform_f32(w[l][b]), uniform_f32(w[l + 1][b]), value[l][b], value[l + 1][b]);
      }
    }
  }
  for (Index b = 0; b < kBlocks; ++b) {
    for (int l = 0; l < 4; ++l) out[4 * b + l] = value[l][b];
  }
}

/// The 2*kBlocks numbers of a batch, in order.
template <Distribution kind>
void draw(const Lanes& lanes, double* out) {
  const auto& w = lanes.word;
  for (Index b = 0; b < kBlocks; ++b, out += 2) {
    if constexpr (kind == Distribution::Logistic) {
      out[0] = logistic_quantile(open_uniform_f64(w[0][b], w[1][b]));
      out[1] = logistic_quantile(open_uniform_f64(w[2][b], w[3][b]));
    } else {
      out[0] = uniform_f64(w[0][b], w[1][b]);
      out[1] = uniform_f64(w[2][b], w[3][b]);
    }
    if constexpr (kind == Distribution::Normal) box_muller(out[0], out[1], out[0], out[1]);
  }
}

template <Distribution kind, class T>
void draw_all(std::uint64_t seed, std::uint64_t stream, std::uint64_t offset, Tensor& out) {
  constexpr Index kBatch = kBlocks * (std::is_same_v<T, float> ? 4 : 2);
  T* const data = out.mutable_data<T>();
  const Index n = out.numel();
  parallel_for((n + kBatch - 1) / kBatch, 16, [&](Index begin, Index end) {
    for (Index i = begin; i < end; ++i) {
      const std::uint64_t first = offset + static_cast<std::uint64_t>(i * kBlocks);
      const Lanes lanes(seed, stream,
                        [&](Index b) { return first + static_cast<std::uint64_t>(b); });
      T* const to = data + i * kBatch;
      if (const Index count = n - i * kBatch; count >= kBatch) {
        draw<kind>(lanes, to);
      } else {
        std::array<T, kBatch> last;
        draw<kind>(lanes, last.data());
        std::copy_n(last.data(), count, to);
      }
    }
  });
}

/// place(row, column, count, numbers) for all elements of (rows, width), in runs that begin at
/// (row, column). Blocks of several rows are made together, for rows may be short.
template <Distribution kind, class T, class Place>
void draw_rows(const RowDraw& where, Index rows, Index width, const Place& place) {
  constexpr Index kPer = std::is_same_v<T, float> ? 4 : 2;
  const std::int32_t* const samples =
      where.samples.defined() ? where.samples.data<std::int32_t>() : nullptr;
  const std::uint64_t stream = round_stream(where.stream, where.round);
  const Index of_row = (width + kPer - 1) / kPer, n = rows * of_row;  // blocks
  parallel_for((n + kBlocks - 1) / kBlocks, 16, [&](Index begin, Index end) {
    std::array<T, kBlocks * kPer> numbers;
    std::array<std::uint64_t, kBlocks> counters{};
    for (Index at = begin * kBlocks; at < std::min(end * kBlocks, n); at += kBlocks) {
      const Index stop = std::min(at + kBlocks, n);
      const auto runs = [&](const auto& visit) {  // of blocks of one row
        for (Index row = at / of_row, block = at % of_row, b = at; b < stop; ++row, block = 0) {
          const Index count = std::min(of_row - block, stop - b);
          visit(row, block, b - at, count);
          b += count;
        }
      };
      runs([&](Index row, Index block, Index to, Index count) {
        const std::uint64_t first =
            row_counter(samples ? samples[row] : static_cast<std::int32_t>(row), where.number,
                        static_cast<std::uint64_t>(block));
        for (Index i = 0; i < count; ++i) {
          counters[static_cast<std::size_t>(to + i)] = first + static_cast<std::uint64_t>(i);
        }
      });
      draw<kind>(
          Lanes(where.seed, stream, [&](Index b) { return counters[static_cast<std::size_t>(b)]; }),
          numbers.data());
      runs([&](Index row, Index block, Index from, Index count) {
        const Index column = block * kPer;
        place(row, column, std::min(width - column, count * kPer), numbers.data() + from * kPer);
      });
    }
  });
}

template <Distribution kind, class T>
void draw_all_rows(const RowDraw& draw, Tensor& out) {
  const Index rows = out.dim(0), width = out.numel() / rows;
  T* const data = out.mutable_data<T>();
  draw_rows<kind, T>(draw, rows, width,
                     [&](Index row, Index column, Index count, const T* numbers) {
                       std::copy_n(numbers, count, data + row * width + column);
                     });
}

}  // namespace

void CpuBackend::random(Distribution kind, std::uint64_t seed, std::uint64_t stream,
                        std::uint64_t offset, Tensor& out) {
  visit_float(out.dtype(), [&]<class T>() {
    visit_distribution(kind, [&]<Distribution k>() { draw_all<k, T>(seed, stream, offset, out); });
  });
}

void CpuBackend::random_rows(Distribution kind, const RowDraw& draw, Tensor& out) {
  visit_float(out.dtype(), [&]<class T>() {
    visit_distribution(kind, [&]<Distribution k>() { draw_all_rows<k, T>(draw, out); });
  });
}

void CpuBackend::dequantize(const Tensor& levels, const Tensor* rows, const RowDraw& draw,
                            Tensor& out) {
  const Index width = out.dim(1);
  const std::uint8_t* const from = levels.data<std::uint8_t>();
  const std::int32_t* const row_of = rows ? rows->data<std::int32_t>() : nullptr;
  float* const to = out.mutable_data<float>();
  draw_rows<Distribution::Uniform, float>(
      draw, out.dim(0), width, [&](Index row, Index column, Index count, const float* noise) {
        const std::uint8_t* const level = from + (row_of ? row_of[row] : row) * width + column;
        float* const reals = to + row * width + column;
        for (Index i = 0; i < count; ++i) reals[i] = within_level(level[i], noise[i]);
      });
}

void CpuBackend::move_images(const Tensor& images, const Tensor* rows, const ImageMoves& moves,
                             const RowDraw& draw, Tensor& out) {
  const auto height = static_cast<std::int32_t>(out.dim(1)),
             width = static_cast<std::int32_t>(out.dim(2)),
             shift = static_cast<std::int32_t>(moves.shift);
  const Index channels = out.dim(3), line = width * channels;
  const std::int32_t* const row_of = rows ? rows->data<std::int32_t>() : nullptr;
  const std::int32_t* const samples =
      draw.samples.defined() ? draw.samples.data<std::int32_t>() : nullptr;
  const std::uint64_t stream = round_stream(draw.stream, draw.round);
  visit_dtype(out.dtype(), [&]<class T>() {
    const T* const from = images.data<T>();
    T* const to = out.mutable_data<T>();
    const auto move_one = [&](Index i) {
      const std::int32_t sample = samples ? samples[i] : static_cast<std::int32_t>(i);
      const ImageMove move = image_move(
          philox(draw.seed, row_counter(sample, draw.number, 0), stream), moves.flip, shift);
      const T* const image = from + (row_of ? row_of[i] : i) * height * line;
      T* pixel = to + i * height * line;
      for (std::int32_t y = 0; y < height; ++y) {
        const T* const source = image + shifted_from(y, move.down, height) * line;
        for (std::int32_t x = 0; x < width; ++x) {
          const std::int32_t at = shifted_from(x, move.right, width);
          const T* const taken = source + (move.flip ? width - 1 - at : at) * channels;
          for (Index c = 0; c < channels; ++c) *pixel++ = taken[c];
        }
      }
    };
    parallel_for(out.dim(0), 8, [&](Index begin, Index end) {
      for (Index i = begin; i < end; ++i) move_one(i);
    });
  });
}

}  // namespace nf
