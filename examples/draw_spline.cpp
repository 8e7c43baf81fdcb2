// Draws a rational-quadratic spline, its slope, and what it makes of a Gaussian. Chapter 13 of the
// book shows the picture.
#include <cmath>
#include <cstdio>

#include "data/svg.h"
#include "flows/base.h"
#include "flows/maps/spline.h"
#include "tensor/spline.h"

using namespace nf;

constexpr int kBins = 4;
constexpr double kBound = 3;

/// Where the bins of a side begin and end, from its logits.
static std::vector<double> knots(const double* logits) {
  const spline::Scale<double> scale(kBins, kBound);
  double total = 0, before = 0;
  for (int k = 0; k < kBins; ++k) total += std::exp(logits[k]);
  std::vector<double> at;
  for (int k = 0; k <= kBins; ++k) {
    at.push_back(scale.begin(k, before));
    if (k < kBins) before += std::exp(logits[k]) / total;
  }
  return at;
}

/// A small square around each point.
static data::Series squares(const std::string& name, const std::vector<double>& x,
                            const std::vector<double>& y) {
  constexpr double kHalf = 0.06;
  data::Series out{name, {}, {}};
  for (std::size_t i = 0; i < x.size(); ++i) {
    for (const auto& [dx, dy] : {std::pair{-1, -1}, {-1, 1}, {1, 1}, {1, -1}, {-1, -1}}) {
      out.x.push_back(x[i] + dx * kHalf);
      out.y.push_back(y[i] + dy * kHalf);
    }
    out.x.push_back(NAN);
    out.y.push_back(NAN);
  }
  return out;
}

int main(int argc, char** argv) {
  // Logits of 4 widths, 4 heights, 3 slopes: a flat bin in the middle, steep ones beside it.
  const std::vector<double> parameters = {0.5, -0.5, -0.5, 0.5, -0.6, 0.3,
                                          0.8, -0.5, -1,   1.5, -0.5};
  const auto map = flows::spline_map(kBins, kBound);
  const Tensor x = ((Tensor::arange(800, DType::F64) + 0.5) / 100 - 4.0).reshape({800, 1});
  const Tensor all = Tensor::from(parameters, {1, map->parameters_per_dim()})
                         .broadcast_to({800, map->parameters_per_dim()})
                         .contiguous();
  const auto [z, log_det] = map->forward(x, all);
  const Tensor log_density = (flows::StandardNormal().log_prob(z) + log_det).value();
  const Tensor back = map->inverse(z.value(), all).value.value();

  const std::vector<double> at = x.to_vector<double>();
  const char* path = argc > 1 ? argv[1] : "spline.svg";
  data::write_curve_svg(
      path, {"A spline of 4 bins", "x", "", /*whole_range=*/true},
      {{"z", at, z.value().to_vector<double>()},
       squares("knots", knots(parameters.data()), knots(parameters.data() + kBins)),
       {"its slope", at, exp(log_det.value()).to_vector<double>()},
       {"density of x, 5 times", at, (exp(log_density) * 5).to_vector<double>()}});
  const double mass = sum(exp(log_density)).item() * 0.01, off = max(abs(back - x)).item();
  std::printf("the density's integral %.3f, the inverse comes back to within 1e-9: %s\nwrote %s\n",
              mass, off < 1e-9 ? "yes" : "no", path);
  return std::abs(mass - 1) < 1e-3 && off < 1e-9 ? 0 : 1;
}
