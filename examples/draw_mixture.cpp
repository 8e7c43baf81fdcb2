// Draws what one map of a number can do: data with two peaks, through an affine map and through
// that of a mixture of logistics, in front of a Gaussian. Chapter 11 of the book shows the picture.
#include <cmath>
#include <cstdio>
#include <numbers>

#include "data/svg.h"
#include "examples/picture.h"
#include "flows/base.h"
#include "flows/maps/affine.h"
#include "flows/maps/mixture.h"
#include "tensor/random.h"

using namespace nf;

constexpr double kWeight = 0.6, kMeans[] = {-2, 1.5}, kDeviations[] = {0.5, 0.4};

/// ln p(x) of x (N, 1): the map's parameters are the same for all rows.
static Tensor log_density(const flows::ElementwiseMap& map, const std::vector<double>& parameters,
                          const Tensor& x) {
  const std::int64_t count = std::ssize(parameters);
  const Tensor all = Tensor::from(parameters, {1, count}).broadcast_to({x.dim(0), count});
  const auto [z, log_det] = map.forward(x, all);
  return (flows::StandardNormal().log_prob(z) + log_det).value();
}

/// ln of the true density of x (N, 1).
static Tensor log_truth(const Tensor& x) {
  Tensor density = x.zeros_like();
  for (const int i : {0, 1}) {
    const double weight = (i == 0 ? kWeight : 1 - kWeight) / kDeviations[i];
    density = density + exp(-0.5 * square((x - kMeans[i]) / kDeviations[i])) * weight;
  }
  return log(density / std::sqrt(2 * std::numbers::pi));
}

int main(int argc, char** argv) {
  constexpr std::int64_t kRows = 20000;
  Generator gen(/*seed=*/1);
  const Tensor first =
      less(uniform(gen, {kRows, 1}, DType::F64), Tensor::full({1, 1}, kWeight, DType::F64));
  const Tensor noise = normal(gen, {kRows, 1}, DType::F64);
  const Tensor x =
      where(first, noise * kDeviations[0] + kMeans[0], noise * kDeviations[1] + kMeans[1]);

  // (m, s) of the best Gaussian. Of the mixture a, b, then logits of the weights, means, raw log
  // scales: a logistic of deviation d has the scale d sqrt(3) / pi. The map adds -1 and 1 to the
  // means.
  const std::vector<double> gaussian = {mean(x).item(), 0.5 * std::log(variance(x).item())};
  const double ratio = std::sqrt(3.0) / std::numbers::pi;
  const auto raw = [](double value, double limit) { return limit * std::atanh(value / limit); };
  const std::vector<double> mixture = {raw(std::log(ratio), 2),
                                       0,
                                       std::log(kWeight / (1 - kWeight)),
                                       0,
                                       kMeans[0] + 1,
                                       kMeans[1] - 1,
                                       raw(std::log(kDeviations[0] * ratio), 7),
                                       raw(std::log(kDeviations[1] * ratio), 7)};
  const auto affine = flows::gaussian_map(), bent = flows::mixture_map(2);

  const Tensor at = ((Tensor::arange(400, DType::F64) + 0.5) / 50 - 4.5).reshape({400, 1});
  const auto curve = [&](const std::string& name, const Tensor& log_p) {
    return data::Series{name, at.to_vector<double>(), exp(log_p).to_vector<double>()};
  };
  const char* path = argc > 1 ? argv[1] : "mixture.svg";
  data::write_curve_svg(path, {"Two peaks", "x", "density", /*whole_range=*/true},
                        {histogram("data", x.to_vector<double>(), -4.5, 3.5, 64),
                         curve("an affine map", log_density(*affine, gaussian, at)),
                         curve("a mixture of 2", log_density(*bent, mixture, at))});
  const double by_affine = mean(log_density(*affine, gaussian, x)).item();
  const double by_mixture = mean(log_density(*bent, mixture, x)).item();
  const double truth = mean(log_truth(x)).item();
  std::printf("an affine map %.3f nats, a mixture of 2 %.3f, the true density %.3f\nwrote %s\n",
              by_affine, by_mixture, truth, path);
  return by_affine < by_mixture - 0.5 && by_mixture < truth && by_mixture > truth - 0.05 ? 0 : 1;
}
