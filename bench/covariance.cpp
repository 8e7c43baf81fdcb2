// What the covariance of a whitening layer costs, and how right it is: products in f32, in f32 by
// parts that are added in f64, and in f64 (flows/layers/whitening.cpp), of rows like dequantised
// images.
//
//   nf_bench_covariance [DIMS [ROWS]]
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "bench/guarded.h"
#include "tensor/clock.h"
#include "tensor/linalg.h"
#include "tensor/ops.h"
#include "tensor/random.h"

namespace {

using namespace nf;

constexpr std::int64_t kPart = 4096;

double processor_seconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

/// visit(part) for x in parts of kPart rows.
void for_parts(const Tensor& x, const auto& visit) {
  for (std::int64_t at = 0; at < x.dim(0); at += kPart) {
    visit(x.narrow(0, at, std::min(kPart, x.dim(0) - at)));
  }
}

/// Pixels in [0, 1]: a few common causes, and noise of one level of 256.
Tensor images(std::int64_t rows, std::int64_t dims) {
  constexpr std::int64_t kCauses = 12;
  Generator gen(1);
  const Tensor mix = normal(gen, {kCauses, dims}) * 0.6;
  Tensor x = Tensor::empty({rows, dims});
  for_parts(x, [&](Tensor part) {
    const std::int64_t n = part.dim(0);
    const Tensor causes = normal(gen, {n, kCauses}), noise = uniform(gen, {n, dims}) / 256.0;
    part.copy_(sigmoid(matmul(causes, mix)) + noise);
  });
  return x;
}

Tensor covariance(const Tensor& x, const Tensor& mean, DType products, bool whole) {
  const auto product = [&](const Tensor& rows) {
    const Tensor centred = rows.to(products) - mean.to(products);
    return matmul(centred.t(), centred).to(DType::F64);
  };
  if (whole) return product(x) / static_cast<double>(x.dim(0));
  Tensor sum = Tensor::zeros({x.dim(1), x.dim(1)}, DType::F64);
  for_parts(x, [&](const Tensor& part) { sum.add_(product(part)); });
  return sum / static_cast<double>(x.dim(0));
}

}  // namespace

static int run(int argc, char** argv) {
  const std::int64_t dims = argc > 1 ? std::atoll(argv[1]) : 784;
  const std::int64_t rows = argc > 2 ? std::atoll(argv[2]) : 50'000;
  const Tensor x = images(rows, dims);
  Tensor mean = Tensor::zeros({dims}, DType::F64);
  for_parts(x, [&](const Tensor& part) { mean.add_(sum(part.to(DType::F64), {0})); });
  mean = mean / static_cast<double>(rows);
  const auto timed = [&](const char* name, DType products, bool whole) {
    const double begun = seconds_now(), worked = processor_seconds();
    const Tensor result = covariance(x, mean, products, whole);
    std::printf("%-24s %8.2f s, %8.2f s of processor\n", name, seconds_now() - begun,
                processor_seconds() - worked);
    return result;
  };
  const Tensor f32 = timed("f32", DType::F32, true);
  const Tensor parts = timed("f32 parts, added in f64", DType::F32, false);
  const Tensor f64 = timed("f64 parts", DType::F64, false);
  const Tensor deviation = sqrt(sum(f64 * Tensor::eye(dims, DType::F64), {1}));
  const Tensor size = deviation.reshape({dims, 1}) * deviation.reshape({1, dims});
  const auto log_det = [](const Tensor& c) { return -0.5 * slogdet(c).logdet.item(); };
  for (const auto& [name, c] : {std::pair{"f32", &f32}, {"f32 parts", &parts}}) {
    std::printf("%-24s largest error %.2g of the deviations' product, log|det W| wrong by %.2g\n",
                name, max(abs((*c - f64) / size)).item(), log_det(*c) - log_det(f64));
  }
  return 0;
}

int main(int argc, char** argv) {
  return nf::guarded("nf_bench_covariance", [&] { return run(argc, argv); });
}
