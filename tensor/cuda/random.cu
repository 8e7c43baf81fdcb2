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

/// A thread makes four elements of `out`. I: unsigned type of indices.
template <class I>
__global__ void dequantize_rows(Position at, I n, Divider<I> width, const std::uint8_t* levels,
                                const std::int32_t* rows, float* out) {
  const std::uint64_t offset = at.offset + (at.live ? *at.live : 0);
  const I step = gridDim.x * blockDim.x;
  for (I b = blockIdx.x * blockDim.x + threadIdx.x; b < (n + 3) / 4; b += step) {
    const PhiloxBlock words = philox(at.seed, offset + b, at.stream);
    for (I v = 0; v < 4 && 4 * b + v < n; ++v) {
      const I row = width.divide(4 * b + v), column = 4 * b + v - row * width.divisor;
      const std::uint64_t from = rows ? static_cast<std::uint64_t>(rows[row]) : row;
      out[4 * b + v] = within_level(levels[from * width.divisor + column], uniform_f32(words[v]));
    }
  }
}

Position position(std::uint64_t seed, std::uint64_t stream, std::uint64_t offset) {
  CudaRecording* const recording = CudaRecording::current();
  const std::uint64_t* const live =
      recording ? recording->live_offset(seed, stream, offset) : nullptr;
  return {seed, stream, offset, live};
}

}  // namespace

void CudaBackend::random(Distribution kind, std::uint64_t seed, std::uint64_t stream,
                         std::uint64_t offset, Tensor& out) {
  const Position at = position(seed, stream, offset);
  visit_float(out.dtype(), [&]<class T>() {
    switch (kind) {
      case Distribution::Uniform:
        return draw_all<Distribution::Uniform, T>(at, out);
      case Distribution::Normal:
        return draw_all<Distribution::Normal, T>(at, out);
      case Distribution::Logistic:
        return draw_all<Distribution::Logistic, T>(at, out);
    }
  });
}

void CudaBackend::dequantize(const Tensor& levels, const Tensor* rows, std::uint64_t seed,
                             std::uint64_t stream, std::uint64_t offset, Tensor& out) {
  const Position at = position(seed, stream, offset);
  const std::int64_t n = out.numel(), width = out.dim(1);
  const auto run = [&]<class I>() {
    launch("dequantize", grid_for((n + 3) / 4), dim3(kThreads), dequantize_rows<I>, at,
           static_cast<I>(n), Divider<I>(width), levels.data<std::uint8_t>(),
           rows ? rows->data<std::int32_t>() : nullptr, out.mutable_data<float>());
  };
  if (n < std::int64_t{1} << 30) {
    run.template operator()<std::uint32_t>();
  } else {
    run.template operator()<std::uint64_t>();
  }
}

}  // namespace nf
