#include "tensor/cpu/gemm/conv.h"

#include <algorithm>
#include <type_traits>
#include <vector>

#include "tensor/cpu/gemm/bf16.h"
#include "tensor/cpu/gemm/columns.h"
#include "tensor/cpu/gemm/winograd.h"
#include "tensor/threads.h"

namespace nf::cpu {
namespace {

/// Bytes of a frame that a task copies at once: they stay in a second-level cache beside a panel of
/// weights.
constexpr Index kFrameBytes = 192 << 10;
/// Steps of K that a tile goes through at once, as kDepth of a product.
constexpr Index kRunDepth = 1536;
/// Tasks for each thread, so that none waits long for the last.
constexpr Index kTasksEach = 4;

thread_local Scratch frame_scratch("conv2d");

/// What one task computes: rows [y0, y1) x columns [x0, x1) of images [n0, n1); more than one image
/// only where it takes all rows, a part of the columns only of one row.
struct Range {
  Index n0, n1, y0, y1, x0, x1;
};

/// How the rows of all images are dealt out.
struct Deal {
  Index images, rows;         ///< of a task
  Index down, across, count;  ///< tasks of an image or group of them, of a row, of all images

  template <class P>
  static Deal of(const Convolution<P>& c) {
    const Index bytes_of_row = c.in.width * steps_of<P>(c.in.c) * Index{sizeof(P)} * c.stride;
    const Index fit = std::max<Index>(1, kFrameBytes / bytes_of_row - c.kh + 1);
    const Index wanted = std::max<Index>(1, c.n * c.oh / (kTasksEach * num_threads()));
    const Index rows = std::min(fit, wanted);
    if (rows == 1 && c.ow >= 2 * kLeastColumns) {
      const Index frame = c.in.width * steps_of<P>(c.in.c) * Index{sizeof(P)} * c.kh;
      const Index parts =
          std::max(ceil_div(frame, kFrameBytes), ceil_div(kTasksEach * num_threads(), c.n * c.oh));
      const Index across = std::min(parts, c.ow / kLeastColumns);
      return {1, 1, c.oh, across, c.n * c.oh * across};
    }
    if (rows < c.oh) {
      const Index down = ceil_div(c.oh, rows);
      return {1, ceil_div(c.oh, down), down, 1, c.n * down};
    }
    const Index images = std::min(c.n, rows / c.oh);
    return {images, c.oh, 1, 1, ceil_div(c.n, images)};
  }
  template <class P>
  Range range(Index task, const Convolution<P>& c) const {
    const Index part = task % across, strip = task / across;
    const Index n = strip / down * images, y = strip % down * rows;
    return {n,
            std::min(c.n, n + images),
            y,
            std::min(c.oh, y + rows),
            c.ow * part / across,
            c.ow * (part + 1) / across};
  }
};

/// One task of a convolution.
template <class P>
class ConvTask {
 public:
  using T = NumberOf<P>;
  ConvTask(const Convolution<P>& conv, const Range& range) : c_(conv), r_(range) {
    const Index begin = r_.y0 * c_.stride, end = (r_.y1 - 1) * c_.stride + c_.kh;
    rows_ = c_.template rows<P>(r_.n0, r_.n1, begin, end, r_.x0 * c_.stride,
                                (r_.x1 - 1) * c_.stride + c_.kw, frame_scratch);
  }

  /// All panels, and for each a few rows of the kernel at a time.
  void run() const {
    constexpr Index W = kPanel<P>;
    const Index run = c_.kw * steps_of<P>(c_.in.c),
                at_once = std::clamp<Index>(kRunDepth / run, 1, c_.kh);
    for (Index o0 = 0; o0 < c_.o; o0 += W) {
      const P* const panel = c_.weights + o0 * c_.kh * run;
      for (Index ky = 0; ky < c_.kh; ky += at_once) {
        const Index count = std::min(at_once, c_.kh - ky);
        for (Index n = r_.n0; n < r_.n1; ++n) {
          for (Index y = r_.y0; y < r_.y1; ++y) one_row(n, y, o0, ky, count, panel);
        }
      }
    }
  }

 private:
  /// Row y of image n, outputs from o0: adds rows [ky, ky + count) of the kernel, those that meet
  /// nothing but zeros left out.
  void one_row(Index n, Index y, Index o0, Index ky, Index count, const P* panel) const {
    const Index cols = std::min(kPanel<P>, c_.o - o0);
    const Index run = c_.kw * steps_of<P>(c_.in.c), lanes = whole_vectors<P>(cols);
    const Taps all = c_.in.taps(y * c_.stride, 0, c_.kh);
    const Taps taps = c_.in.taps(y * c_.stride, ky, ky + count);
    const bool begun = all.count > 0 && all.first < ky, last = ky + count == c_.kh;
    if (taps.count == 0 && (begun || !last)) return finish_row(n, y, o0, cols, last);
    const TileRows tiles(r_.x0, r_.x1);
    const P* const first = rows_.data + (n - r_.n0) * rows_.image +
                           ((y - r_.y0) * c_.stride + taps.first) * rows_.pitch;
    TileArgs<P> args{.a = nullptr,
                     .row = c_.stride * rows_.pixel,
                     .step = 1,
                     .k = run,
                     .last = run,
                     .segments = taps.count,
                     .segment = taps.step * rows_.pitch,
                     .segment_b = taps.step * run * lanes,
                     .b = panel + taps.first * run * lanes,
                     .ldc = c_.o,
                     .add = begun};
    T* const out = row_of_out(n, y, o0);
    for (Index t = 0; t < tiles.count; ++t) {
      const Index x = tiles.begin(t) - r_.x0, rows = tiles.begin(t + 1) - r_.x0 - x;
      args.a = first + x * args.row;
      args.c = out + x * c_.o;
      tile_to<P>(Rows::Along, rows, cols, args);
      if (last && c_.finish.block) {
        c_.finish.block(args.c, c_.o, rows, o0, cols, c_.finish.with);
      }
    }
  }

  /// The row is complete, but not by a tile of this block.
  void finish_row(Index n, Index y, Index o0, Index cols, bool last) const {
    if (!last || !c_.finish.block) return;
    c_.finish.block(row_of_out(n, y, o0), c_.o, r_.x1 - r_.x0, o0, cols, c_.finish.with);
  }
  T* row_of_out(Index n, Index y, Index o0) const {
    return c_.out + ((n * c_.oh + y) * c_.ow + r_.x0) * c_.o + o0;
  }

  const Convolution<P>& c_;
  Range r_;
  FrameRows<P> rows_;
};

template <class P>
void all_tasks(const Convolution<P>& conv) {
  const Deal deal = Deal::of(conv);
  parallel_for(deal.count, 1, [&](Index begin, Index end) {
    for (Index i = begin; i < end; ++i) ConvTask<P>(conv, deal.range(i, conv)).run();
  });
}

template <class T>
T* copy_numbers(const T* from, Index count, T* to) {
  return std::copy_n(from, count, to);
}
Bf16Pair* copy_numbers(const float* from, Index count, Bf16Pair* to) {
  return round_numbers(from, count, to);
}

}  // namespace

template <class T>
Taps Frame<T>::taps(Index y, Index begin, Index end) const {
  Index first = std::max(begin, top - y);
  first += (spread - (first + y - top) % spread) % spread;
  const Index bound = std::min(end, top + (h - 1) * spread + 1 - y);
  return {first, first < bound ? ceil_div(bound - first, spread) : 0, spread};
}

template <class T>
template <class P>
void Frame<T>::copy(Index n, Index y0, Index y1, Index x0, Index x1, P* to) const {
  // Pixels [first, first + count) of a row of the image lie in these columns.
  const Index first = x0 <= left ? 0 : ceil_div(x0 - left, spread);
  const Index count = (x1 <= left ? 0 : std::min(w, ceil_div(x1 - left, spread))) - first;
  const Index step = steps_of<P>(c), cols = (x1 - x0) * step;
  for (Index y = y0; y < y1; ++y, to += cols) {
    const Index row = (y - top) / spread;
    if (y < top || (y - top) % spread != 0 || row >= h || count <= 0) {
      std::fill_n(to, cols, P(0));
      continue;
    }
    const T* const x = data + n * image() + (row * w + first) * pixel;
    P* at = std::fill_n(to, (left + first * spread - x0) * step, P(0));
    if (pixel == c && spread == 1 && c % kNumbers<P> == 0) {
      at = copy_numbers(x, count * c, at);
    } else {
      if (spread > 1) std::fill(at, to + cols, P(0));
      for (Index i = 0; i < count; ++i) copy_numbers(x + i * pixel, c, at + i * spread * step);
      at += ((count - 1) * spread + 1) * step;
    }
    std::fill(at, to + cols, P(0));
  }
}

template <class T>
template <class P>
FrameRows<P> Windows<T>::rows(Index n0, Index n1, Index y0, Index y1, Index x0, Index x1,
                              Scratch& scratch) const {
  if constexpr (!kIsPair<P>) {
    if (in.plain(kw)) {
      const Index pitch = in.w * in.pixel;
      return {in.data + n0 * in.image() + y0 * pitch + x0 * in.pixel, pitch, in.pixel, in.image()};
    }
  }
  const Index pixel = steps_of<P>(in.c), pitch = (x1 - x0) * pixel, image = (y1 - y0) * pitch;
  P* const to = scratch.get<P>((n1 - n0) * image);
  for (Index i = n0; i < n1; ++i) in.copy(i, y0, y1, x0, x1, to + (i - n0) * image);
  return {to, pitch, pixel, image};
}

template <class P>
void convolve(const Convolution<P>& conv) {
  if constexpr (std::is_same_v<P, float>) {
    if (takes_winograd(conv)) return convolve_winograd(conv);
  }
  if constexpr (!kIsPair<P>) {
    if (takes_columns(conv)) return convolve_columns(conv);
  }
  all_tasks(conv);
}

template <class P>
void pack_weights(const Weights<NumberOf<P>>& w, P* to) {
  constexpr Index W = kPanel<P>;
  const Index taps = w.kh * w.kw, depth = steps_of<P>(w.c);
  parallel_for(ceil_div(w.o, W), 1, [&](Index begin, Index end) {
    for (Index p = begin; p < end; ++p) {
      const Index cols = std::min(W, w.o - p * W), pitch = whole_vectors<P>(cols);
      P* at = to + p * W * taps * depth;
      for (Index tap = 0; tap < taps; ++tap, at += depth * pitch) {
        const auto* const from = w.data + p * W * w.out_step + (w.rotated ? taps - 1 - tap : tap);
        pack<P>({from, w.out_step, w.in_step}, cols, w.c, pitch, at);
      }
    }
  });
}

template struct Frame<float>;
template struct Frame<double>;
template FrameRows<float> Windows<float>::rows(Index, Index, Index, Index, Index, Index,
                                               Scratch&) const;
template FrameRows<double> Windows<double>::rows(Index, Index, Index, Index, Index, Index,
                                                 Scratch&) const;
template void convolve(const Convolution<float>&);
template void convolve(const Convolution<double>&);
template void convolve(const Convolution<Bf16Pair>&);
template void pack_weights(const Weights<float>&, float*);
template void pack_weights(const Weights<double>&, double*);
template void pack_weights(const Weights<float>&, Bf16Pair*);

}  // namespace nf::cpu
