// AnyOrder as a Gaussian: its density against the formula, sums and integrals, draws.
#include <cmath>
#include <numbers>

#include "flows/layers/conditions.h"
#include "flows/models/any_order.h"
#include "tests/data_util.h"

using namespace nf;
using namespace nf::flows;
using namespace nf::test;

namespace {

const double kLnTwoPi = std::log(2 * std::numbers::pi);

AnyOrder any_order(AnyOrderOptions options) {
  options.hidden_units = 3;
  options.hidden_layers = 1;
  Generator weights(1, 1);
  return {options, nullptr, weights, Generator(1, 2)};
}

// Deviations 2 and 1, correlation 0.6.
const Tensor kMean = Tensor::from(std::vector<double>{1, -2}, {2});
const Tensor kCovariance = Tensor::from(std::vector<double>{4, 1.2, 1.2, 1}, {2, 2});

double log_prob(AnyOrder& density, std::vector<double> row) {
  const auto columns = std::ssize(row);
  return density.log_prob(Tensor::from(row, {1, columns})).value().item();
}

}  // namespace

BOOST_AUTO_TEST_SUITE(flows_table_gaussian)

BOOST_AUTO_TEST_CASE(its_density_is_the_formula) {
  AnyOrder density = any_order({.dims = 2});
  density.eval();
  density.become_gaussian(kMean, kCovariance, {});
  BOOST_TEST(density.is_gaussian());
  // u, v standard, independent: x = 1 + 2 u, y = -2 + 0.6 u + 0.8 v.
  for (const auto& [u, v] : {std::pair{0.0, 0.0}, {1.0, -0.5}, {-3.0, 2.0}}) {
    const double expected = -kLnTwoPi - std::log(2 * 0.8) - 0.5 * (u * u + v * v);
    BOOST_CHECK_CLOSE(log_prob(density, {1 + 2 * u, -2 + 0.6 * u + 0.8 * v}), expected, 1e-4);
  }
  // A row with a gap has the marginal density; of no cell there is nothing to say.
  BOOST_CHECK_CLOSE(log_prob(density, {3, NAN}), -kLnTwoPi / 2 - std::log(2) - 0.5, 1e-4);
  BOOST_CHECK_CLOSE(log_prob(density, {NAN, -1}), -kLnTwoPi / 2 - 0.5, 1e-4);
  BOOST_TEST(log_prob(density, {NAN, NAN}) == 0);
  // y given x = 3 is -1.4 +- 0.8; x that is known itself is what it would have been.
  const Tensor x = Tensor::from(std::vector<double>{3, -1.4}, {1, 2});
  const Tensor known = Tensor::from(std::vector<double>{1, 0}, {1, 2});
  const auto each = density.log_conditionals(x, known).value().to_vector<float>();
  BOOST_CHECK_CLOSE(each[0], -kLnTwoPi / 2 - std::log(2) - 0.5, 1e-4);
  BOOST_CHECK_CLOSE(each[1], -kLnTwoPi / 2 - std::log(0.8), 1e-4);
  // Saved and loaded it stays what it is; taken back the network answers again.
  AnyOrder again = any_order({.dims = 2});
  again.eval();
  const nn::StateDict state = density.state();
  again.load_state({state.begin(), state.end()});
  BOOST_TEST(log_prob(again, {3, -1}) == log_prob(density, {3, -1}));
  again.ask_network();
  BOOST_TEST(log_prob(again, {3, -1}) != log_prob(density, {3, -1}));
}

// A whole number between bounds on the other one, and a category: x in [0, 2] in cells of 0.001.
BOOST_AUTO_TEST_CASE(bounds_whole_numbers_and_categories_add_up_to_one) {
  AnyOrder density = any_order({.dims = 3,
                                .whole = {1},
                                .categories = {0, 0, 2},
                                .bounds = {{0, 2}, {-INFINITY, INFINITY}, {-INFINITY, INFINITY}}});
  density.eval();
  density.become_gaussian(kMean, kCovariance,
                          Tensor::from(std::vector<double>{std::log(0.25), std::log(0.75)}, {2}));
  constexpr int kCells = 500;
  std::vector<double> rows;
  for (int i = 0; i < kCells; ++i) {
    for (int k = -12; k <= 8; ++k) {
      for (const double code : {0.0, 1.0}) {
        rows.insert(rows.end(), {2 * (i + 0.5) / kCells, 1.0 * k, code});
      }
    }
  }
  const Tensor x = Tensor::from(rows, {std::ssize(rows) / 3, 3});
  double total = 0;
  for (const float log_p : density.log_prob(x).value().to_vector<float>()) {
    total += std::exp(static_cast<double>(log_p)) * 2 / kCells;
  }
  BOOST_CHECK_SMALL(total - 1, 1e-4);
  for (const std::vector<double>& impossible :
       {std::vector<double>{-0.1, 0, 0}, {2.1, 0, 0}, {1, 0, 2}, {1, 0, 0.5}}) {
    BOOST_TEST(log_prob(density, impossible) == -INFINITY);
  }
  // Far out a probability is small, no zero.
  BOOST_TEST(std::isfinite(log_prob(density, {1, 500, 0})));
  BOOST_TEST(std::isfinite(log_prob(density, {1, -500, 0})));
}

BOOST_AUTO_TEST_CASE(draws_are_those_of_the_density) {
  AnyOrder density = any_order({.dims = 3,
                                .whole = {1},
                                .categories = {0, 0, 2},
                                .bounds = {{0, 2}, {-INFINITY, INFINITY}, {-INFINITY, INFINITY}}});
  density.become_gaussian(kMean, kCovariance,
                          Tensor::from(std::vector<double>{std::log(0.25), std::log(0.75)}, {2}));
  constexpr std::int64_t kRows = 20000;
  Generator gen(5);
  const Tensor x = density.sample(gen, kRows);
  const auto column = [&](std::int64_t i) { return x.narrow(1, i, 1); };
  BOOST_TEST(min(column(0)).item() >= 0);
  BOOST_TEST(max(column(0)).item() <= 2);
  BOOST_CHECK_SMALL(mean(column(2)).item() - 0.75, 0.015);
  BOOST_CHECK_SMALL(mean(column(0)).item() - 1, 0.03);  // cut off evenly on both sides
  for (const double y : column(1).to_vector<double>()) BOOST_TEST_REQUIRE(y == std::floor(y));
  // What is known stays: x = 2, y given it is -1.7 +- 0.8, spread over whole numbers.
  const Tensor known = Tensor::from(std::vector<float>{1, 0, 1}, {1, 3}).broadcast_to({kRows, 3});
  const Tensor row = Tensor::from(std::vector<double>{2, NAN, 1}, {1, 3}).broadcast_to({kRows, 3});
  const Tensor filled = density.complete(gen, row.contiguous(), known.contiguous());
  const Tensor y = filled.narrow(1, 1, 1);
  BOOST_TEST(max(abs(filled.narrow(1, 0, 1) - 2.0)).item() == 0);
  BOOST_TEST(min(filled.narrow(1, 2, 1)).item() == 1);
  BOOST_CHECK_SMALL(mean(y).item() + 1.7, 0.03);
  BOOST_CHECK_SMALL(variance(y, {0, 1}).item() - (0.64 + 1.0 / 12), 0.04);
}

BOOST_AUTO_TEST_CASE(a_conditional_density_becomes_none) {
  Generator weights(1, 1);
  AnyOrder density({.dims = 2}, std::make_shared<LabelCondition>(3, 0, weights), weights,
                   Generator(1, 2));
  check_error([&] { density.become_gaussian(kMean, kCovariance, {}); }, {"[AnyOrder]", "given"});
}

BOOST_AUTO_TEST_SUITE_END()
