// Convolutions as matrix products. Both directions are one thing: each pixel of the result gathers,
// tap by tap, from pixels of a source (Axis says which), x for forward and dout for dx. Either
//   patches: the source pixels of each result pixel side by side, (result pixels, taps * channels),
//            times the weights (taps * channels, result channels); or
//   columns: the source (source pixels, channels) times the weights (channels, taps * result
//            channels), and each element of the result adds up its taps.
// The smaller of the two is taken. dw is a product with the patches of x or of dout. No atomics:
// the same bits in every run. Patches and columns are made for a part of the images at a time.
#include <algorithm>

#include "tensor/cuda/activation.h"
#include "tensor/cuda/cuda_backend.h"
#include "tensor/cuda/device.h"
#include "tensor/cuda/map.h"

namespace nf {
namespace {

using namespace nf::cuda;

constexpr std::int64_t kWorkspace = std::int64_t{64}
                                    << 20;  // bytes of patches or columns at a time

/// Which pixel of the source a pixel of the result meets at a tap, on one axis.
struct Axis {
  std::int32_t step, first, direction, halved, size;  // halved: 1 when the source is, else 0

  /// out[i] meets x[i stride - pad + tap].
  static Axis forward(std::int64_t stride, std::int64_t pad, std::int64_t size) {
    return of(stride, -pad, 1, 0, size);
  }
  /// dx[i] meets dout[(i + pad - tap) / stride] where that is a whole number.
  static Axis backward(std::int64_t stride, std::int64_t pad, std::int64_t size) {
    return of(1, pad, -1, stride - 1, size);
  }
  /// -1 outside the source.
  __device__ std::int32_t source(std::int32_t i, std::int32_t tap) const {
    const std::int32_t at = i * step + first + direction * tap;
    if (at < 0 || (at & halved) != 0) return -1;
    return at >> halved < size ? at >> halved : -1;
  }

 private:
  static Axis of(std::int64_t step, std::int64_t first, std::int64_t direction, std::int64_t halved,
                 std::int64_t size) {
    const auto narrow = [](std::int64_t n) { return static_cast<std::int32_t>(n); };
    return {narrow(step), narrow(first), narrow(direction), narrow(halved), narrow(size)};
  }
};

/// One direction: what kernels need to find their way. An element of the source lies at
/// ((image * rows + row) * columns + column) * pixel + channel.
struct Gather {
  Axis y, x;
  std::int64_t pixel;           ///< the source's stride from pixel to pixel
  std::int64_t source, result;  ///< pixels of an image
  std::int64_t kh, kw;
  Divider<std::uint32_t> by_kw, by_result, by_width;  ///< result's pixels: of an image, of a row

  Gather(Axis rows, Axis columns, std::int64_t p, const ConvSizes& s, std::int64_t height,
         std::int64_t width)
      : y(rows),
        x(columns),
        pixel(p),
        source(std::int64_t{rows.size} * columns.size),
        result(height * width),
        kh(s.kh),
        kw(s.kw),
        by_kw(s.kw),
        by_result(result),
        by_width(width) {}
  static Gather forward(const ConvSizes& s, std::int64_t pixel) {
    return {Axis::forward(s.stride, s.pad_h, s.h),
            Axis::forward(s.stride, s.pad_w, s.w),
            pixel,
            s,
            s.oh,
            s.ow};
  }
  static Gather backward(const ConvSizes& s) {
    return {Axis::backward(s.stride, s.pad_h, s.oh),
            Axis::backward(s.stride, s.pad_w, s.ow),
            s.o,
            s,
            s.h,
            s.w};
  }
  NF_HD std::int64_t taps() const { return kh * kw; }
};

/// A pixel of the result, counted from the first image of a part.
struct Place {
  std::uint32_t image;
  std::int32_t row, column;

  __device__ Place(const Gather& g, std::uint32_t pixel) {
    image = g.by_result.divide(pixel);
    const std::uint32_t rest = pixel - image * g.by_result.divisor;
    row = static_cast<std::int32_t>(g.by_width.divide(rest));
    column = static_cast<std::int32_t>(rest - row * g.by_width.divisor);
  }
  /// The source's pixel that this one meets at a tap, counted likewise, or -1.
  __device__ std::int64_t source(const Gather& g, std::int32_t ky, std::int32_t kx) const {
    const std::int32_t y = g.y.source(row, ky), x = g.x.source(column, kx);
    if (y < 0 || x < 0) return -1;
    return image * g.source + std::int64_t{y} * g.x.size + x;
  }
};

/// patches[pixel, tap, c] = source[its pixel at that tap, c], 0 outside, for n packs of V channels;
/// the pixels of the result begin with number `first`.
template <class T, int V>
__global__ void gather_patches(const Gather g, const T* source, std::uint32_t first,
                               std::uint32_t n, Divider<std::uint32_t> by_packs,
                               Divider<std::uint32_t> by_taps, T* patches) {
  const std::uint32_t step = gridDim.x * blockDim.x;
  for (std::uint32_t i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += step) {
    const std::uint32_t entry = by_packs.divide(i), pack = i - entry * by_packs.divisor;
    const std::uint32_t pixel = by_taps.divide(entry), tap = entry - pixel * by_taps.divisor;
    const std::uint32_t ky = g.by_kw.divide(tap), kx = tap - ky * g.by_kw.divisor;
    const std::int64_t from =
        Place(g, first + pixel)
            .source(g, static_cast<std::int32_t>(ky), static_cast<std::int32_t>(kx));
    Pack<T, V> values{};
    if (from >= 0) {
      values = *reinterpret_cast<const Pack<T, V>*>(source + from * g.pixel + pack * V);
    }
    reinterpret_cast<Pack<T, V>*>(patches)[i] = values;
  }
}

/// result[pixel, c] = act(bias[c] + the sum over the taps of columns[pixel at that tap, tap, c])
/// for n packs of V channels.
template <class Op, class T, int V>
__global__ void add_taps(const Gather g, const T* columns, const T* bias, std::uint32_t n,
                         Divider<std::uint32_t> by_packs, Args<T> k, T* result) {
  const std::uint32_t step = gridDim.x * blockDim.x;
  const std::int64_t channels = std::int64_t{by_packs.divisor} * V;
  for (std::uint32_t i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += step) {
    const std::uint32_t pixel = by_packs.divide(i), pack = i - pixel * by_packs.divisor;
    const Place place(g, pixel);
    Pack<T, V> sum{};
    for (std::int32_t ky = 0; ky < g.kh; ++ky) {
      for (std::int32_t kx = 0; kx < g.kw; ++kx) {
        const std::int64_t from = place.source(g, ky, kx);
        if (from < 0) continue;
        const T* const at = columns + (from * g.taps() + ky * g.kw + kx) * channels + pack * V;
        const Pack<T, V> column = *reinterpret_cast<const Pack<T, V>*>(at);
        for (int v = 0; v < V; ++v) sum.at[v] += column.at[v];
      }
    }
    for (int v = 0; v < V; ++v) {
      sum.at[v] = Op::f(bias ? sum.at[v] + bias[pack * V + v] : sum.at[v], k);
    }
    reinterpret_cast<Pack<T, V>*>(result)[i] = sum;
  }
}

/// body.template operator()<V>() with as many channels as go into 16 bytes, or 1 where they or the
/// strides do not divide.
template <class T, class Body>
void with_packs(std::int64_t channels, std::int64_t pixel, const T* data, const Body& body) {
  constexpr int V = kPacked<T>;
  const bool packed = channels % V == 0 && pixel % V == 0 &&
                      reinterpret_cast<std::uintptr_t>(data) % (V * sizeof(T)) == 0;
  if (packed) {
    body.template operator()<V>();
  } else {
    body.template operator()<1>();
  }
}

/// `t` (N, H, W, C) as one row for each pixel, with the stride of its pixels.
Tensor pixels_of(const Tensor& t) { return t.reshape({t.dim(0) * t.dim(1) * t.dim(2), t.dim(3)}); }

/// The weights with their dimensions in this order, as a matrix.
Tensor weight_matrix(CudaBackend& cuda, const Tensor& w, std::initializer_list<int> order,
                     const Shape& shape) {
  const Tensor view = w.permute(order);
  Tensor out = Tensor::empty(view.shape(), w.dtype(), Device::CUDA);
  cuda.copy(out, view);
  return out.reshape(shape);
}

/// The patches of result pixels [first, first + count): (count, taps * channels).
Tensor patches_of(const Gather& g, const Tensor& source, std::int64_t first, std::int64_t count) {
  const std::int64_t channels = source.dim(3), row = g.taps() * channels;
  Tensor patches = Tensor::empty({count, row}, source.dtype(), Device::CUDA);
  const std::int64_t image = first / g.result;
  visit_float(source.dtype(), [&]<class T>() {
    const T* const from = source.data<T>() + image * g.source * g.pixel;
    with_packs(channels, g.pixel, from, [&]<int V>() {
      const auto packs = static_cast<std::uint32_t>(count * row / V);
      launch("conv2d patches", grid_for(packs), dim3(kThreads), gather_patches<T, V>, g, from,
             static_cast<std::uint32_t>(first % g.result), packs,
             Divider<std::uint32_t>(channels / V), Divider<std::uint32_t>(g.taps()),
             patches.mutable_data<T>());
    });
  });
  return patches;
}

/// How many rows of so many elements fit into the workspace.
std::int64_t rows_at_a_time(std::int64_t row, DType dtype) {
  return std::max<std::int64_t>(1, kWorkspace / (row * static_cast<std::int64_t>(size_of(dtype))));
}

/// body(first, count) for all of n, `step` at a time.
template <class Body>
void in_parts(std::int64_t n, std::int64_t step, const Body& body) {
  for (std::int64_t first = 0; first < n; first += step) body(first, std::min(step, n - first));
}

/// Are there fewer columns than patches, and do those of one image fit into the workspace?
bool columns_are_smaller(const Gather& g, std::int64_t channels, std::int64_t result_channels,
                         DType dtype) {
  const std::int64_t columns = g.source * result_channels, patches = g.result * channels;
  return columns < patches && g.source <= rows_at_a_time(g.taps() * result_channels, dtype);
}

/// result = act(the sums of products of source and weights + bias), w (result channels, taps *
/// channels).
void by_patches(CudaBackend& cuda, const Gather& g, const Tensor& source, const Tensor& w,
                const Tensor& bias, const UnaryOp* act, OpArgs args, Tensor& result) {
  Tensor rows = pixels_of(result);
  in_parts(rows.dim(0), rows_at_a_time(w.dim(1), w.dtype()), [&](std::int64_t i, std::int64_t n) {
    Tensor part = rows.narrow(0, i, n);
    cuda.linear(patches_of(g, source, i, n), w, bias, act, args, part);
  });
}

/// The same, w (taps * result channels, channels).
void by_columns(CudaBackend& cuda, const Gather& g, const Tensor& source, const Tensor& w,
                const Tensor& bias, const UnaryOp* act, OpArgs args, Tensor& result) {
  const std::int64_t images = rows_at_a_time(w.dim(0) * g.source, w.dtype());
  const std::int64_t channels = result.dim(3);
  in_parts(result.dim(0), images, [&](std::int64_t i, std::int64_t n) {
    const Tensor rows = pixels_of(source.narrow(0, i, n));
    Tensor columns = Tensor::empty({rows.dim(0), w.dim(0)}, w.dtype(), Device::CUDA);
    cuda.linear(rows, w, Tensor(), nullptr, {}, columns);
    Tensor part = result.narrow(0, i, n);
    visit_float(w.dtype(), [&]<class T>() {
      T* const to = part.mutable_data<T>();
      with_packs(channels, channels, static_cast<const T*>(to), [&]<int V>() {
        const auto packs = static_cast<std::uint32_t>(part.numel() / V);
        with_activation(act, [&]<class Op>() {
          launch("conv2d taps", grid_for(packs), dim3(kThreads), add_taps<Op, T, V>, g,
                 columns.data<T>(), bias.defined() ? bias.data<T>() : nullptr, packs,
                 Divider<std::uint32_t>(channels / V), Args<T>(args), to);
        });
      });
    });
  });
}

}  // namespace

void CudaBackend::conv2d(const Tensor& x, const Tensor& w, const Tensor& bias,
                         const ConvGeometry& geometry, const UnaryOp* act, OpArgs args,
                         Tensor& out) {
  const ConvSizes s = conv_sizes(x.shape(), w.shape(), geometry);
  const Gather g = Gather::forward(s, x.strides()[2]);
  if (columns_are_smaller(g, s.c, s.o, w.dtype())) {
    const Tensor m = weight_matrix(*this, w, {2, 3, 0, 1}, {g.taps() * s.o, s.c});
    by_columns(*this, g, x, m, bias, act, args, out);
  } else {
    const Tensor m = weight_matrix(*this, w, {0, 2, 3, 1}, {s.o, g.taps() * s.c});
    by_patches(*this, g, x, m, bias, act, args, out);
  }
}

void CudaBackend::conv2d_backward_data(const Tensor& dout, const Tensor& w,
                                       const ConvGeometry& geometry, Tensor& dx) {
  const ConvSizes s = conv_sizes(dx.shape(), w.shape(), geometry);
  const Gather g = Gather::backward(s);
  if (columns_are_smaller(g, s.o, s.c, w.dtype())) {
    const Tensor m = weight_matrix(*this, w, {2, 3, 1, 0}, {g.taps() * s.c, s.o});
    by_columns(*this, g, dout, m, Tensor(), nullptr, {}, dx);
  } else {
    const Tensor m = weight_matrix(*this, w, {1, 2, 3, 0}, {s.c, g.taps() * s.o});
    by_patches(*this, g, dout, m, Tensor(), nullptr, {}, dx);
  }
}

// dw[o, tap, c] = sum over out's pixels of dout[o] patch[tap, c], or, the same sum, over x's pixels
// of dout's patch[tap, o] x[c].
void CudaBackend::conv2d_backward_weights(const Tensor& x, const Tensor& dout,
                                          const ConvGeometry& geometry, Tensor& dw) {
  const ConvSizes s = conv_sizes(x.shape(), dw.shape(), geometry);
  const bool of_x = s.oh * s.ow * s.c <= s.h * s.w * s.o;
  const Gather g = of_x ? Gather::forward(s, x.strides()[2]) : Gather::backward(s);
  const Tensor &source = of_x ? x : dout, &other = of_x ? dout : x;
  const Tensor rows = pixels_of(other);
  const std::int64_t row = g.taps() * source.dim(3), step = rows_at_a_time(row, dw.dtype());
  Tensor sum;
  in_parts(rows.dim(0), step, [&](std::int64_t i, std::int64_t n) {
    const Tensor patches = patches_of(g, source, i, n), there = rows.narrow(0, i, n);
    Tensor part = Tensor::empty(of_x ? Shape{s.o, row} : Shape{row, s.c}, dw.dtype(), Device::CUDA);
    matmul(of_x ? there.t() : patches.t(), of_x ? patches : there, part);
    if (!sum.defined()) {
      sum = part;
    } else {
      accumulate(sum, part);
    }
  });
  copy(dw, of_x ? sum.reshape({s.o, s.kh, s.kw, s.c}).permute({0, 3, 1, 2})
                : sum.reshape({s.kh, s.kw, s.o, s.c}).permute({2, 3, 0, 1}));
}

}  // namespace nf
