#include "flows/examine/sphere.h"

#include <cmath>
#include <numbers>
#include <vector>

#include "tensor/linalg.h"
#include "tensor/ops.h"

namespace nf::flows {

Tensor latent_sphere(Base& base, Generator& gen, std::int64_t dims, std::int64_t rows,
                     std::int64_t columns, double temperature) {
  NF_CHECK(dims >= 3, "[sphere] a sphere needs 3 dimensions, the latents have ", dims);
  NF_CHECK(rows >= 1 && columns >= 1, "[sphere] needs rows and columns, got ", rows, " x ",
           columns);
  const Tensor draws = base.sample(gen, 3, dims).to(DType::F64);  // (3, D)
  const double radius = temperature * std::sqrt(sum_squares(draws).item() / 3);
  const Tensor axes = qr(draws.t().contiguous()).q.t();  // (3, D), orthonormal
  std::vector<double> points;
  points.reserve(static_cast<std::size_t>(3 * rows * columns));
  for (std::int64_t i = 0; i < rows; ++i) {
    const double polar =
        std::numbers::pi * (static_cast<double>(i) + .5) / static_cast<double>(rows);
    for (std::int64_t j = 0; j < columns; ++j) {
      const double azimuth =
          2 * std::numbers::pi * static_cast<double>(j) / static_cast<double>(columns);
      points.insert(points.end(),
                    {radius * std::sin(polar) * std::cos(azimuth),
                     radius * std::sin(polar) * std::sin(azimuth), radius * std::cos(polar)});
    }
  }
  return matmul(Tensor::from(points, {rows * columns, 3}), axes.contiguous()).to(DType::F32);
}

Tensor four_point_weights(std::int64_t rows, std::int64_t columns) {
  NF_CHECK(rows >= 1 && columns >= 1, "[manifold] needs rows and columns, got ", rows, " x ",
           columns);
  const auto angle = [](std::int64_t at, std::int64_t of) {
    return 2 * std::numbers::pi * static_cast<double>(at) / static_cast<double>(of);
  };
  std::vector<double> weights;
  weights.reserve(static_cast<std::size_t>(4 * rows * columns));
  for (std::int64_t i = 0; i < rows; ++i) {
    const double p = angle(i, rows);
    for (std::int64_t j = 0; j < columns; ++j) {
      const double q = angle(j, columns);
      weights.insert(weights.end(), {std::cos(p) * std::cos(q), std::cos(p) * std::sin(q),
                                     std::sin(p) * std::cos(q), std::sin(p) * std::sin(q)});
    }
  }
  return Tensor::from(weights, {rows * columns, 4});
}

}  // namespace nf::flows
