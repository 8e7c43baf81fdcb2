#include "data/toy2d.h"

#include <cmath>
#include <numbers>

#include "tensor/threads.h"

namespace nf::data {
namespace {

using std::numbers::pi;

Point on_circle(double radius, double angle) {
  return {radius * std::cos(angle), radius * std::sin(angle)};
}

/// p plus Gaussian noise in both coordinates.
Point blur(Point p, double sd, Draws& draws) {
  const double x = draws.normal(), y = draws.normal();
  return {p.x + sd * x, p.y + sd * y};
}

/// Two half circles that grip each other: noise 0.1, then times 2 and shifted by (-1, -0.2).
Point moons(Draws& draws) {
  const bool lower = draws.index(2) == 1;
  const Point p = on_circle(1, draws.uniform(0, pi));
  const Point q = blur(lower ? Point{1 - p.x, .5 - p.y} : p, .1, draws);
  return {2 * q.x - 1, 2 * q.y - .2};
}

/// Radii 3 and 1.5, noise 0.24.
Point circles(Draws& draws) {
  const double radius = draws.index(2) ? 3 : 1.5;
  return blur(on_circle(radius, draws.uniform(0, 2 * pi)), .24, draws);
}

/// Radii 0.75, 1.5, 2.25, 3, equally likely, noise 0.08.
Point rings(Draws& draws) {
  const double radius = .75 * (1 + draws.index(4));
  return blur(on_circle(radius, draws.uniform(0, 2 * pi)), .08, draws);
}

/// Eight Gaussians (deviation 0.5) on a circle of radius 4, all divided by 1.414.
Point eight_gaussians(Draws& draws) {
  const Point p = blur(on_circle(4, draws.index(8) * pi / 4), .5, draws);
  return {p.x / 1.414, p.y / 1.414};
}

/// Five arms: a Gaussian at distance 1 (deviations 0.3 along, 0.1 across the arm), turned the more
/// the farther out it lies, times 2.
Point pinwheel(Draws& draws) {
  const int arm = draws.index(5);
  const double along = 1 + .3 * draws.normal(), across = .1 * draws.normal();
  const double angle = arm * 2 * pi / 5 + .25 * std::exp(along);
  const double c = std::cos(angle), s = std::sin(angle);
  return {2 * (along * c + across * s), 2 * (across * c - along * s)};
}

/// Two arms of 1.5 turns, each blurred by a 0.5 x 0.5 box, divided by 3, plus noise 0.1.
Point two_spirals(Draws& draws) {
  const double sign = draws.index(2) ? 1 : -1;
  const double t = std::sqrt(draws.uniform()) * 3 * pi;
  const double x = -std::cos(t) * t + draws.uniform(0, .5);
  const double y = std::sin(t) * t + draws.uniform(0, .5);
  return blur({sign * x / 3, sign * y / 3}, .1, draws);
}

/// 1.5 turns of a spiral, noise 1, divided by 5.
Point swissroll(Draws& draws) {
  const double t = 1.5 * pi * draws.uniform(1, 3);
  return blur({t * std::cos(t) / 5, t * std::sin(t) / 5}, .2, draws);
}

/// Uniform on the black squares of a 4 x 4 board of side 8.
Point checkerboard(Draws& draws) {
  const double x = draws.uniform(-2, 2);
  const bool odd = std::lround(std::floor(x)) % 2 != 0;
  const double within = draws.uniform();
  const double y = within - 2 * draws.index(2) + (odd ? 1 : 0);
  return {2 * x, 2 * y};
}

}  // namespace

std::span<const Toy2d> toys2d() {
  // Entropies by integration of the true densities; tests/data_toy2d.cpp checks them.
  static constexpr Toy2d kToys[] = {
      {"moons", 2.3939, moons},         {"circles", 3.2681, circles},
      {"rings", 2.6232, rings},         {"8gaussians", 2.8319, eight_gaussians},
      {"pinwheel", 2.3178, pinwheel},   {"2spirals", 2.6454, two_spirals},
      {"swissroll", 2.6696, swissroll}, {"checkerboard", 3.4657, checkerboard},  // ln 32
  };
  return kToys;
}

const Toy2d* find_toy2d(const std::string& name) {
  for (const Toy2d& toy : toys2d()) {
    if (name == toy.name) return &toy;
  }
  return nullptr;
}

Tensor sample_toy2d(const Toy2d& toy, std::int64_t n, std::uint64_t seed, std::uint64_t stream) {
  Tensor out = Tensor::empty({n, 2});
  float* xy = out.mutable_data<float>();
  parallel_for(n, 1024, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      Draws draws(seed, stream, static_cast<std::uint64_t>(i));
      const Point p = toy.draw(draws);
      xy[2 * i] = static_cast<float>(p.x);
      xy[2 * i + 1] = static_cast<float>(p.y);
    }
  });
  return out;
}

}  // namespace nf::data
