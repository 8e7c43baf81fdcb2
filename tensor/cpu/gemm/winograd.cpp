#include "tensor/cpu/gemm/winograd.h"

#include <algorithm>
#include <cstring>

#include "tensor/cpu/gemm/vector.h"
#include "tensor/cpu/host/host_backend.h"
#include "tensor/threads.h"

namespace nf::cpu {
namespace {

constexpr Index kTile = 4, kWindow = 6, kElements = kWindow * kWindow, kTaps = 9;
constexpr int kN = kLanes<float>;
using Channels = VectorOf<float, kN>;

/// Bytes of transformed tiles, before and after the product with a panel of weights, that a task
/// keeps in a second-level cache.
constexpr Index kTileBytes = 512 << 10;

thread_local Scratch tiles_scratch("conv2d"), products_scratch("conv2d");

/// The points 0, +-a, +-b and infinity.
struct Points {
  static constexpr float a = 0.625F, b = 1.5F, a2 = a * a, b2 = b * b, a3 = a2 * a, b3 = b2 * b;
};

/// B^T x, in place: element e at x[e * step].
template <int step>
void transform_input(Channels* x) {
  const Channels x0 = x[0], x1 = x[step], x2 = x[2 * step], x3 = x[3 * step], x4 = x[4 * step],
                 x5 = x[5 * step];
  const Channels even_a = x4 - Points::b2 * x2, odd_a = x3 - Points::b2 * x1;
  const Channels even_b = x4 - Points::a2 * x2, odd_b = x3 - Points::a2 * x1;
  x[0] = x4 - (Points::a2 + Points::b2) * x2 + Points::a2 * Points::b2 * x0;
  x[step] = even_a + Points::a * odd_a;
  x[2 * step] = even_a - Points::a * odd_a;
  x[3 * step] = even_b + Points::b * odd_b;
  x[4 * step] = even_b - Points::b * odd_b;
  x[5 * step] = x5 - (Points::a2 + Points::b2) * x3 + Points::a2 * Points::b2 * x1;
}

/// to = G g, 3 numbers at g[e * from_step] to 6 at to[e * to_step].
template <int from_step, int to_step>
void transform_weight(const Channels* g, Channels* to) {
  constexpr float at_a = 1 / (2 * Points::a2 * (Points::a2 - Points::b2)),
                  at_b = 1 / (2 * Points::b2 * (Points::b2 - Points::a2));
  const Channels g0 = g[0], g1 = g[from_step], g2 = g[2 * from_step];
  const Channels even_a = at_a * g0 + at_a * Points::a2 * g2, odd_a = at_a * Points::a * g1;
  const Channels even_b = at_b * g0 + at_b * Points::b2 * g2, odd_b = at_b * Points::b * g1;
  to[0] = 1 / (Points::a2 * Points::b2) * g0;
  to[to_step] = even_a + odd_a;
  to[2 * to_step] = even_a - odd_a;
  to[3 * to_step] = even_b + odd_b;
  to[4 * to_step] = even_b - odd_b;
  to[5 * to_step] = g2;
}

/// to = A^T x, 6 numbers at x[e * from_step] to 4 at to[e * to_step].
template <int from_step, int to_step>
void transform_output(const Channels* x, Channels* to) {
  const Channels sum_a = x[from_step] + x[2 * from_step], diff_a = x[from_step] - x[2 * from_step];
  const Channels sum_b = x[3 * from_step] + x[4 * from_step],
                 diff_b = x[3 * from_step] - x[4 * from_step];
  to[0] = x[0] + (sum_a + sum_b);
  to[to_step] = Points::a * diff_a + Points::b * diff_b;
  to[2 * to_step] = Points::a2 * sum_a + Points::b2 * sum_b;
  to[3 * to_step] = x[5 * from_step] + (Points::a3 * diff_a + Points::b3 * diff_b);
}

/// At least `count` numbers that fill an odd number of cache lines: rows so far apart lie in
/// different places of a cache.
constexpr Index odd_lines(Index count) {
  return (ceil_div(count, kLine<float>) | 1) * kLine<float>;
}

Index panel_lanes(Index o, Index o0) {
  return std::min(kPanel<float>, whole_vectors<float>(o - o0));
}

/// What all tasks of a convolution share.
struct TilesPlan {
  Index down, across;  ///< tiles of an image
  Index tiles;         ///< of all images
  Index each, tasks;   ///< tiles of a task
  Index pitch;         ///< numbers from one transformed input tile to the next

  explicit TilesPlan(const Convolution<float>& c)
      : down(ceil_div(c.oh, kTile)),
        across(ceil_div(c.ow, kTile)),
        tiles(c.n * down * across),
        pitch(odd_lines(c.in.c)) {
    const Index bytes = kElements * (pitch + kPanel<float>)*Index{sizeof(float)};
    const Index fit = std::max<Index>(1, kTileBytes / bytes / kTileRows) * kTileRows;
    const Index threads = num_threads();
    tasks = ceil_div(ceil_div(tiles, fit), threads) * threads;
    each = ceil_div(tiles, tasks);
    tasks = ceil_div(tiles, each);
  }
};

/// Tiles [begin, end) of a convolution: their transforms are (element, tile, channel).
class TilesTask {
 public:
  TilesTask(const Convolution<float>& conv, const TilesPlan& plan, const float* weights,
            Index begin, Index end)
      : c_(conv), plan_(plan), weights_(weights), begin_(begin), count_(end - begin) {
    plane_ = odd_lines(count_ * plan.pitch);
    out_plane_ = odd_lines(count_ * kPanel<float>);
    tiles_ = tiles_scratch.get<float>(kElements * plane_ + conv.in.c);
    zeros_ = tiles_ + kElements * plane_;
    std::fill_n(zeros_, conv.in.c, 0.0F);
    products_ = products_scratch.get<float>(kElements * out_plane_);
  }

  void run() {
    for (Index t = 0; t < count_; ++t) input_tile(t);
    for (Index o0 = 0; o0 < c_.o; o0 += kPanel<float>) {
      const Index lanes = panel_lanes(c_.o, o0);
      multiply(weights_ + o0 * kElements * c_.in.c, lanes);
      for (Index t = 0; t < count_; ++t) output_tile(t, o0, lanes);
    }
  }

 private:
  using Pixels = const float* [kElements];  ///< of a window
  struct Place {
    Index n, y, x;  ///< image, first row and column of the output
  };
  Place place(Index t) const {
    const Index i = begin_ + t, row = i / plan_.across;
    return {row / plan_.down, row % plan_.down * kTile, i % plan_.across * kTile};
  }

  void input_tile(Index t) {
    const Frame<float>& in = c_.in;
    const Place p = place(t);
    Pixels pixels;
    for (Index i = 0; i < kWindow; ++i) {
      const Index y = p.y - in.top + i, x0 = p.x - in.left;
      const float* const row = in.data + p.n * in.image() + (y * in.w + x0) * in.pixel;
      const bool above = y < 0 || y >= in.h;
      for (Index j = 0; j < kWindow; ++j) {
        const bool outside = above || x0 + j < 0 || x0 + j >= in.w;
        pixels[i * kWindow + j] = outside ? zeros_ : row + j * in.pixel;
      }
    }
    const Index whole = in.c / kN * kN;
    float* const to = tiles_ + t * plan_.pitch;
    for (Index ch = 0; ch < whole; ch += kN) channels(pixels, ch, to + ch);
    if (whole < in.c) {
      alignas(64) float some[kElements * kN];
      for (Index e = 0; e < kElements; ++e) {
        float* const at = some + e * kN;
        std::fill(std::copy_n(pixels[e] + whole, in.c - whole, at), at + kN, 0.0F);
        pixels[e] = at;
      }
      channels(pixels, 0, to + whole);
    }
  }

  /// Channels [ch, ch + kN) of one tile.
  void channels(const Pixels& pixels, Index ch, float* to) const {
    Channels d[kElements];
#pragma GCC unroll 6
    for (int i = 0; i < kWindow; ++i) {
#pragma GCC unroll 6
      for (int j = 0; j < kWindow; ++j) {
        d[i * kWindow + j] = load_vector<float, kN>(pixels[i * kWindow + j] + ch);
      }
      transform_input<1>(d + i * kWindow);
    }
#pragma GCC unroll 6
    for (int j = 0; j < kWindow; ++j) {
      transform_input<kWindow>(d + j);
#pragma GCC unroll 6
      for (int i = 0; i < kWindow; ++i) {
        store_vector(to + (i * kWindow + j) * plane_, d[i * kWindow + j]);
      }
    }
  }

  /// The 36 products with one panel of weights.
  void multiply(const float* panel, Index lanes) {
    const Index channels = c_.in.c;
    const TileRows rows(0, count_);
    TileArgs<float> args{
        .a = nullptr, .row = plan_.pitch, .step = 1, .k = channels, .last = channels, .ldc = lanes};
    for (Index e = 0; e < kElements; ++e) {
      args.b = panel + e * channels * lanes;
      for (Index r = 0; r < rows.count; ++r) {
        const Index first = rows.begin(r);
        args.a = tiles_ + e * plane_ + first * plan_.pitch;
        args.c = products_ + e * out_plane_ + first * lanes;
        tile<float>(Rows::Along, static_cast<int>(rows.begin(r + 1) - first),
                    static_cast<int>(lanes / kN))(args);
      }
    }
  }

  void output_tile(Index t, Index o0, Index lanes) const {
    alignas(64) float block[kTile * kTile * kPanel<float>];
    for (Index v = 0; v < lanes; v += kN) {
      const float* const from = products_ + t * lanes + v;
      Channels half[kTile * kWindow];
#pragma GCC unroll 6
      for (int j = 0; j < kWindow; ++j) {
        Channels m[kWindow];
#pragma GCC unroll 6
        for (int i = 0; i < kWindow; ++i) {
          m[i] = load_vector<float, kN>(from + (i * kWindow + j) * out_plane_);
        }
        transform_output<1, kWindow>(m, half + j);
      }
#pragma GCC unroll 4
      for (int i = 0; i < kTile; ++i) {
        Channels y[kTile];
        transform_output<1, 1>(half + i * kWindow, y);
#pragma GCC unroll 4
        for (int j = 0; j < kTile; ++j) store_vector(block + (i * kTile + j) * lanes + v, y[j]);
      }
    }
    const Index cols = std::min(lanes, c_.o - o0);
    if (c_.finish.block) {
      c_.finish.block(block, lanes, kTile * kTile, o0, cols, c_.finish.with);
    }
    write(block, lanes, cols, place(t), o0);
  }

  /// The pixels of a tile that are in the image.
  void write(const float* block, Index lanes, Index cols, const Place& p, Index o0) const {
    const Index height = std::min(kTile, c_.oh - p.y), width = std::min(kTile, c_.ow - p.x);
    for (Index i = 0; i < height; ++i) {
      float* to = c_.out + ((p.n * c_.oh + p.y + i) * c_.ow + p.x) * c_.o + o0;
      const float* from = block + i * kTile * lanes;
      for (Index j = 0; j < width; ++j, to += c_.o, from += lanes) {
        if (cols == kPanel<float>) {
          std::memcpy(to, from, kPanel<float> * sizeof(float));
        } else {
          std::copy_n(from, cols, to);
        }
      }
    }
  }

  const Convolution<float>& c_;
  const TilesPlan& plan_;
  const float* weights_;
  Index begin_, count_;
  Index plane_, out_plane_;  ///< numbers from one element to the next
  float *tiles_, *products_, *zeros_;
};

/// From (panel, tap, c, lane) to (panel, element, c, lane).
void transform_weights(const Convolution<float>& conv, float* to) {
  const Index channels = conv.in.c, panels = ceil_div(conv.o, kPanel<float>);
  parallel_for(panels * channels, 1, [&](Index begin, Index end) {
    for (Index i = begin; i < end; ++i) {
      const Index o0 = i / channels * kPanel<float>, ch = i % channels;
      const Index lanes = panel_lanes(conv.o, o0), step = channels * lanes;
      for (Index v = 0; v < lanes; v += kN) {
        const float* const from = conv.weights + o0 * kTaps * channels + ch * lanes + v;
        float* const out = to + o0 * kElements * channels + ch * lanes + v;
        Channels g[kTaps], half[3 * kWindow];
        for (Index tap = 0; tap < kTaps; ++tap) g[tap] = load_vector<float, kN>(from + tap * step);
        for (int x = 0; x < 3; ++x) transform_weight<3, 3>(g + x, half + x);
        for (Index e = 0; e < kWindow; ++e) {
          Channels u[kWindow];
          transform_weight<1, 1>(half + 3 * e, u);
          for (Index j = 0; j < kWindow; ++j) store_vector(out + (e * kWindow + j) * step, u[j]);
        }
      }
    }
  });
}

}  // namespace

bool takes_winograd(const Windows<float>& windows) {
  if (windows.exact) return false;
  if (windows.kh != 3 || windows.kw != 3 || windows.stride != 1 || windows.in.spread != 1)
    return false;
  const Winograd way = winograd();
  if (way != Winograd::Auto) return way == Winograd::On;
  // What transforms cost grows with the channels, what they save with pairs of channels. Measured,
  // AVX-512 on a Zen 4: 1.2 times faster at 16 -> 16, 2 at 16 -> 32, 12 -> 96 and 24 -> 24, 2.4 at
  // 32 -> 32, 3 from 128 -> 128 on; 1 at maps of 5x5, of which 61 % of the tiles are empty.
  constexpr Index kChannels = 12, kPairs = 512;
  const Index pixels = ceil_div(windows.oh, kTile) * ceil_div(windows.ow, kTile) * kTile * kTile;
  return std::min(windows.in.c, windows.o) >= kChannels && windows.in.c * windows.o >= kPairs &&
         2 * windows.oh * windows.ow >= pixels;
}

void convolve_winograd(const Convolution<float>& conv) {
  const Index lanes = whole_vectors<float>(conv.o);
  Tensor transformed =
      call_memory("conv2d", "transformed weights", lanes * kElements * conv.in.c, DType::F32);
  float* const weights = transformed.mutable_data<float>();
  transform_weights(conv, weights);
  const TilesPlan plan(conv);
  parallel_for(plan.tasks, 1, [&](Index begin, Index end) {
    for (Index i = begin; i < end; ++i) {
      const Index first = i * plan.each;
      TilesTask(conv, plan, weights, first, std::min(plan.tiles, first + plan.each)).run();
    }
  });
}

}  // namespace nf::cpu
