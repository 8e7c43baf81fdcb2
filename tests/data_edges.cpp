// Where densities end, told by their draws.
#include "data/edges.h"

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <functional>

#include "tensor/random.h"

using namespace nf;

BOOST_AUTO_TEST_SUITE(data_edges)

BOOST_AUTO_TEST_CASE(edges_of_densities_that_do_not_fade) {
  constexpr double kInf = std::numeric_limits<double>::infinity();
  struct Row {
    const char* name;
    std::function<double(double u, double z)> draw;  // u uniform, z normal
    double low, high, within;
  };
  const Row rows[] = {
      {"uniform", [](double u, double) { return 2 * u - 1; }, -1, 1, 0},
      {"a wide one", [](double u, double) { return 300 + 700 * u; }, 300, 1000, 0},
      {"a small one", [](double u, double) { return 1e-6 * u; }, 0, 1e-6, 1e-20},
      {"an angle", [](double u, double) { return 3.14159265 * (2 * u - 1); }, -3.14159265,
       3.14159265, 0.02},
      {"exponential", [](double u, double) { return -std::log1p(-u); }, 0, kInf, 0},
      {"half normal", [](double, double z) { return std::abs(z); }, 0, kInf, 0},
      {"the same, mirrored", [](double, double z) { return 3 - std::abs(z); }, -kInf, 3, 0},
      {"normal", [](double, double z) { return z; }, -kInf, kInf, 0},
      {"lognormal", [](double, double z) { return std::exp(z); }, -kInf, kInf, 0},
      {"logistic", [](double u, double) { return std::log(u + 1e-12) - std::log1p(-u); }, -kInf,
       kInf, 0},
      {"whole numbers", [](double u, double) { return std::floor(6 * u); }, -kInf, kInf, 0},
      {"a constant", [](double, double) { return 0.5; }, -kInf, kInf, 0},
  };
  for (const auto& [name, draw, low, high, within] : rows) {
    for (const std::int64_t n : {1000, 20'000}) {
      BOOST_TEST_CONTEXT(name << ", " << n) {
        Generator gen(7);
        const auto u = uniform(gen, {n}, DType::F64).to_vector<double>();
        const auto z = normal(gen, {n}, DType::F64).to_vector<double>();
        std::vector<double> draws;
        for (std::size_t i = 0; i < u.size(); ++i) draws.push_back(draw(u[i], z[i]));
        const data::Edges edges = data::edges_of(draws);
        for (const auto& [found, right] : {std::pair{edges.low, low}, {edges.high, high}}) {
          BOOST_TEST((found == right || std::abs(found - right) <= within * (n < 2000 ? 5 : 1)),
                     found << " is not " << right);
        }
        for (const double x : draws) BOOST_TEST_REQUIRE((x > edges.low && x < edges.high));
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(a_few_draws_tell_nothing) {
  std::vector<double> draws;
  for (int i = 0; i < 199; ++i) draws.push_back(i / 200.0);
  BOOST_TEST(std::isinf(data::edges_of(draws).low));
  draws.push_back(199 / 200.0);
  BOOST_TEST(std::isfinite(data::edges_of(draws).low));
}

BOOST_AUTO_TEST_SUITE_END()
