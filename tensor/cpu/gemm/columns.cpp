#include "tensor/cpu/gemm/columns.h"

#include <algorithm>

#include "tensor/cpu/gemm/vector.h"
#include "tensor/cpu/host/host_backend.h"
#include "tensor/threads.h"

namespace nf::cpu {
namespace {

/// Bytes that kh rows of columns may take.
constexpr Index kColumnBytes = 512 << 10;
/// Tasks for each thread, so that none waits long for the last.
constexpr Index kColumnTasks = 4;

thread_local Scratch columns_scratch("conv2d");

template <class T>
Index pitch_of(const Convolution<T>& c) {
  return whole_vectors<T>(c.kh * c.kw * c.o);
}

/// From (tap, c, lane) to what tiles read: (panel, c, (tap, o)).
template <class T>
Tensor column_weights(const Convolution<T>& conv) {
  constexpr Index W = kPanel<T>, N = kLanes<T>;
  const Index channels = conv.in.c, pitch = pitch_of(conv), columns = conv.kh * conv.kw * conv.o;
  Tensor weights = call_memory("conv2d", "weights of columns", pitch * channels, dtype_of<T>());
  T* const to = weights.mutable_data<T>();
  for (Index j = 0; j < pitch; ++j) {
    const Index first = j / W * W, lanes = std::min(W, pitch - first);
    const T* const from = conv.weights + j / conv.o * channels * N + j % conv.o;
    T* const at = to + first * channels + j - first;
    for (Index ch = 0; ch < channels; ++ch) at[ch * lanes] = j < columns ? from[ch * N] : T(0);
  }
  return weights;
}

/// Rows [y0, y1) of image n.
template <class T>
class ColumnsTask {
 public:
  ColumnsTask(const Convolution<T>& conv, const T* weights, Index n)
      : c_(conv), weights_(weights), n_(n), pitch_(pitch_of(conv)), row_(conv.in.width * pitch_) {
    const Index rows = conv.kh * row_, line = conv.ow * conv.o;
    rows_ = columns_scratch.get<T>(rows + line + kLanes<T>);
    line_ = rows_ + rows;
    std::fill_n(rows_, rows, T(0));  // the padding beside the image stays so
  }

  void run(Index y0, Index y1) {
    Index next = std::max<Index>(0, y0 - c_.in.top);
    for (Index y = y0; y < y1; ++y) {
      const Taps taps = c_.in.taps(y, 0, c_.kh);
      const Index first = y + taps.first - c_.in.top;  // the row of the image at the first tap
      for (; next < first + taps.count; ++next) multiply(next);
      for (Index x = 0; x < c_.ow; ++x) sum(x, taps, first);
      T* const out = c_.out + (n_ * c_.oh + y) * c_.ow * c_.o;
      std::copy_n(line_, c_.ow * c_.o, out);
      if (c_.finish.block) c_.finish.block(out, c_.o, c_.ow, 0, c_.o, c_.finish.with);
    }
  }

 private:
  T* columns_of(Index y) const { return rows_ + y % c_.kh * row_; }

  /// The columns of row y of the image.
  void multiply(Index y) {
    const Frame<T>& in = c_.in;
    const T* const from = in.data + n_ * in.image() + y * in.w * in.pixel;
    T* const to = columns_of(y) + in.left * pitch_;
    const TileRows tiles(0, std::min(in.w, in.width - in.left));
    for (Index p = 0; p < pitch_; p += kPanel<T>) {
      const Index lanes = std::min(kPanel<T>, pitch_ - p);
      TileArgs<T> args{.a = nullptr, .row = in.pixel, .step = 1, .k = in.c, .last = in.c};
      args.b = weights_ + p * in.c;
      args.ldc = pitch_;
      for (Index t = 0; t < tiles.count; ++t) {
        const Index x = tiles.begin(t);
        args.a = from + x * in.pixel;
        args.c = to + x * pitch_ + p;
        tile_to<T>(Rows::Along, tiles.begin(t + 1) - x, lanes, args);
      }
    }
  }

  /// Output pixel x. Lanes behind its outputs hold whatever follows; the next pixel overwrites
  /// them.
  void sum(Index x, const Taps& taps, Index first) {
    constexpr int N = kLanes<T>;
    VectorOf<T, N> total = {};
    for (Index i = 0; i < taps.count; ++i) {
      const T* at = columns_of(first + i) + x * pitch_ + (taps.first + i) * c_.kw * c_.o;
      for (Index kx = 0; kx < c_.kw; ++kx, at += pitch_ + c_.o) total += load_vector<T, N>(at);
    }
    store_vector(line_ + x * c_.o, total);
  }

  const Convolution<T>& c_;
  const T* weights_;
  Index n_, pitch_, row_;  ///< numbers from one pixel's columns, and from one row's, to the next
  T *rows_, *line_;
};

}  // namespace

template <class T>
bool takes_columns(const Convolution<T>& conv) {
  if (conv.stride != 1 || conv.in.spread != 1 || conv.o > kLanes<T> / 2) return false;
  // Vectors that are multiplied for a pixel; here to load and to add each tap's comes on top.
  const Index taps = conv.kh * conv.kw, direct = taps * conv.in.c;
  const Index columns = pitch_of(conv) / kLanes<T> * conv.in.c + 2 * taps;
  const Index bytes = conv.kh * conv.in.width * pitch_of(conv) * Index{sizeof(T)};
  return 3 * columns <= 2 * direct && bytes <= kColumnBytes;
}

template <class T>
void convolve_columns(const Convolution<T>& conv) {
  const Tensor weights = column_weights(conv);
  // The first kh - 1 rows of columns are computed again by each task of an image.
  const Index wanted = ceil_div(conv.n * conv.oh, kColumnTasks * num_threads());
  const Index down = ceil_div(conv.oh, std::clamp(wanted, std::min(conv.oh, 4 * conv.kh), conv.oh));
  parallel_for(conv.n * down, 1, [&](Index begin, Index end) {
    for (Index i = begin; i < end; ++i) {
      const Index part = i % down;
      ColumnsTask<T>(conv, weights.data<T>(), i / down)
          .run(conv.oh * part / down, conv.oh * (part + 1) / down);
    }
  });
}

template bool takes_columns(const Convolution<float>&);
template bool takes_columns(const Convolution<double>&);
template void convolve_columns(const Convolution<float>&);
template void convolve_columns(const Convolution<double>&);

}  // namespace nf::cpu
