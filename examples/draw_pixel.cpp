// Draws one pixel of 10000 digits with noise added to its levels, and the best Gaussian for it;
// counts the bits that both need. Chapter 7 of the book shows the picture.
#include <cmath>
#include <cstdio>
#include <memory>
#include <numbers>

#include "data/source.h"
#include "data/svg.h"
#include "flows/compose.h"
#include "flows/flow_density.h"
#include "flows/layers/dequantize.h"
#include "flows/layers/scaling.h"
#include "flows/train/evaluate.h"

using namespace nf;

constexpr int kLevels = 8;  // 3 bits instead of 8: few enough to be seen

int main(int argc, char** argv) {
  const data::Dataset glyphs = data::load("glyphs", {.train = 10000, .valid = 1, .test = 1});
  const Tensor column = glyphs.train.x.narrow(1, 9 * 28 + 14, 1);  // row 9, column 14
  auto levels = column.to(DType::F64).to_vector<double>();
  for (double& level : levels) level = std::floor(level * kLevels / 256);
  const Tensor v = Tensor::from<double>(levels, {column.dim(0), 1});

  // P(v) is how often the level occurs. The noisy pixel v + u has the density P(v) on [v, v + 1).
  std::vector<double> share(kLevels, 0.0);
  for (const double level : levels) {
    share[static_cast<std::size_t>(level)] += 1 / static_cast<double>(levels.size());
  }
  double entropy = 0;
  data::Series steps{"the noisy pixel", {}, {}};
  for (int level = 0; level < kLevels; ++level) {
    const double p = share[static_cast<std::size_t>(level)];
    if (p > 0) entropy -= p * std::log2(p);
    steps.x.insert(steps.x.end(), {double(level), double(level + 1)});
    steps.y.insert(steps.y.end(), 2, p);
  }

  // The Gaussian with the mean and the deviation of v + u, as a flow: noise, then one scale.
  const double centre = mean(v).item() + 0.5;
  const double deviation = std::sqrt(mean(square(v - mean(v))).item() + 1.0 / 12);
  auto flow = std::make_shared<flows::Compose>();
  flow->add("dequantize", std::make_shared<flows::Dequantize>(Generator(1), kLevels));
  flow->add("scale", std::make_shared<flows::Scale>(1 / deviation, -centre / deviation));
  flows::FlowDensity gaussian(flow, std::make_shared<flows::StandardNormal>(), 1);
  const Tensor x = Tensor::arange(401, DType::F64) / 400 * (kLevels + 2) - 1;
  const Tensor curve = exp(gaussian.continuous()->log_prob(x.reshape({401, 1})).value());

  // P(v) of the Gaussian is its integral over [v, v + 1), by its distribution function.
  double exact = 0;
  for (int level = 0; level < kLevels; ++level) {
    const auto below = [&](double at) {
      return 0.5 * std::erfc((centre - at) / (deviation * std::numbers::sqrt2));
    };
    exact -= share[static_cast<std::size_t>(level)] * std::log2(below(level + 1) - below(level));
  }
  const auto bound = [&](int draws) {
    return evaluate(gaussian, v, {.noise_draws = draws, .importance = true}).bits_per_dim;
  };
  const double one = bound(1), ten = bound(10);
  std::printf("uniform levels               %.4f bits\n", std::log2(kLevels));
  std::printf("the Gaussian, 1 noise draw   %.4f\n", one);
  std::printf("              10 draws       %.4f\n", ten);
  std::printf("              the integral   %.4f\n", exact);
  std::printf("the entropy of the levels    %.4f\n", entropy);

  const char* path = argc > 1 ? argv[1] : "pixel.svg";
  data::write_curve_svg(
      path, {"A pixel of 8 levels", "level + noise", "density", /*whole_range=*/true},
      {steps, {"the best Gaussian", x.to_vector<double>(), curve.to_vector<double>()}});
  std::printf("wrote %s\n", path);
  return one > ten && ten > exact && exact > entropy ? 0 : 1;
}
