// Philox draws. f32: element i of a draw is made from lane i % 4 of block offset + i/4; f64: from
// lanes 0, 1 or 2, 3 of block offset + i/2. So an element depends on nothing but its place.
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

  Lanes(std::uint64_t seed, std::uint64_t stream, std::uint64_t first) {
    for (Index b = 0; b < kBlocks; ++b) {
      const PhiloxBlock block = philox(seed, first + static_cast<std::uint64_t>(b), stream);
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
      const Lanes lanes(seed, stream, offset + static_cast<std::uint64_t>(i * kBlocks));
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

}  // namespace

void CpuBackend::random(Distribution kind, std::uint64_t seed, std::uint64_t stream,
                        std::uint64_t offset, Tensor& out) {
  visit_float(out.dtype(), [&]<class T>() {
    switch (kind) {
      case Distribution::Uniform:
        return draw_all<Distribution::Uniform, T>(seed, stream, offset, out);
      case Distribution::Normal:
        return draw_all<Distribution::Normal, T>(seed, stream, offset, out);
      case Distribution::Logistic:
        return draw_all<Distribution::Logistic, T>(seed, stream, offset, out);
    }
  });
}

void CpuBackend::dequantize(const Tensor& levels, const Tensor* rows, std::uint64_t seed,
                            std::uint64_t stream, std::uint64_t offset, Tensor& out) {
  constexpr Index kBatch = kBlocks * 4;
  const Index n = out.numel(), width = out.dim(1);
  const std::uint8_t* const from = levels.data<std::uint8_t>();
  const std::int32_t* const row_of = rows ? rows->data<std::int32_t>() : nullptr;
  float* const to = out.mutable_data<float>();
  parallel_for((n + kBatch - 1) / kBatch, 16, [&](Index begin, Index end) {
    std::array<float, kBatch> noise;
    for (Index at = begin * kBatch; at < std::min(end * kBatch, n);) {
      draw<Distribution::Uniform>(Lanes(seed, stream, offset + static_cast<std::uint64_t>(at / 4)),
                                  noise.data());
      const Index stop = std::min(at + kBatch, n);
      for (Index first = at; at < stop;) {  // the parts of rows
        const Index row = at / width, column = at % width;
        const Index count = std::min(width - column, stop - at);
        const std::uint8_t* const level = from + (row_of ? row_of[row] : row) * width + column;
        for (Index i = 0; i < count; ++i) {
          to[at + i] = within_level(level[i], noise[at - first + i]);
        }
        at += count;
      }
    }
  });
}

}  // namespace nf
