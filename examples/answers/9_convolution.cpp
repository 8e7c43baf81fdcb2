// Answers to the exercises of chapter 9: windows two pixels apart, and the error of Winograd's
// convolutions by their points.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <vector>

#include "tensor/ops.h"
#include "tensor/random.h"

using namespace nf;

/// Exercise 2: the largest difference between conv2d with stride 2 and the product with a view.
static double stride_two(Generator& gen) {
  const Tensor x = normal(gen, {2, 8, 8, 3}, DType::F64), w = normal(gen, {4, 3, 3, 3}, DType::F64);
  const Tensor padded = pad(pad(x, 1, 1, 1), 2, 1, 1);
  const Strides& s = padded.strides();
  Layout windows;
  windows.shape = {2, 4, 4, 3, 3 * 3};
  windows.strides = {s[0], 2 * s[1], 2 * s[2], s[1], 1};
  const Tensor patches = padded.with_layout(windows).reshape({2 * 4 * 4, 27});
  const Tensor product = matmul(patches, w.permute({0, 2, 3, 1}).reshape({4, 27}).t());
  return max(abs(product.reshape({2, 4, 4, 4}) - conv2d(x, w, {}, {2, 1, 1}))).item();
}

struct Matrices {
  Tensor a_t, b_t, g;  // (m, n), (n, n), (n, 3), f32; n = m + 2
};

/// F(m, 3) from m + 1 points and infinity.
static Matrices matrices(const std::vector<double>& points) {
  const std::size_t n = points.size() + 1, m = n - 2;
  std::vector<double> a(m * n), b(n * n), g(n * 3);
  for (std::size_t i = 0; i < n; ++i) {
    const bool infinity = i + 1 == n;
    std::vector<double> polynomial = {1};  // of (x - each other point)
    double slope = 1;
    for (std::size_t k = 0; k + 1 < n; ++k) {
      if (k == i) continue;
      if (!infinity) slope *= points[i] - points[k];
      polynomial.insert(polynomial.begin(), 0);
      for (std::size_t e = 0; e + 1 < polynomial.size(); ++e) {
        polynomial[e] -= points[k] * polynomial[e + 1];
      }
    }
    std::copy(polynomial.begin(), polynomial.end(), &b[i * n]);
    for (std::size_t e = 0; e < m; ++e) {
      a[e * n + i] = infinity ? (e + 1 == m ? 1.0 : 0.0) : std::pow(points[i], double(e));
    }
    for (std::size_t e = 0; e < 3; ++e) {
      g[i * 3 + e] = infinity ? (e == 2 ? 1.0 : 0.0) : std::pow(points[i], double(e)) / slope;
    }
  }
  const auto as_tensor = [](const std::vector<double>& v, std::size_t rows) {
    const auto r = static_cast<std::int64_t>(rows);
    return Tensor::from(v, {r, std::ssize(v) / r});
  };
  return {as_tensor(a, m), as_tensor(b, n), as_tensor(g, n)};
}

/// Y (tiles, m, m) of d (tiles, C, n, n) and g (C, 3, 3), all of one type.
static Tensor outputs(const Matrices& f64, const Tensor& d, const Tensor& g) {
  const auto of = [&](const Tensor& matrix) { return matrix.to(d.dtype()); };
  const Tensor a = of(f64.a_t), b = of(f64.b_t), k = of(f64.g);
  const Tensor u = matmul(matmul(k, g), k.t()), v = matmul(matmul(b, d), b.t());
  return matmul(matmul(a, sum(u * v, {1})), a.t());
}

/// Exercise 3: the error in f32 with 32 channels, over the size of the outputs.
static double error_of(Generator& gen, const std::vector<double>& points) {
  const Matrices way = matrices(points);
  const std::int64_t n = way.b_t.dim(0), m = n - 2;
  const Tensor d = normal(gen, {200, 32, n, n}), g = normal(gen, {32, 3, 3});
  const Tensor image = d.permute({0, 2, 3, 1}).to(DType::F64);
  const Tensor exact = conv2d(image, g.reshape({1, 32, 3, 3}).to(DType::F64), {}, {});
  const Tensor off = outputs(way, d, g).to(DType::F64) - exact.reshape({200, m, m});
  return std::sqrt(mean(square(off)).item() / mean(square(exact)).item());
}

int main() {
  Generator gen(/*seed=*/1);
  const double far = stride_two(gen);
  std::printf("stride 2 and its view: %s\n", far < 1e-12 ? "equal, but for rounding" : "differ");
  const double two = error_of(gen, {0, 1, -1});
  const double usual = error_of(gen, {0, 1, -1, 2, -2});
  const double ours = error_of(gen, {0, .625, -.625, 1.5, -1.5});
  const double six = error_of(gen, {0, 1, -1, 2, -2, .5, -.5});
  std::printf("F(2x2, 3x3)  16 for  4 outputs, error %.1e\n", two);
  std::printf("F(4x4, 3x3)  36 for 16 outputs, error %.1e; with our points %.1e\n", usual, ours);
  std::printf("F(6x6, 3x3)  64 for 36 outputs, error %.1e\n", six);
  return far < 1e-12 && two < ours && ours < usual && usual < six && six < 1e-4 ? 0 : 1;
}
