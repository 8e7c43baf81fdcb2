// The energy distance on examples that are counted by hand, and when two samples are told apart.
#include "flows/examine/two_sample.h"

#include <boost/test/unit_test.hpp>
#include <cmath>

#include "tensor/error.h"
#include "tensor/ops.h"
#include "tensor/random.h"

using namespace nf;
using namespace nf::flows;

BOOST_AUTO_TEST_SUITE(flows_two_sample)

namespace {

Tensor rows(const std::vector<double>& values, std::int64_t columns) {
  return Tensor::from(values, {std::ssize(values) / columns, columns});
}

Tensor ones(std::int64_t columns) { return Tensor::full({columns}, 1, DType::F64); }

/// The definition, pair by pair.
double energy(const Tensor& x, const Tensor& y) {
  const auto mean_distance = [](const Tensor& a, const Tensor& b) {
    double total = 0;
    for (std::int64_t i = 0; i < a.dim(0); ++i) {
      for (std::int64_t j = 0; j < b.dim(0); ++j) {
        total += std::sqrt(sum_squares(a.narrow(0, i, 1) - b.narrow(0, j, 1)).item());
      }
    }
    return total / static_cast<double>(a.dim(0) * b.dim(0));
  };
  return 2 * mean_distance(x, y) - mean_distance(x, x) - mean_distance(y, y);
}

}  // namespace

BOOST_AUTO_TEST_CASE(the_statistic_is_as_counted_by_hand) {
  struct Case {
    Tensor x, y, deviation;
    double energy;
  };
  const Case cases[] = {
      {rows({0, 2}, 1), rows({1, 3}, 1), ones(1), 3.0 - 1 - 1},      // between 1, 3, 1, 1
      {rows({0, 1}, 1), rows({2, 3}, 1), ones(1), 4.0 - 0.5 - 0.5},  // between 2, 3, 1, 2
      {rows({0, 1}, 1), rows({2, 3}, 1), ones(1) * 2.0, 1.5},        // all halved
      {rows({0, 0}, 2), rows({3, 4}, 2), ones(2), 10},               // one and one
      {rows({0, 0}, 2), rows({3, 4}, 2), rows({3, 4}, 2).reshape({2}), 2 * std::sqrt(2)},
      {rows({5, 5, 5}, 1), rows({5, 5}, 1), ones(1), 0},
      {rows({0, 3}, 1), rows({0}, 1), ones(1), 3.0 - 1.5},  // parts of different size
  };
  for (const Case& c : cases) {
    const TwoSample test = two_sample_test(c.x, c.y, c.deviation);
    BOOST_TEST(std::abs(test.energy_distance - c.energy) < 1e-12, test.energy_distance);
    const TwoSample swapped = two_sample_test(c.y, c.x, c.deviation);
    BOOST_TEST(std::abs(swapped.energy_distance - c.energy) < 1e-12);
    BOOST_TEST(test.x == c.x.dim(0));
    BOOST_TEST(test.y == c.y.dim(0));
  }
  // Of the six ways to split 0, 1, 2, 3 into two and two, two are as far apart as {0, 1}, {2, 3},
  // and all as far as {0, 2}, {1, 3}.
  BOOST_TEST(
      std::abs(two_sample_test(cases[1].x, cases[1].y, ones(1), {.permutations = 3000}).p_value -
               1.0 / 3) < 0.03);
  BOOST_TEST(two_sample_test(cases[0].x, cases[0].y, ones(1)).p_value == 1);
}

BOOST_AUTO_TEST_CASE(far_from_zero_no_digits_are_lost) {
  Generator gen(2);
  const Tensor x = normal(gen, {15, 4}, DType::F64), y = normal(gen, {9, 4}, DType::F64) * 1.5;
  const double expected = energy(x, y);
  BOOST_TEST(std::abs(two_sample_test(x, y, ones(4)).energy_distance - expected) < 1e-12);
  BOOST_TEST(std::abs(two_sample_test(x + 1e8, y + 1e8, ones(4)).energy_distance - expected) <
             1e-6);
}

BOOST_AUTO_TEST_CASE(one_distribution_is_not_told_apart_and_others_are) {
  int below = 0;
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    Generator gen(seed);
    const Tensor x = normal(gen, {60, 3}), y = normal(gen, {80, 3});
    const double p = two_sample_test(x, y, ones(3)).p_value;
    below += p < 0.1 ? 1 : 0;
    BOOST_TEST(p > 0.004);
  }
  BOOST_TEST(below <= 9);  // 4 of 40, and two standard deviations and a half
  Generator gen(1);
  const Tensor x = normal(gen, {200, 5}), y = normal(gen, {200, 5});
  BOOST_TEST(two_sample_test(x, y + 0.5, ones(5)).p_value == 1.0 / 201);
  BOOST_TEST(two_sample_test(x, y * 1.6, ones(5)).p_value == 1.0 / 201);
  const Tensor pixels = (uniform(gen, {100, 6}) * 256.0F).to(DType::U8);
  const Tensor dark = (uniform(gen, {100, 6}) * 128.0F).to(DType::U8);
  BOOST_TEST(two_sample_test(pixels, dark, deviations(pixels)).p_value == 1.0 / 201);
}

// Rows are (given, value), and both of a pair have the same given.
BOOST_AUTO_TEST_CASE(pairs_are_told_apart_by_their_conditional_distribution) {
  const auto pairs = [](std::uint64_t seed, std::int64_t n, bool right, bool paired) {
    Generator gen(seed);
    const Tensor given = normal(gen, {n, 1}, DType::F64);
    const auto values = [&](const Tensor& near) {
      const Tensor noise = normal(gen, {n, 1}, DType::F64) * 0.3;
      return concat(std::vector{given, near + noise}, 1);
    };
    const Tensor x = values(given);
    // The values of another given have the same marginal distribution.
    const Tensor y = values(right ? given : index_select(given, 0, permutation(gen, n)));
    return two_sample_test(x, y, ones(2), {.paired = paired}).p_value;
  };
  int low = 0, high = 0, high_unpaired = 0;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    const double p = pairs(seed, 50, true, true);
    low += p < 0.2 ? 1 : 0;
    high += p > 0.8 ? 1 : 0;
    high_unpaired += pairs(seed, 50, true, false) > 0.8 ? 1 : 0;
  }
  for (const std::uint64_t seed : {1, 2, 3}) BOOST_TEST(pairs(seed, 300, false, true) < 0.02);
  // 20 of 100, and two standard deviations and a half.
  BOOST_TEST((low >= 10 && low <= 30), low);
  BOOST_TEST((high >= 10 && high <= 30), high);
  BOOST_TEST(high_unpaired > 90);  // all rows exchanged: pairs are nearer than chance
}

BOOST_AUTO_TEST_CASE(columns_that_do_not_vary_have_a_scale) {
  const auto values = [](const Tensor& t) { return t.to_vector<double>(); };
  BOOST_CHECK((values(deviations(rows({1, 7, 0, 3, 7, 4}, 3))) ==
               std::vector<double>{1, std::sqrt(2.5), 2}));
  BOOST_CHECK((values(deviations(rows({1, 7, 1, 7}, 2))) == std::vector<double>{1, 1}));
  BOOST_CHECK(values(deviations(rows({1e9, 1e9 + 2}, 1))) == std::vector<double>{1});
}

BOOST_AUTO_TEST_CASE(what_cannot_be_compared_is_an_error) {
  const Tensor two = rows({1, 2}, 2);
  BOOST_CHECK_THROW(two_sample_test(two, rows({1, 2, 3}, 3), ones(2)), Error);
  BOOST_CHECK_THROW(two_sample_test(two, two, ones(3)), Error);
  BOOST_CHECK_THROW(two_sample_test(two, two, ones(2) * 0.0), Error);
  BOOST_CHECK_THROW(two_sample_test(two, rows({1, NAN}, 2), ones(2)), Error);
  BOOST_CHECK_THROW(two_sample_test(two, rows({1, INFINITY}, 2), ones(2)), Error);
  BOOST_CHECK_THROW(two_sample_test(two, two.narrow(0, 0, 0), ones(2)), Error);
  BOOST_CHECK_THROW(two_sample_test(two, rows({1, 2, 3, 4}, 2), ones(2), {.paired = true}), Error);
}

BOOST_AUTO_TEST_SUITE_END()
