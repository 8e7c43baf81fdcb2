// Surfaces in latent space, to look at a model's manifold.
#pragma once

#include "flows/base.h"

namespace nf::flows {

/// Points (rows * columns, dims), f32, of a sphere on a random 3-dimensional subspace through the
/// origin; row i is at polar angle pi (i + 1/2) / rows, column j at azimuth 2 pi j / columns. The
/// subspace is that of three draws from `base`, the radius the root of their mean square norm times
/// `temperature`: so far from the origin the base distribution has its mass. Decoded, neighbours
/// show how data change along the manifold. (NICE, figure 7)
///
/// Throws Error unless dims >= 3 and rows, columns >= 1.
Tensor latent_sphere(Base& base, Generator& gen, std::int64_t dims, std::int64_t rows,
                     std::int64_t columns, double temperature = 1);

/// Weights (rows * columns, 4), f64, of four latents. In row columns i + j they are
///   cos p cos q, cos p sin q, sin p cos q, sin p sin q;  p = 2 pi i / rows, q = 2 pi j / columns.
/// Their squares add up to 1: what they make of independent draws of a Gaussian is such a draw.
/// The first latent is at i = j = 0, exactly. (Dinh, Sohl-Dickstein, Bengio, "Real NVP" (2017),
/// equation 19) Throws Error unless rows, columns >= 1.
Tensor four_point_weights(std::int64_t rows, std::int64_t columns);

}  // namespace nf::flows
