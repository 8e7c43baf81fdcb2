// Baselines: against densities that are known, and formulas done by hand.
#include "flows/examine/baselines.h"

#include <cmath>
#include <numbers>

#include "tensor/ops.h"
#include "tensor/random.h"
#include "tests/data_util.h"

using namespace nf;
using flows::Baselines;

BOOST_AUTO_TEST_SUITE(flows_baselines)

BOOST_AUTO_TEST_CASE(a_correlated_gaussian_reaches_its_entropy) {
  // x = (1000 + 3 u, 3 u + 4 v): standard deviations 3 and 5, correlation 3/5, ln det = 2 ln 12.
  Generator gen(1);
  const Tensor noise = normal(gen, {20000, 2}, DType::F64);
  const Tensor u = noise.narrow(1, 0, 1), v = noise.narrow(1, 1, 1);
  const Tensor x = concat(std::vector{3 * u + 1000, 3 * u + 4 * v}, 1).to(DType::F32);
  const auto nats = Baselines(x).nats(x);
  const double entropy = 1 + std::log(2 * std::numbers::pi);
  BOOST_REQUIRE(nats.gaussian.has_value());
  BOOST_CHECK_SMALL(*nats.gaussian + entropy + std::log(12.0), 0.03);
  BOOST_CHECK_SMALL(nats.independent + entropy + std::log(15.0), 0.03);
  // On its own rows the fit is exactly -ln det / 2 - D / 2 (1 + ln 2 pi): no row is lost.
  const Tensor far = Tensor::from(std::vector<double>{1003, 3}, {1, 2});
  BOOST_CHECK_SMALL(
      *Baselines(x).nats(far).gaussian + std::log(12.0) + std::log(2 * std::numbers::pi) + 0.5,
      0.05);  // u = 1, v = 0
}

// The time of a Gaussian is the cube of the dimensions.
BOOST_AUTO_TEST_CASE(a_gaussian_has_at_most_1024_dimensions) {
  Generator gen(2);
  const Tensor x = (uniform(gen, {3, 1025}) * 256.0).to(DType::U8);
  const Tensor fewer = x.narrow(1, 0, 1024).contiguous();
  BOOST_TEST(!Baselines(x).nats(x).gaussian.has_value());
  BOOST_TEST(Baselines(fewer).nats(fewer).gaussian.has_value());
}

BOOST_AUTO_TEST_CASE(levels_by_hand) {
  // One dimension: 3 times level 0, once level 255; then one with a single level.
  const Tensor x = Tensor::from(std::vector<std::uint8_t>{0, 7, 0, 7, 0, 7, 255, 7}, {4, 2});
  const Baselines baselines(x);
  const auto nats = baselines.nats(Tensor::from(std::vector<std::uint8_t>{0, 7, 1, 7}, {2, 2}));
  const double expected = (std::log(4 / 260.) + std::log(1 / 260.)) / 2 + std::log(5 / 260.);
  BOOST_CHECK_CLOSE(nats.independent, expected, 1e-9);
  // Uncorrelated, so the Gaussian is a product; E (x + u - mean)^2 = (x + 1/2 - mean)^2 + 1/12.
  const double variance = 255. * 255 * 3 / 16 + 1. / 12, mean = 255. / 4 + 0.5;
  const double square = (std::pow(0.5 - mean, 2) + std::pow(1.5 - mean, 2)) / 2 + 1. / 12;
  const double ln_two_pi = std::log(2 * std::numbers::pi);
  const double first = -0.5 * (ln_two_pi + std::log(variance) + square / variance);
  const double second = -0.5 * (ln_two_pi + std::log(1. / 12) + 1);
  BOOST_REQUIRE(nats.gaussian.has_value());
  BOOST_CHECK_CLOSE(*nats.gaussian, first + second, 1e-9);
}

BOOST_AUTO_TEST_CASE(whole_numbers_are_spread_over_their_unit) {
  // Uncorrelated: column 0 is real with variance 1, column 1 is 0 or 1, which as a real number
  // has the variance 1/4, spread 1/4 + 1/12.
  const Tensor x = Tensor::from(std::vector<double>{-1, 0, 1, 0, -1, 1, 1, 1}, {4, 2});
  const double whole = 0.25 + 1. / 12, two_pi = 2 * std::numbers::pi;
  const double expected = -0.5 * (2 * std::log(two_pi) + 1 + std::log(whole) + 1);
  const auto nats = Baselines(x, {1}).nats(x);
  BOOST_CHECK_CLOSE(nats.independent, expected, 1e-6);
  BOOST_REQUIRE(nats.gaussian.has_value());
  BOOST_CHECK_CLOSE(*nats.gaussian, expected, 1e-6);
}

BOOST_AUTO_TEST_CASE(columns_that_follow_from_others_and_constant_ones) {
  Generator gen(2);
  const Tensor u = normal(gen, {500, 1});
  const Tensor twice = concat(std::vector{u, 2 * u}, 1);
  const auto nats = Baselines(twice).nats(twice);
  BOOST_REQUIRE(nats.gaussian.has_value());
  BOOST_CHECK(std::isfinite(*nats.gaussian));
  BOOST_CHECK(*nats.gaussian > nats.independent + 5);  // it saw that they are one
  const Tensor constant = concat(std::vector{u, Tensor::ones({500, 1})}, 1);
  BOOST_CHECK(!Baselines(constant).nats(constant).gaussian);
  BOOST_CHECK(!std::isfinite(Baselines(constant).nats(constant).independent));
}

BOOST_AUTO_TEST_CASE(wrong_rows_are_refused) {
  test::check_error([] { Baselines(Tensor::zeros({0, 2})); }, {"[baselines]", "rows"});
  const Baselines baselines(Tensor::from(std::vector<float>{1, 2, 3, 5}, {2, 2}));
  test::check_error([&] { baselines.nats(Tensor::zeros({1, 3})); }, {"[baselines]", "2 reals"});
  test::check_error([&] { baselines.nats(Tensor::zeros({1, 2}, DType::U8)); }, {"[baselines]"});
}

BOOST_AUTO_TEST_SUITE_END()
