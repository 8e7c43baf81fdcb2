// A convolution three times: by seven loops, as a product with patches, and by conv2d. Then both
// of its gradients, once more by convolutions and products. Chapter 9 of the book goes through it.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "autograd/functions.h"
#include "tensor/clock.h"
#include "tensor/random.h"

using namespace nf;
using Index = std::int64_t;

constexpr Index kImages = 4, kSide = 32, kIn = 32, kOut = 32, kKernel = 3, kPad = 1;

/// x (N, H, W, C) and w (O, C, kh, kw) to out (N, H, W, O), by the definition.
static Tensor seven_loops(const Tensor& images, const Tensor& weights) {
  Tensor out = Tensor::zeros({kImages, kSide, kSide, kOut});
  const float *x = images.data<float>(), *w = weights.data<float>();
  float* to = out.mutable_data<float>();
  for (Index n = 0; n < kImages; ++n)
    for (Index i = 0; i < kSide; ++i)
      for (Index j = 0; j < kSide; ++j)
        for (Index o = 0; o < kOut; ++o, ++to)
          for (Index ky = 0; ky < kKernel; ++ky)
            for (Index kx = 0; kx < kKernel; ++kx) {
              const Index y = i - kPad + ky, column = j - kPad + kx;
              if (y < 0 || y >= kSide || column < 0 || column >= kSide) continue;
              const float* pixel = x + ((n * kSide + y) * kSide + column) * kIn;
              for (Index c = 0; c < kIn; ++c)
                *to += w[((o * kIn + c) * kKernel + ky) * kKernel + kx] * pixel[c];
            }
  return out;
}

/// im2col: (N H W, kh kw C), a row for each window. The windows themselves, (N, H, W, kh, kw C),
/// are a view of the padded images, the same elements in many windows; reshape() stores them.
static Tensor patches_of(const Tensor& x) {
  const Tensor padded = pad(pad(x, 1, kPad, kPad), 2, kPad, kPad);
  const Strides& s = padded.strides();
  Layout windows;
  windows.shape = {kImages, kSide, kSide, kKernel, kKernel * kIn};
  windows.strides = {s[0], s[1], s[2], s[1], 1};
  const Tensor view = padded.with_layout(windows);
  return view.reshape({kImages * kSide * kSide, kKernel * kKernel * kIn});
}

/// w (O, C, kh, kw) as the matrix (O, kh kw C) that belongs to patches.
static Tensor as_matrix(const Tensor& w) {
  return w.permute({0, 2, 3, 1}).reshape({kOut, kKernel * kKernel * kIn});
}

static bool holds = true;
static void compare(const char* what, const Tensor& a, const Tensor& b) {
  const double far = max(abs(a - b)).item() / std::sqrt(mean(square(b)).item());
  std::printf("%-42s %s\n", what, far < 1e-4 ? "equal, but for rounding" : "differ");
  holds = holds && far < 1e-4;
}

template <class Run>
static Tensor timed(const char* name, double flops, const Run& run) {
  run();
  const double start = seconds_now();
  const Tensor out = run();
  const double seconds = seconds_now() - start;
  std::printf("%-12s %9.2f ms %9.2f GFLOP/s\n", name, seconds * 1e3, flops / seconds * 1e-9);
  return out;
}

int main() {
  Generator gen(/*seed=*/1);
  const Tensor x = normal(gen, {kImages, kSide, kSide, kIn});
  const Tensor w = normal(gen, {kOut, kIn, kKernel, kKernel});
  const ConvGeometry geometry{.stride = 1, .pad_h = kPad, .pad_w = kPad};
  const Shape shape = {kImages, kSide, kSide, kOut};
  const double flops = 2.0 * kKernel * kKernel * kIn * static_cast<double>(shape.numel());

  const Tensor loops = timed("seven loops", flops, [&] { return seven_loops(x, w); });
  const Tensor product = timed(
      "im2col", flops, [&] { return matmul(patches_of(x), as_matrix(w).t()).reshape(shape); });
  const Tensor ours = timed("conv2d", flops, [&] { return conv2d(x, w, {}, geometry); });
  std::printf("numbers: x %lld, patches %lld, out %lld\n", static_cast<long long>(x.numel()),
              static_cast<long long>(patches_of(x).numel()), static_cast<long long>(ours.numel()));
  compare("seven loops and im2col", product, loops);
  compare("seven loops and conv2d", ours, loops);

  const Tensor dout = normal(gen, shape);
  const Tensor dx = conv2d_backward_data(dout, w, x.shape(), geometry);
  const Tensor turned = w.flip(2).flip(3).transpose(0, 1).contiguous();  // (C, O, kh, kw)
  compare("dx and a convolution of dout", conv2d(dout, turned, {}, geometry), dx);
  const Tensor dw = conv2d_backward_weights(x, dout, w.shape(), geometry);
  const Tensor rows = dout.reshape({kImages * kSide * kSide, kOut});
  compare("dw and the product of dout with patches", matmul(rows.t(), patches_of(x)),
          as_matrix(dw));
  const double through_x = sum(dx * x).item(), through_w = sum(dw * w).item();
  const double direct = sum(dout * ours).item();
  const bool adjoint = std::abs(through_x - direct) + std::abs(through_w - direct) < 0.1;
  std::printf("<dout, conv(x, w)> = <dx, x> = <dw, w>: %s\n", adjoint ? "yes" : "no");
  return holds && adjoint ? 0 : 1;
}
