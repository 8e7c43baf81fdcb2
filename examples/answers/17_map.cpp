// Answers to exercises of chapter 17: what a Parzen window likes, and what a test of two samples
// sees.
#include "examples/zoo/zoo.h"

using namespace nf;

constexpr std::int64_t kDims = 50;

/// Nats of the window, its width the best of ten, as the programs of examples/zoo have it.
static double window(const Tensor& samples, const Tensor& valid, const Tensor& test) {
  return zoo::parzen(samples, valid, test).nats.mean;
}

/// The data are standard Gaussian, so the truth is known: -ln p is D/2 ln(2 pi e) on average.
static bool windows() {
  Generator gen(/*seed=*/1);
  const auto draw = [&](std::int64_t n) { return normal(gen, {n, kDims}); };
  const Tensor valid = draw(1000), test = draw(2000);
  const double truth = -0.5 * static_cast<double>(kDims) * std::log(2 * M_PI * M_E);
  const double exact = window(draw(10000), valid, test),
               less = window(draw(10000) * 0.5, valid, test),
               mean = window(Tensor::zeros({1, kDims}), valid, test);
  std::printf("ln p of the data on average    %.1f nats\n", truth);
  std::printf("window of 10000 exact draws    %.1f\n", exact);
  std::printf("window of draws, halved        %.1f\n", less);
  std::printf("window of the mean, one point  %.1f\n", mean);
  return exact < truth - 5 && less > exact + 1 && mean > less && std::abs(mean - truth) < 1;
}

/// Points around the first `peaks` of eight places on a circle, (N, 2).
static Tensor points(Generator& gen, std::int64_t n, int peaks) {
  const Tensor angle =
      clamped_indices(uniform(gen, {n, 1}) * static_cast<double>(peaks), peaks).to(DType::F32) *
      (M_PI / 4);
  return concat(std::vector<Tensor>{cos(angle), sin(angle)}, 1) * 3.0 + normal(gen, {n, 2}) * 0.3;
}

/// Two samples of n rows: the one of all eight places, the other of seven or of eight.
static bool tests() {
  Generator gen(/*seed=*/2);
  bool right = true;
  for (const std::int64_t n : {50, 200, 800}) {
    const Tensor data = points(gen, n, 8), scale = flows::deviations(points(gen, 2000, 8));
    const auto p = [&](int peaks) {
      return flows::two_sample_test(points(gen, n, peaks), data, scale).p_value;
    };
    const double seven = p(7), eight = p(8);
    std::printf("%3d rows: p %.3f of seven places, %.3f of all eight\n", static_cast<int>(n), seven,
                eight);
    right = right && eight > 0.01 && (n < 800 || seven < 0.01);
  }
  return right;
}

int main() {
  const bool all = windows();
  return tests() && all ? 0 : 1;
}
