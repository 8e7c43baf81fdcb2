// The generators of toy2d.cpp against the true densities, which are written here independently, by
// integration along the curves, and integrated on a grid: entropy, mean and variance.
#include "data/toy2d.h"

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <functional>
#include <numbers>

#include "tensor/checksum.h"
#include "tensor/threads.h"

using namespace nf;
using namespace nf::data;
using std::numbers::pi;

namespace {

double gauss(double d2, double sd) {
  return d2 < 64 * sd * sd ? std::exp(-d2 / (2 * sd * sd)) / (2 * pi * sd * sd) : 0;
}

/// Mean over t in (a, b) of f(t): midpoint rule.
template <class F>
double average(double a, double b, int n, F&& f) {
  double sum = 0;
  for (int i = 0; i < n; ++i) sum += f(a + (b - a) * (i + .5) / n);
  return sum / n;
}

double circle_density(Point p, double radius, double sd) {
  const double r = std::hypot(p.x, p.y);
  if (std::abs(r - radius) > 8 * sd) return 0;
  return average(0, 2 * pi, 300, [&](double t) {
    const double dx = r - radius * std::cos(t), dy = radius * std::sin(t);
    return gauss(dx * dx + dy * dy, sd);
  });
}

double moons(Point p) {
  return average(0, pi, 150, [&](double t) {
    const double c = std::cos(t), s = std::sin(t);
    const double ux = p.x - (2 * c - 1), uy = p.y - (2 * s - .2);
    const double lx = p.x - (2 * (1 - c) - 1), ly = p.y - (2 * (.5 - s) - .2);
    return .5 * gauss(ux * ux + uy * uy, .2) + .5 * gauss(lx * lx + ly * ly, .2);
  });
}

double circles(Point p) {
  return .5 * circle_density(p, 3, .24) + .5 * circle_density(p, 1.5, .24);
}

double rings(Point p) {
  double sum = 0;
  for (const double radius : {.75, 1.5, 2.25, 3.}) sum += .25 * circle_density(p, radius, .08);
  return sum;
}

double eight_gaussians(Point p) {
  double sum = 0;
  for (int k = 0; k < 8; ++k) {
    const double dx = p.x - 4 / 1.414 * std::cos(k * pi / 4);
    const double dy = p.y - 4 / 1.414 * std::sin(k * pi / 4);
    sum += gauss(dx * dx + dy * dy, .5 / 1.414) / 8;
  }
  return sum;
}

double normal(double x, double mean, double sd) {
  return std::exp(-.5 * (x - mean) * (x - mean) / (sd * sd)) / (sd * std::sqrt(2 * pi));
}

/// Change of variables: (along, across) = r (cos a, sin a) is turned by -arm 2 pi/5 - exp(along)/4.
/// All angles a that land on p, over all arms, are found as crossings of multiples of 2 pi/5.
double pinwheel(Point p) {
  const double r = std::hypot(p.x, p.y) / 2, angle = std::atan2(p.y, p.x);
  const auto turns = [&](double a) {
    return (a - .25 * std::exp(r * std::cos(a)) - angle) * 5 / (2 * pi);
  };
  constexpr int kSteps = 360;
  double sum = 0, left = turns(-pi);
  for (int i = 0; i < kSteps; ++i) {
    const double a0 = -pi + 2 * pi * i / kSteps, right = turns(a0 + 2 * pi / kSteps);
    if (std::floor(left) != std::floor(right)) {
      const double target = std::max(std::floor(left), std::floor(right));
      const double a = a0 + 2 * pi / kSteps * (target - left) / (right - left);
      const double along = r * std::cos(a), across = r * std::sin(a);
      const double det = std::abs(1 + .25 * std::exp(along) * across);
      sum += normal(along, 1, .3) * normal(across, 0, .1) / (5 * det);
    }
    left = right;
  }
  return sum / 4;
}

/// A uniform variable on (a, b) plus Gaussian noise.
double soft_box(double x, double a, double b, double sd) {
  const double s = sd * std::sqrt(2.);
  return .5 * (std::erf((x - a) / s) - std::erf((x - b) / s)) / (b - a);
}

double two_spirals(Point p) {
  return average(0, 3 * pi, 300, [&](double t) {
    const double cx = -std::cos(t) * t / 3, cy = std::sin(t) * t / 3, weight = 2 * t / (3 * pi);
    double sum = 0;
    for (const double sign : {-1., 1.}) {
      const double x = sign * p.x - cx, y = sign * p.y - cy;
      if (std::abs(x - .08) > .6 || std::abs(y - .08) > .6) continue;
      sum += .5 * weight * soft_box(x, 0, .5 / 3, .1) * soft_box(y, 0, .5 / 3, .1);
    }
    return sum;
  });
}

double swissroll(Point p) {
  return average(1.5 * pi, 4.5 * pi, 400, [&](double t) {
    const double dx = p.x - t * std::cos(t) / 5, dy = p.y - t * std::sin(t) / 5;
    return gauss(dx * dx + dy * dy, .2);
  });
}

double checkerboard(Point p) {
  if (std::abs(p.x) >= 4 || std::abs(p.y) >= 4) return 0;
  const auto square = [](double v) { return static_cast<int>(std::floor(v / 2)) & 1; };
  return square(p.x) == square(p.y) ? 1. / 32 : 0;
}

struct Truth {
  const char* name;
  double (*density)(Point);
  double half, step;  // the grid: (-half, half)^2
};

constexpr Truth kTruths[] = {
    {"moons", moons, 4.3, .1},         {"circles", circles, 5, .1},
    {"rings", rings, 3.6, .04},        {"8gaussians", eight_gaussians, 5, .1},
    {"pinwheel", pinwheel, 6, .08},    {"2spirals", two_spirals, 4.2, .06},
    {"swissroll", swissroll, 4.4, .1}, {"checkerboard", checkerboard, 4, .1},
};

struct Moments {
  double mass = 0, entropy = 0, mean_x = 0, mean_y = 0, mean_r2 = 0;
};

Moments integrate(const Truth& truth) {
  Moments m;
  const int n = static_cast<int>(std::lround(2 * truth.half / truth.step));
  for (int i = 0; i < n * n; ++i) {
    const Point at{-truth.half + (i % n + .5) * truth.step,
                   -truth.half + (i / n + .5) * truth.step};
    const double p = truth.density(at), weight = p * truth.step * truth.step;
    m.mass += weight;
    m.entropy -= p > 0 ? weight * std::log(p) : 0;
    m.mean_x += weight * at.x;
    m.mean_y += weight * at.y;
    m.mean_r2 += weight * (at.x * at.x + at.y * at.y);
  }
  return m;
}

/// Mean of f over the samples agrees with `expected` to 4.5 standard errors.
void check_mean(const std::vector<float>& xy, const std::function<double(Point)>& f,
                double expected, const char* what) {
  const double n = static_cast<double>(xy.size()) / 2;
  double sum = 0, squares = 0;
  for (std::size_t i = 0; i < xy.size(); i += 2) {
    const double v = f({xy[i], xy[i + 1]});
    sum += v;
    squares += v * v;
  }
  const double mean = sum / n, error = std::sqrt(std::max(0., squares / n - mean * mean) / n);
  BOOST_CHECK_MESSAGE(std::abs(mean - expected) < 4.5 * error + 1e-3,
                      what << ": samples " << mean << " +- " << error << ", truth " << expected);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(data_toy2d)

BOOST_AUTO_TEST_CASE(samples_and_entropies_agree_with_the_true_densities) {
  BOOST_CHECK_EQUAL(toys2d().size(), std::size(kTruths));
  for (const Truth& truth : kTruths) {
    BOOST_TEST_CONTEXT(truth.name) {
      const Toy2d* toy = find_toy2d(truth.name);
      BOOST_REQUIRE(toy);
      const Moments m = integrate(truth);
      BOOST_TEST_MESSAGE(truth.name << ": entropy " << m.entropy << ", mass " << m.mass);
      BOOST_CHECK_SMALL(m.mass - 1, 1e-3);
      BOOST_CHECK_SMALL(m.entropy - toy->entropy, 5e-4);
      const auto xy = sample_toy2d(*toy, 4000, 11, 0).to_vector<float>();
      check_mean(
          xy, [](Point p) { return p.x; }, m.mean_x, "mean of x");
      check_mean(
          xy, [](Point p) { return p.y; }, m.mean_y, "mean of y");
      check_mean(
          xy, [](Point p) { return p.x * p.x + p.y * p.y; }, m.mean_r2, "mean of r^2");
      check_mean(
          xy,
          [&](Point p) {
            const double density = truth.density(p);
            BOOST_CHECK_GT(density, 0);
            return -std::log(density);
          },
          m.entropy, "mean of -log p");
    }
  }
}

// Runs are evaluated on the points that they were trained on, by whatever build.
BOOST_AUTO_TEST_CASE(every_build_draws_the_same) {
  constexpr std::pair<const char*, const char*> kSums[] = {
      {"moons", "e27fa24e6ec21415"},     {"circles", "2c4f8ac5f5a6feb5"},
      {"rings", "3eb01610c32fdef6"},     {"8gaussians", "d1cea7823d2aadcf"},
      {"pinwheel", "dee5af2e6657cc33"},  {"2spirals", "eef5bd0a2ab6ee26"},
      {"swissroll", "c29205489c0f1b04"}, {"checkerboard", "2144cd65e0c00b8d"},
  };
  BOOST_CHECK_EQUAL(toys2d().size(), std::size(kSums));
  for (const auto& [name, expected] : kSums) {
    Checksum sum;
    sum.add(sample_toy2d(*find_toy2d(name), 100000, 1, 2));
    BOOST_CHECK_MESSAGE(sum.text() == expected, name << ": " << sum.text() << " for " << expected);
  }
}

BOOST_AUTO_TEST_CASE(a_row_depends_on_seed_stream_and_index_alone) {
  const Toy2d& toy = *find_toy2d("pinwheel");
  const int before = num_threads();
  set_num_threads(1);
  const auto one = sample_toy2d(toy, 5000, 3, 9).to_vector<float>();
  set_num_threads(4);
  const auto four = sample_toy2d(toy, 5000, 3, 9).to_vector<float>();
  set_num_threads(before);
  BOOST_CHECK(one == four);
  const auto start = sample_toy2d(toy, 10, 3, 9).to_vector<float>();
  BOOST_CHECK(std::equal(start.begin(), start.end(), one.begin()));
  BOOST_CHECK(sample_toy2d(toy, 10, 4, 9).to_vector<float>() != start);
  BOOST_CHECK(sample_toy2d(toy, 10, 3, 8).to_vector<float>() != start);
  BOOST_CHECK(find_toy2d("triangle") == nullptr);
}

BOOST_AUTO_TEST_SUITE_END()
