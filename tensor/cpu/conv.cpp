// Convolutions, as plain loops: one tap of the kernel after the other, the innermost loop over
// channels that lie side by side. Every element is added up in one order on any number of threads.
#include <algorithm>
#include <vector>

#include "tensor/cpu/cpu_backend.h"
#include "tensor/threads.h"

namespace nf {
namespace {

/// The sizes, and x's stride from pixel to pixel.
struct Image : ConvSizes {
  std::int64_t pixel;
  Image(const Tensor& x, const Shape& w, const ConvGeometry& geometry)
      : ConvSizes(conv_sizes(x.shape(), w, geometry)), pixel(x.strides()[2]) {}
};

/// Weights (O, C, kh, kw) in the order (kh, kw, C, O), or (kh, kw, O, C).
template <class T>
std::vector<T> by_tap(const Tensor& w, bool outputs_last) {
  const Tensor view = outputs_last ? w.permute({2, 3, 1, 0}) : w.permute({2, 3, 0, 1});
  Tensor t = Tensor::empty(view.shape(), w.dtype());
  cpu_backend().copy(t, view);
  return {t.data<T>(), t.data<T>() + t.numel()};
}

/// body(out's pixel, x's pixel, tap) for every tap that falls on the image, in the row `row` of
/// out, counted over all images.
template <class Body>
void for_taps_of_row(const ConvSizes& s, std::int64_t row, const Body& body) {
  const std::int64_t n = row / s.oh, i = row % s.oh;
  for (std::int64_t ky = 0; ky < s.kh; ++ky) {
    const std::int64_t y = i * s.stride - s.pad_h + ky;
    if (y < 0 || y >= s.h) continue;
    for (std::int64_t kx = 0; kx < s.kw; ++kx) {
      for (std::int64_t j = 0; j < s.ow; ++j) {
        const std::int64_t x = j * s.stride - s.pad_w + kx;
        if (x < 0 || x >= s.w) continue;
        body(row * s.ow + j, (n * s.h + y) * s.w + x, ky * s.kw + kx);
      }
    }
  }
}

/// to[j] += sum over i of from[i] m[i][j], m (rows, cols).
template <class T>
void add_product(const T* from, const T* m, T* to, std::int64_t rows, std::int64_t cols) {
  for (std::int64_t i = 0; i < rows; ++i, m += cols) {
    for (std::int64_t j = 0; j < cols; ++j) to[j] += from[i] * m[j];
  }
}

template <class T>
void forward(const Image& s, const T* x, const Tensor& w, const T* bias, T* out) {
  const std::vector<T> weights = by_tap<T>(w, true);
  parallel_for(s.n * s.oh, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      std::fill_n(out + row * s.ow * s.o, s.ow * s.o, T(0));
      for_taps_of_row(s, row, [&](std::int64_t to, std::int64_t from, std::int64_t tap) {
        add_product(x + from * s.pixel, weights.data() + tap * s.c * s.o, out + to * s.o, s.c, s.o);
      });
      for (std::int64_t i = row * s.ow; bias && i < (row + 1) * s.ow; ++i) {
        for (std::int64_t o = 0; o < s.o; ++o) out[i * s.o + o] += bias[o];
      }
    }
  });
}

}  // namespace

void CpuBackend::conv2d(const Tensor& x, const Tensor& w, const Tensor& bias,
                        const ConvGeometry& geometry, const UnaryOp* act, OpArgs args,
                        Tensor& out) {
  const Image s(x, w.shape(), geometry);
  visit_float(out.dtype(), [&]<class T>() {
    T* const to = out.mutable_data<T>();
    forward<T>(s, x.data<T>(), w, bias.defined() ? bias.data<T>() : nullptr, to);
  });
  if (act) unary(*act, args, out, out);
}

void CpuBackend::conv2d_backward_data(const Tensor& dout, const Tensor& w,
                                      const ConvGeometry& geometry, Tensor& dx) {
  const Image s(dx, w.shape(), geometry);
  visit_float(dx.dtype(), [&]<class T>() {
    const std::vector<T> weights = by_tap<T>(w, false);
    const T* const g = dout.data<T>();
    T* const d = dx.mutable_data<T>();
    parallel_for(s.n, 1, [&](std::int64_t begin, std::int64_t end) {
      const std::int64_t image = s.h * s.w * s.c;
      std::fill_n(d + begin * image, (end - begin) * image, T(0));
      for (std::int64_t row = begin * s.oh; row < end * s.oh; ++row) {
        for_taps_of_row(s, row, [&](std::int64_t from, std::int64_t to, std::int64_t tap) {
          add_product(g + from * s.o, weights.data() + tap * s.o * s.c, d + to * s.c, s.o, s.c);
        });
      }
    });
  });
}

void CpuBackend::conv2d_backward_weights(const Tensor& x, const Tensor& dout,
                                         const ConvGeometry& geometry, Tensor& dw) {
  const Image s(x, dw.shape(), geometry);
  visit_float(dw.dtype(), [&]<class T>() {
    const T* const from = x.data<T>();
    const T* const g = dout.data<T>();
    T* const d = dw.mutable_data<T>();
    const std::int64_t taps = s.kh * s.kw;
    parallel_for(s.o, 1, [&](std::int64_t begin, std::int64_t end) {
      std::vector<T> sums(static_cast<std::size_t>(taps * s.c));  // (kh, kw, C) of one output
      for (std::int64_t o = begin; o < end; ++o) {
        std::fill(sums.begin(), sums.end(), T(0));
        for (std::int64_t row = 0; row < s.n * s.oh; ++row) {
          for_taps_of_row(s, row, [&](std::int64_t out, std::int64_t in, std::int64_t tap) {
            const T* const factor = g + out * s.o + o;
            add_product(factor, from + in * s.pixel, sums.data() + tap * s.c, 1, s.c);
          });
        }
        for (std::int64_t c = 0; c < s.c; ++c) {
          for (std::int64_t tap = 0; tap < taps; ++tap) {
            d[(o * s.c + c) * taps + tap] = sums[static_cast<std::size_t>(tap * s.c + c)];
          }
        }
      }
    });
  });
}

}  // namespace nf
