// Winograd's convolution: 4 multiplications for 2 outputs of 3 taps, 16 for 2 x 2 outputs of 3 x 3,
// and what the 36 for 4 x 4, which the CPU's kernels take, cost in accuracy. Chapter 9 of the book.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "tensor/conv.h"
#include "tensor/ops.h"
#include "tensor/random.h"

using namespace nf;

/// F(2, 3): y[i] = d[i] g[0] + d[i + 1] g[1] + d[i + 2] g[2] for i = 0, 1.
static void two_outputs(const double* d, const double* g, double* y) {
  const double even = (g[0] + g[2]) / 2, odd = g[1] / 2;  // once for all pixels
  const double m0 = (d[0] - d[2]) * g[0];
  const double m1 = (d[1] + d[2]) * (even + odd);
  const double m2 = (d[2] - d[1]) * (even - odd);
  const double m3 = (d[1] - d[3]) * g[2];
  y[0] = m0 + m1 + m2;
  y[1] = m1 - m2 - m3;
}

static const Tensor kBt = Tensor::from<double>({1, 0, -1, 0,  //
                                                0, 1, 1, 0,   //
                                                0, -1, 1, 0,  //
                                                0, 1, 0, -1},
                                               {4, 4});
static const Tensor kG = Tensor::from<double>({1, 0, 0, .5, .5, .5, .5, -.5, .5, 0, 0, 1}, {4, 3});
static const Tensor kAt = Tensor::from<double>({1, 1, 1, 0, 0, 1, -1, -1}, {2, 4});

/// F(2 x 2, 3 x 3): the same for rows and columns. d (4, 4), g (3, 3), the result (2, 2).
static Tensor four_outputs(const Tensor& d, const Tensor& g) {
  const Tensor u = matmul(matmul(kG, g), kG.t());    // (4, 4)
  const Tensor v = matmul(matmul(kBt, d), kBt.t());  // (4, 4)
  return matmul(matmul(kAt, u * v), kAt.t());        // 16 multiplications in the middle
}

/// The root mean square of the error against f64, over that of the outputs.
static double error_of(Winograd way, const Tensor& x, const Tensor& w, const Tensor& exact) {
  set_winograd(way);
  const Tensor out = conv2d(x, w, {}, {.stride = 1, .pad_h = 1, .pad_w = 1});
  set_winograd({});
  return std::sqrt(mean(square(out.to(DType::F64) - exact)).item() / mean(square(exact)).item());
}

int main() {
  Generator gen(/*seed=*/1);
  double worst = 0;
  {
    const Tensor numbers = normal(gen, {7}, DType::F64);
    const double *d = numbers.data<double>(), *g = d + 4;
    double y[2];
    two_outputs(d, g, y);
    for (int i = 0; i < 2; ++i) {
      worst = std::max(worst, std::abs(y[i] - d[i] * g[0] - d[i + 1] * g[1] - d[i + 2] * g[2]));
    }
    std::printf("F(2, 3): 2 outputs, 4 multiplications in place of 6: %s\n",
                worst < 1e-14 ? "the same" : "another result");
  }
  const Tensor d = normal(gen, {4, 4}, DType::F64), g = normal(gen, {3, 3}, DType::F64);
  const Tensor direct =
      conv2d(d.reshape({1, 4, 4, 1}), g.reshape({1, 1, 3, 3}), {}, {}).reshape({2, 2});
  worst = std::max(worst, max(abs(four_outputs(d, g) - direct)).item());
  std::printf("F(2x2, 3x3): 4 outputs, 16 in place of 36: %s\n",
              worst < 1e-13 ? "the same" : "another result");

  bool holds = worst < 1e-13;
  for (const std::int64_t channels : {32, 128}) {
    const Tensor x = normal(gen, {1, 32, 32, channels});
    const Tensor w = normal(gen, {channels, channels, 3, 3});
    const Tensor exact = conv2d(x.to(DType::F64), w.to(DType::F64), {}, {1, 1, 1});
    const double plain = error_of(Winograd::Off, x, w, exact);
    const double saved = error_of(Winograd::On, x, w, exact);
    std::printf("F(4x4, 3x3) in f32, %lld channels: error %.0e, direct %.0e, %.1f times\n",
                static_cast<long long>(channels), saved, plain, saved / plain);
    holds = holds && saved < 4e-6 && saved < 4 * plain;
  }
  return holds ? 0 : 1;
}
