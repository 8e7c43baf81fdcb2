// The gradient of a convolution's weights: for each row ky of the kernel a product whose rows are
// the numbers (kx, c) of a run, whose columns are the outputs, and whose K are the output pixels.
// Images are dealt out in groups, each with sums of its own, which are added in order: how many
// depends on the sizes alone, and so do the bits of the result.
#include <algorithm>
#include <vector>

#include "tensor/cpu/gemm/bf16.h"
#include "tensor/cpu/gemm/conv.h"
#include "tensor/cpu/host/host_backend.h"
#include "tensor/threads.h"

namespace nf::cpu {
namespace {

/// Bytes of a frame, and of dout's panel beside it, that a task works on at once.
constexpr Index kRowsBytes = 256 << 10;
/// Bytes of sums that all groups may take.
constexpr Index kSumBytes = 16 << 20;
/// Tasks that are wanted for threads to share.
constexpr Index kTasks = 32;

thread_local Scratch rows_scratch("conv2d"), pairs_scratch("conv2d"), panel_scratch("conv2d");

template <class P>
class WeightSums {
 public:
  using T = NumberOf<P>;
  explicit WeightSums(const WeightGradient<T>& g)
      : g_(g),
        run_(g.kw * g.in.c),
        lanes_(whole_vectors<P>(g.o)),
        panels_(ceil_div(g.o, kPanel<P>)) {
    const Index group_bytes = g.kh * run_ * lanes_ * Index{sizeof(T)};
    groups_ = std::clamp<Index>(ceil_div(kTasks, panels_), 1,
                                std::max<Index>(1, kSumBytes / group_bytes));
    const Index row_bytes =
        std::max(g.in.width * g.in.c * g.stride, g.ow * kPanel<P>) * Index{sizeof(T)};
    rows_ = std::clamp<Index>(kRowsBytes / row_bytes - g.kh + 1, 1, g.oh);
    if (rows_ == 1 && g.ow >= 2 * kLeastColumns) {
      across_ = std::min(ceil_div(row_bytes * g.kh, kRowsBytes), g.ow / kLeastColumns);
    }
    groups_ = std::min(groups_, g.n * across_);
    kernel_parts_ = groups_ * panels_ >= kTasks / 4 ? 1 : g.kh;
    const Index count = groups_ * g.kh * run_ * lanes_;
    memory_ = call_memory("conv2d", "sums of gradients of weights", count, dtype_of<T>());
    sums_ = memory_.mutable_data<T>();
    std::fill_n(sums_, count, T(0));
  }

  void run() {
    const Index tasks = groups_ * panels_ * kernel_parts_;
    parallel_for(tasks, 1, [&](Index begin, Index end) {
      for (Index i = begin; i < end; ++i) {
        const Index part = i % kernel_parts_, rest = i / kernel_parts_;
        const Index ky = g_.kh * part / kernel_parts_;
        task(rest / panels_, rest % panels_, ky, g_.kh * (part + 1) / kernel_parts_);
      }
    });
    add_groups();
  }

 private:
  /// Zeros at first: each task adds to its own.
  T* sums(Index group, Index ky) { return sums_ + (group * g_.kh + ky) * run_ * lanes_; }

  /// One group's images, or parts of them, beside one panel of outputs, rows [ky0, ky1) of the
  /// kernel.
  void task(Index group, Index panel, Index ky0, Index ky1) {
    const Index count = g_.n * across_, end = count * (group + 1) / groups_;
    for (Index i = count * group / groups_; i < end; ++i) {
      const Index n = i / across_, part = i % across_;
      for (Index y = 0; y < g_.oh; y += rows_) {
        some_rows(group, panel, ky0, ky1,
                  {n, y, std::min(g_.oh, y + rows_), g_.ow * part / across_,
                   g_.ow * (part + 1) / across_});
      }
    }
  }

  /// Output rows [y0, y1) x columns [x0, x1) of image n; a part of the columns only of one row.
  struct Block {
    Index n, y0, y1, x0, x1;
  };

  /// Steps [begin, end) of `steps` on one axis that meet the image at tap k, not the padding.
  struct Steps {
    Index begin, end;
    Steps(Index begin_, Index end_, Index k, Index pad, Index size, Index stride)
        : begin(std::max(begin_, ceil_div(std::max<Index>(0, pad - k), stride))),
          end(std::min(end_, ceil_div(pad + size - k, stride))) {}
  };

  /// Adds a block. Many channels make tiles by themselves: x is read where it is, one tap at a
  /// time, and no tap is computed where it meets nothing but padding. Few make them together with
  /// the taps of a row, which then need a frame, and so do pairs.
  void some_rows(Index group, Index panel, Index ky0, Index ky1, const Block& block) {
    const auto [n, y0, y1, x0, x1] = block;
    const Index o0 = panel * kPanel<P>, lanes = lanes_of(panel), s = g_.stride;
    const Frame<T>& in = g_.in;
    const P* const dout = dout_panel(block, o0, lanes);
    const bool framed = kIsPair<P> || in.c < kTileRows;
    const Index taps = framed ? 1 : g_.kw, rows = run_ / taps, row_steps = steps_of<P>(x1 - x0);
    const FrameRows<P> from = framed ? frame(block) : bare(block);
    for (Index ky = ky0; ky < ky1; ++ky) {
      const Steps y(y0, y1, ky, in.top, in.h, s);
      for (Index kx = 0; kx < taps; ++kx) {
        const Steps x =
            framed ? Steps(x0, x1, 0, 0, in.width, s) : Steps(x0, x1, kx, in.left, in.w, s);
        if (y.begin >= y.end || x.begin >= x.end) continue;
        const Index first = (y.begin - y0) * row_steps + x.begin - x0;
        const Index k = steps_of<P>(x.end - x.begin);
        add_tap({.a = from.data + ((y.begin - y0) * s + ky) * from.pitch +
                      ((x.begin - x0) * s + kx) * from.pixel,
                 .row = 1,
                 .step = kNumbers<P> * s * from.pixel,
                 .k = k,
                 .last = k,
                 .segments = y.end - y.begin,
                 .segment = s * from.pitch,
                 .segment_b = row_steps * lanes,
                 .b = dout + first * lanes,
                 .c = sums(group, ky) + kx * in.c * lanes_ + o0,
                 .ldc = lanes_,
                 .add = true},
                rows, lanes / kLanes<P>);
      }
    }
  }

  /// The image where it is, from the block's first pixel of its frame on.
  FrameRows<P> bare(const Block& b) const {
    if constexpr (!kIsPair<P>) {
      const Frame<T>& in = g_.in;
      return {in.data + b.n * in.image() + (b.y0 * g_.stride - in.top) * in.w * in.pixel +
                  (b.x0 * g_.stride - in.left) * in.pixel,
              in.w * in.pixel, in.pixel, in.image()};
    }
    return {};
  }

  /// What the block's outputs see, with its padding. K are output pixels, so a pair is a number
  /// together with the same number of the pixel that the next output sees.
  FrameRows<P> frame(const Block& b) const {
    const Index s = g_.stride, height = (b.y1 - 1 - b.y0) * s + g_.kh,
                width = (b.x1 - 1 - b.x0) * s + g_.kw;
    const FrameRows<T> rows = g_.template rows<T>(b.n, b.n + 1, b.y0 * s, b.y0 * s + height,
                                                  b.x0 * s, b.x0 * s + width, rows_scratch);
    if constexpr (!kIsPair<P>) {
      return rows;
    } else {
      const Index c = g_.in.c;
      P* const pairs = pairs_scratch.get<P>(height * width * c);
      const std::vector<T> zeros(static_cast<std::size_t>(c));
      P* to = pairs;
      for (Index y = 0; y < height; ++y) {
        const T* x = rows.data + y * rows.pitch;
        for (Index i = 0; i < width; ++i, x += rows.pixel, to += c) {
          round_lanes(x, i + s < width ? x + s * rows.pixel : zeros.data(), c, to);
        }
      }
      return {pairs, width * c, c, 0};
    }
  }

  /// All rows of one tap, or of one row of taps.
  static void add_tap(TileArgs<P> args, Index rows, Index vectors) {
    const P* const a = args.a;
    T* const c = args.c;
    const TileRows tiles(0, rows);
    for (Index t = 0; t < tiles.count; ++t) {
      const Index r = tiles.begin(t), count = tiles.begin(t + 1) - r;
      args.a = a + r;
      args.c = c + r * args.ldc;
      tile<P>(Rows::Across, static_cast<int>(count), static_cast<int>(vectors))(args);
    }
  }

  Index lanes_of(Index panel) const { return std::min(kPanel<P>, lanes_ - panel * kPanel<P>); }

  /// Outputs [o0, o0 + lanes) of a block of dout: where they are, or packed.
  const P* dout_panel(const Block& b, Index o0, Index lanes) const {
    const T* const from = g_.dout + ((b.n * g_.oh + b.y0) * g_.ow + b.x0) * g_.o + o0;
    if constexpr (!kIsPair<P>) {
      if (lanes == g_.o) return from;
    }
    const Index cols = std::min(lanes, g_.o - o0), width = b.x1 - b.x0, steps = steps_of<P>(width);
    P* const packed = panel_scratch.get<P>((b.y1 - b.y0) * steps * lanes);
    for (Index y = 0; y < b.y1 - b.y0; ++y) {
      pack<P>({from + y * g_.ow * g_.o, 1, g_.o}, cols, width, lanes, packed + y * steps * lanes);
    }
    return packed;
  }

  /// dw = the sum of all groups, from (ky, kx, c, o) to (o, c, ky, kx).
  void add_groups() {
    const Index c = g_.in.c, taps = g_.kh * g_.kw, group = g_.kh * run_ * lanes_;
    parallel_for(c, 1, [&](Index begin, Index end) {
      std::vector<T> total(static_cast<std::size_t>(lanes_));
      for (Index i = begin; i < end; ++i) {
        for (Index tap = 0; tap < taps; ++tap) {
          const T* const from = sums_ + (tap * c + i) * lanes_;
          std::copy_n(from, lanes_, total.begin());
          for (Index s = 1; s < groups_; ++s) {
            for (Index o = 0; o < g_.o; ++o)
              total[static_cast<std::size_t>(o)] += from[s * group + o];
          }
          T* const to = g_.dw + i * taps + tap;
          for (Index o = 0; o < g_.o; ++o) to[o * c * taps] = total[static_cast<std::size_t>(o)];
        }
      }
    });
  }

  const WeightGradient<T>& g_;
  Index run_, lanes_, panels_, groups_, kernel_parts_, rows_;
  Index across_ = 1;  ///< parts of a row
  Tensor memory_;
  T* sums_;
};

}  // namespace

template <class P>
void weight_gradient(const WeightGradient<NumberOf<P>>& g) {
  WeightSums<P>(g).run();
}

template void weight_gradient<float>(const WeightGradient<float>&);
template void weight_gradient<double>(const WeightGradient<double>&);
template void weight_gradient<Bf16Pair>(const WeightGradient<float>&);

}  // namespace nf::cpu
