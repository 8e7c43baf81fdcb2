// Philox draws: a thread makes the numbers of one block, which lie side by side. The same numbers
// as the CPU's: f32 from lanes 0..3, f64 from lanes 0, 1 and 2, 3.
#include "tensor/cuda/cuda_backend.h"
#include "tensor/cuda/map.h"
#include "tensor/cuda/recording.h"
#include "tensor/philox.h"

namespace nf {
namespace {

using namespace nf::cuda;

/// Where a draw stands in the random sequence; from `live` on, if that is not null.
struct Position {
  std::uint64_t seed, stream, offset;
  const std::uint64_t* live;
};

template <Distribution kind>
__device__ Pack<float, 4> numbers(const PhiloxBlock& words, float) {
  Pack<float, 4> out;
  for (int l = 0; l < 4; ++l) {
    out.at[l] = kind == Distribution::Logistic ? logistic_quantile(open_uniform_f32(words[l]))
                                               : uniform_f32(words[l]);
  }
  if constexpr (kind == Distribution::Normal) {
    box_muller(out.at[0], out.at[1], out.at[0], out.at[1]);
    box_muller(out.at[2], out.at[3], out.at[2], out.at[3]);
  }
  return out;
}

template <Distribution kind>
__device__ Pack<double, 2> numbers(const PhiloxBlock& words, double) {
  Pack<double, 2> out;
  for (int l = 0; l < 2; ++l) {
    const std::uint32_t high = words[2 * l], low = words[2 * l + 1];
    out.at[l] = kind == Distribution::Logistic ? logistic_quantile(open_uniform_f64(high, low))
                                               : uniform_f64(high, low);
  }
  if constexpr (kind == Distribution::Normal) {
    box_muller(out.at[0], out.at[1], out.at[0], out.at[1]);
  }
  return out;
}

/// `out` is 16-byte aligned: it is the start of a tensor of its own.
template <Distribution kind, class T>
__global__ void draw(Position at, std::int64_t n, T* out) {
  constexpr int V = kPacked<T>;
  const std::uint64_t offset = at.offset + (at.live ? *at.live : 0);
  const std::int64_t step = std::int64_t{gridDim.x} * blockDim.x;
  std::int64_t b = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  for (; b * V < n; b += step) {
    const PhiloxBlock words = philox(at.seed, offset + static_cast<std::uint64_t>(b), at.stream);
    const Pack<T, V> drawn = numbers<kind>(words, T{});
    if ((b + 1) * V <= n) {
      reinterpret_cast<Pack<T, V>*>(out)[b] = drawn;
    } else {
      for (int v = 0; b * V + v < n; ++v) out[b * V + v] = drawn.at[v];
    }
  }
}

template <Distribution kind, class T>
void draw_all(const Position& at, Tensor& out) {
  constexpr int V = kPacked<T>;
  const std::int64_t n = out.numel();
  launch("random", grid_for((n + V - 1) / V), dim3(kThreads), draw<kind, T>, at, n,
         out.mutable_data<T>());
}

/// RowDraw for kernels; its round counts from `live` on, if that is not null.
struct RowPosition {
  std::uint64_t seed, stream, round, number;
  const std::uint64_t* live;
  const std::int32_t* samples;

  __device__ std::uint64_t stream_now() const {
    return round_stream(stream, round + (live ? *live : 0));
  }
  __device__ std::uint64_t counter(std::uint64_t row, std::uint64_t block) const {
    return row_counter(samples ? samples[row] : static_cast<std::int32_t>(row), number, block);
  }
};

/// (rows, width) as blocks of V numbers, the last one of a row perhaps with fewer. I: unsigned type
/// of indices.
template <class I>
struct RowBlocks {
  I count;            ///< of blocks
  Divider<I> of_row;  ///< blocks in a row
  I width;
};

/// out[row, block] = the numbers of a block; `out` is aligned, as above.
template <class I, class T, int V>
__device__ void store_block(T* out, const RowBlocks<I>& blocks, I row, I block,
                            const Pack<T, V>& numbers) {
  const I first = block * V;
  T* const to = out + (row * blocks.width + first);
  if (blocks.width % V == 0) {
    *reinterpret_cast<Pack<T, V>*>(to) = numbers;
  } else {
    for (I v = 0; v < V && first + v < blocks.width; ++v) to[v] = numbers.at[v];
  }
}

/// A thread makes the numbers of one block.
template <Distribution kind, class T, class I>
__global__ void draw_rows(RowPosition at, RowBlocks<I> blocks, T* out) {
  constexpr int V = kPacked<T>;
  const std::uint64_t stream = at.stream_now();
  const I step = gridDim.x * blockDim.x;
  for (I b = blockIdx.x * blockDim.x + threadIdx.x; b < blocks.count; b += step) {
    const I row = blocks.of_row.divide(b), block = b - row * blocks.of_row.divisor;
    const Pack<T, V> drawn = numbers<kind>(philox(at.seed, at.counter(row, block), stream), T{});
    store_block(out, blocks, row, block, drawn);
  }
}

template <class I>
__global__ void dequantize_rows(RowPosition at, RowBlocks<I> blocks, const std::uint8_t* levels,
                                const std::int32_t* rows, float* out) {
  constexpr int V = 4;
  const std::uint64_t stream = at.stream_now();
  const I step = gridDim.x * blockDim.x;
  for (I b = blockIdx.x * blockDim.x + threadIdx.x; b < blocks.count; b += step) {
    const I row = blocks.of_row.divide(b), block = b - row * blocks.of_row.divisor;
    const PhiloxBlock words = philox(at.seed, at.counter(row, block), stream);
    const std::uint64_t from = rows ? static_cast<std::uint64_t>(rows[row]) : row;
    const std::uint8_t* const level = levels + from * blocks.width + block * V;
    Pack<float, V> drawn{};
    for (I v = 0; v < V && block * V + v < blocks.width; ++v) {
      drawn.at[v] = within_level(level[v], uniform_f32(words[v]));
    }
    store_block(out, blocks, row, block, drawn);
  }
}

/// The pixels of (B, H, W, C). I: unsigned type of indices.
template <class I>
struct Pixels {
  I count;                   ///< of pixels
  Divider<I> width, height;  ///< W, H
  I channels;
};

/// A thread takes one pixel.
template <class T, class I>
__global__ void move_pixels(RowPosition at, Pixels<I> pixels, bool flip, std::int32_t shift,
                            const T* images, const std::int32_t* rows, T* out) {
  const std::uint64_t stream = at.stream_now();
  const I step = gridDim.x * blockDim.x;
  const auto width = static_cast<std::int32_t>(pixels.width.divisor),
             height = static_cast<std::int32_t>(pixels.height.divisor);
  for (I p = blockIdx.x * blockDim.x + threadIdx.x; p < pixels.count; p += step) {
    const I line = pixels.width.divide(p), row = pixels.height.divide(line);
    const auto x = static_cast<std::int32_t>(p - line * pixels.width.divisor),
               y = static_cast<std::int32_t>(line - row * pixels.height.divisor);
    const ImageMove move = image_move(philox(at.seed, at.counter(row, 0), stream), flip, shift);
    const std::int32_t from_x = shifted_from(x, move.right, width);
    const std::uint64_t image = rows ? static_cast<std::uint64_t>(rows[row]) : row;
    const std::uint64_t from = (image * pixels.height.divisor +
                                static_cast<std::uint64_t>(shifted_from(y, move.down, height))) *
                                   pixels.width.divisor +
                               static_cast<std::uint64_t>(move.flip ? width - 1 - from_x : from_x);
    for (I c = 0; c < pixels.channels; ++c) {
      out[p * pixels.channels + c] = images[from * pixels.channels + c];
    }
  }
}

/// run(blocks) with indices of 32 bits where they suffice.
template <class Run>
void with_row_blocks(const Tensor& out, std::int64_t per_block, const Run& run) {
  const std::int64_t rows = out.dim(0), width = out.numel() / rows;
  const std::int64_t of_row = (width + per_block - 1) / per_block, n = rows * of_row;
  const auto with = [&]<class I>() {
    run(RowBlocks<I>{static_cast<I>(n), Divider<I>(of_row), static_cast<I>(width)});
  };
  if (n * per_block < std::int64_t{1} << 30) {
    with.template operator()<std::uint32_t>();
  } else {
    with.template operator()<std::uint64_t>();
  }
}

template <Distribution kind, class T>
void draw_all_rows(const RowPosition& at, Tensor& out) {
  with_row_blocks(out, kPacked<T>, [&]<class I>(const RowBlocks<I>& blocks) {
    launch("random", grid_for(static_cast<std::int64_t>(blocks.count)), dim3(kThreads),
           draw_rows<kind, T, I>, at, blocks, out.mutable_data<T>());
  });
}

/// Where the generator stands when a step that is recorded is replayed; makes `offset` relative to
/// it. Null when nothing is recorded.
const std::uint64_t* live_offset(std::uint64_t seed, std::uint64_t stream, std::uint64_t& offset) {
  CudaRecording* const recording = CudaRecording::current();
  return recording ? recording->live_offset(seed, stream, offset) : nullptr;
}

RowPosition position(const RowDraw& draw) {
  std::uint64_t round = draw.round;
  const std::uint64_t* const live = live_offset(draw.seed, draw.stream, round);
  return {draw.seed, draw.stream,
          round,     draw.number,
          live,      draw.samples.defined() ? draw.samples.data<std::int32_t>() : nullptr};
}

}  // namespace

void CudaBackend::random(Distribution kind, std::uint64_t seed, std::uint64_t stream,
                         std::uint64_t offset, Tensor& out) {
  const std::uint64_t* const live = live_offset(seed, stream, offset);
  const Position at{seed, stream, offset, live};
  visit_float(out.dtype(), [&]<class T>() {
    visit_distribution(kind, [&]<Distribution k>() { draw_all<k, T>(at, out); });
  });
}

void CudaBackend::random_rows(Distribution kind, const RowDraw& draw, Tensor& out) {
  const RowPosition at = position(draw);
  visit_float(out.dtype(), [&]<class T>() {
    visit_distribution(kind, [&]<Distribution k>() { draw_all_rows<k, T>(at, out); });
  });
}

void CudaBackend::dequantize(const Tensor& levels, const Tensor* rows, const RowDraw& draw,
                             Tensor& out) {
  const RowPosition at = position(draw);
  with_row_blocks(out, 4, [&]<class I>(const RowBlocks<I>& blocks) {
    launch("dequantize", grid_for(static_cast<std::int64_t>(blocks.count)), dim3(kThreads),
           dequantize_rows<I>, at, blocks, levels.data<std::uint8_t>(),
           rows ? rows->data<std::int32_t>() : nullptr, out.mutable_data<float>());
  });
}

void CudaBackend::move_images(const Tensor& images, const Tensor* rows, const ImageMoves& moves,
                              const RowDraw& draw, Tensor& out) {
  const RowPosition at = position(draw);
  const std::int64_t count = out.numel() / out.dim(3);
  const auto with = [&]<class I>() {
    const Pixels<I> pixels{static_cast<I>(count), Divider<I>(out.dim(2)), Divider<I>(out.dim(1)),
                           static_cast<I>(out.dim(3))};
    visit_dtype(out.dtype(), [&]<class T>() {
      launch("move_images", grid_for(count), dim3(kThreads), move_pixels<T, I>, at, pixels,
             moves.flip, static_cast<std::int32_t>(moves.shift), images.data<T>(),
             rows ? rows->data<std::int32_t>() : nullptr, out.mutable_data<T>());
    });
  };
  if (out.numel() < std::int64_t{1} << 30) {
    with.template operator()<std::uint32_t>();
  } else {
    with.template operator()<std::uint64_t>();
  }
}

}  // namespace nf
