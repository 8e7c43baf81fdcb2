// 2-D densities that normalizing flows are usually shown on.
//
// Generators and scales: FFJORD's lib/toy_data.py (Grathwohl et al. 2019,
// github.com/rtqichen/ffjord) and scikit-learn's make_moons, make_circles, make_swiss_roll, drawn
// here as independent samples (the originals place the points of a batch at equal distances along
// the curves).
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "data/draws.h"
#include "tensor/tensor.h"

namespace nf::data {

struct Point {
  double x, y;
};

struct Toy2d {
  const char* name;
  /// Differential entropy in nats: the lowest negative log-likelihood that a model can reach.
  double entropy;
  Point (*draw)(Draws& draws);
};

/// moons, circles, rings, 8gaussians, pinwheel, 2spirals, swissroll, checkerboard
std::span<const Toy2d> toys2d();
/// Null when there is none of this name.
const Toy2d* find_toy2d(const std::string& name);

/// f32 (n, 2). Row i is a pure function of (seed, stream, i).
Tensor sample_toy2d(const Toy2d& toy, std::int64_t n, std::uint64_t seed, std::uint64_t stream);

}  // namespace nf::data
