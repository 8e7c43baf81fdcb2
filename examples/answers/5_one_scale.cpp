// Answer to exercise 1 of chapter 5: what one scale for all pixels costs, pixel by pixel.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "data/png.h"
#include "data/source.h"
#include "tensor/files.h"
#include "tensor/ops.h"

using namespace nf;

int main(int argc, char** argv) {
  const data::Dataset glyphs = data::load("glyphs", {.train = 10000, .valid = 1, .test = 1});
  const Tensor x = glyphs.train.x.to(DType::F64) / 256;  // (N, 784)
  const Tensor noise = Tensor::full({784}, 1 / (12 * 256.0 * 256), DType::F64);
  const Tensor variance = mean(square(x - mean(x, {0}, true)), {0}) + noise;  // of (v + u) / 256
  const Tensor common = mean(variance);

  // A Gaussian of variance c^2 instead of sigma^2 loses ln(c / sigma) + sigma^2 / (2 c^2) - 1/2
  // nats on numbers of variance sigma^2. Over all pixels the last two terms cancel.
  const Tensor ratio = variance / common;
  const Tensor lost = -0.5 * log(ratio) + 0.5 * ratio - 0.5;  // (784)
  const double total = sum(lost).item();
  std::printf("sigma from %.4f to %.4f; one scale for all: %.4f\n", std::sqrt(min(variance).item()),
              std::sqrt(max(variance).item()), std::sqrt(common.item()));
  std::printf("it costs %.1f nats of 784 pixels, %.2f bits/dim\n", total,
              total / (784 * std::log(2)));

  auto by_pixel = lost.to_vector<double>();
  const auto black =
      std::count_if(by_pixel.begin(), by_pixel.end(), [](double v) { return v > 4; });
  double share = 0;
  for (const double v : by_pixel) share += v > 4 ? v / total : 0;
  std::printf("%lld pixels lose more than 4 nats each, together %.0f %% of it\n",
              static_cast<long long>(black), 100 * share);

  // Each pixel as a square of 8 x 8: a view of stride 0, copied once.
  const Tensor squares =
      (lost / max(lost)).reshape({28, 1, 28, 1}).broadcast_to({28, 8, 28, 8}).reshape({224, 224});
  const char* path = argc > 1 ? argv[1] : "one-scale.png";
  atomic_write(path, data::heat_png(squares));
  std::printf("wrote %s\n", path);
  return total > 500 && share > 0.5 ? 0 : 1;
}
