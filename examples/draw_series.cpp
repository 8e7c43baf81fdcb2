// Draws how a power series comes near the log-determinant of I + A for matrices of norm 0.5, 0.9
// and 0.98, and compares it with an estimate that ends at random. Chapter 16 of the book shows the
// picture.
#include <cmath>
#include <cstdio>

#include "data/svg.h"
#include "tensor/linalg.h"
#include "tensor/ops.h"
#include "tensor/random.h"

using namespace nf;

constexpr std::int64_t kDims = 8;
constexpr int kTerms = 60;
constexpr double kGoesOn = 0.9;

/// A symmetric matrix whose largest singular value is `norm`.
static Tensor matrix_of_norm(double norm) {
  Generator gen(/*seed=*/1);
  const Tensor some = normal(gen, {kDims, kDims}, DType::F64), a = some + some.transpose(0, 1);
  Tensor v = Tensor::ones({kDims, 1}, DType::F64);
  double sigma = 0;
  for (int i = 0; i < 1000; ++i) {  // power iterations, as in nn/layers/spectral.cpp
    const Tensor next = matmul(a, matmul(a, v));
    sigma = std::sqrt(std::sqrt(sum(square(next)).item()));
    v = next / (sigma * sigma);
  }
  return a * (norm / sigma);
}

/// Estimates of v^T A^k v of random v of -1 and 1 (N, D), for k = 1, 2, ...
class Traces {
 public:
  Traces(const Tensor& a, const Tensor& v) : a_(a), v_(v), power_(v) {}
  Tensor next() {
    power_ = matmul(power_, a_);
    return sum(power_ * v_, {1});
  }

 private:
  Tensor a_, v_, power_;
};

/// Term k is there with probability kGoesOn^(k - 1), and is then divided by it. The mean of many
/// estimates, and its standard error.
static std::pair<double, double> roulette(const Tensor& a) {
  constexpr std::int64_t kDraws = 50'000;
  constexpr int kMost = 150;
  Generator gen(/*seed=*/2);
  const Tensor half = Tensor::full({}, 0.5, DType::F64);
  const Tensor heads = less(uniform(gen, {kDraws, kDims}, DType::F64), half);
  const Tensor chance = uniform(gen, {kDraws}, DType::F64);
  Traces traces(a, heads.to(DType::F64) * 2 - 1);
  Tensor estimates = Tensor::zeros({kDraws}, DType::F64);
  for (int k = 1; k <= kMost; ++k) {
    const double there = std::pow(kGoesOn, k - 1), sign = k % 2 == 1 ? 1 : -1;
    const Tensor goes_on = less(chance, Tensor::full({}, there, DType::F64)).to(DType::F64);
    estimates = estimates + traces.next() * goes_on * (sign / (k * there));
  }
  return {mean(estimates).item(), std::sqrt(variance(estimates).item() / kDraws)};
}

int main(int argc, char** argv) {
  std::vector<data::Series> curves;
  bool right = true;
  for (const double norm : {0.5, 0.9, 0.98}) {
    const Tensor a = matrix_of_norm(norm);
    const double exact = slogdet(Tensor::eye(kDims, DType::F64) + a).logdet.item();

    // One basis vector after the other as v: the trace itself.
    Traces traces(a, Tensor::eye(kDims, DType::F64));
    data::Series error{str("norm ", norm), {}, {}};
    double series = 0, of_five = 0;
    for (int k = 1; k <= kTerms; ++k) {
      series += (k % 2 == 1 ? 1.0 : -1.0) / k * sum(traces.next()).item();
      if (k == 5) of_five = series;
      error.x.push_back(k);
      error.y.push_back(std::log10(std::abs(series - exact)));
    }
    curves.push_back(error);

    const auto [value, se] = roulette(a);
    std::printf("norm %.2f: ln det %.4f; 5 terms %.4f; roulette %.4f +- %.4f\n", norm, exact,
                of_five, value, se);
    if (norm * norm < kGoesOn) right = right && std::abs(value - exact) < 4 * se;
  }
  const char* path = argc > 1 ? argv[1] : "series.svg";
  data::write_curve_svg(path, {"Error of a series, nats", "terms", "log10", /*whole_range=*/true},
                        curves);
  std::printf("wrote %s\n", path);
  return right ? 0 : 1;
}
