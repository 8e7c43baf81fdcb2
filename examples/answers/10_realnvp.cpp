// Answers to exercises of chapter 10: how far from the origin the manifold of four points lies, and
// what batch norm makes of one image among others.
#include <cmath>
#include <cstdio>
#include <numbers>

#include "flows/layers/batch_norm.h"
#include "tensor/random.h"

using namespace nf;

static double length(const Tensor& x) { return std::sqrt(sum_squares(x).item()); }

/// Exercise 2: the length of the middle of four draws, by equation 19 and by the mean.
static bool four_points(Generator& gen) {
  constexpr std::int64_t kDims = 3072;
  const Tensor z = normal(gen, {4, kDims}, DType::F64);
  const auto point = [&](double phi, double psi) {
    const Tensor weights =
        Tensor::from<double>({std::cos(phi) * std::cos(psi), std::cos(phi) * std::sin(psi),
                              std::sin(phi) * std::cos(psi), std::sin(phi) * std::sin(psi)},
                             {1, 4});
    return matmul(weights, z);
  };
  const double half = std::numbers::pi / 4;
  const double usual = std::sqrt(static_cast<double>(kDims));
  const double equation = length(point(half, half)) / usual, line = length(mean(z, {0})) / usual;
  std::printf("the middle of four draws lies at %.2f of the usual distance by equation 19,\n",
              equation);
  std::printf("                                %.2f by the mean\n", line);
  return std::abs(equation - 1) < 0.05 && std::abs(line - 0.5) < 0.05;
}

/// Exercise 3: z and log_det of the first row, among these.
static std::pair<double, double> first_among(flows::BatchNorm& layer, const Tensor& x) {
  const auto [z, log_det] = layer.forward(x);
  return {z.value().narrow(0, 0, 1).narrow(1, 1, 1).item(), log_det.value().narrow(0, 0, 1).item()};
}

static bool batch_norm(Generator& gen) {
  flows::BatchNorm layer(flows::Partition::halves(2));
  const Tensor rows = 3 * normal(gen, {1000, 2}) + 5;
  const Tensor row = Tensor::from<float>({5, 8}, {1, 2});
  const auto with = [&](std::int64_t first, std::int64_t count) {
    return concat(std::vector<Tensor>{row, rows.narrow(0, first, count)}, 0);
  };
  const auto [z_a, d_a] = first_among(layer, with(0, 7));
  const auto [z_b, d_b] = first_among(layer, with(7, 7));
  std::printf("train mode, one batch:      z %.3f  log_det %.3f\n", z_a, d_a);
  std::printf("            another:        z %.3f  log_det %.3f\n", z_b, d_b);
  {
    nn::StatisticsPass pass;
    for (std::int64_t at = 0; at < 1000; at += 250) {
      pass.next_batch();
      layer.forward(rows.narrow(0, at, 250));
    }
  }
  layer.eval();
  const auto [z_c, d_c] = first_among(layer, with(0, 7));
  const auto [z_d, d_d] = first_among(layer, with(7, 7));
  std::printf("statistics of all, one:     z %.3f  log_det %.3f\n", z_c, d_c);
  std::printf("                   another: z %.3f  log_det %.3f\n", z_d, d_d);
  return z_a != z_b && d_a != d_b && z_c == z_d && d_c == d_d && std::abs(z_c - 1) < 0.1;
}

int main() {
  Generator gen(/*seed=*/1);
  const bool four = four_points(gen), norm = batch_norm(gen);
  return four && norm ? 0 : 1;
}
