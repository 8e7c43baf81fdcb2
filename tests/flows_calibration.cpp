// Ranks and coverage of rows among draws: right ones pass, and what is wrong is named.
#include "flows/examine/calibration.h"

#include <boost/test/unit_test.hpp>
#include <cmath>

#include "tensor/ops.h"
#include "tensor/random.h"

BOOST_AUTO_TEST_SUITE(flows_calibration)

using namespace nf;
using namespace nf::flows;

namespace {

const std::vector<double> kLevels = {0.5, 0.9};

/// N rows of a standard normal, among draws of N(shift, deviation^2).
Calibration of_draws(double shift, double deviation, std::int64_t n = 3000) {
  constexpr std::int64_t kEach = 99;
  Generator rows(1), draws(2), ties(3);
  const Tensor x = normal(rows, {n, 1}, DType::F64);
  const Tensor drawn = normal(draws, {n * kEach, 1}, DType::F64) * deviation + shift;
  return calibration_of("y", rank_shares(x, drawn, ties).to_vector<double>(), kLevels,
                        Region::Middle);
}

}  // namespace

BOOST_AUTO_TEST_CASE(what_is_wrong_with_draws_is_named) {
  struct Case {
    double shift, deviation;
    std::string fault;
  };
  for (const Case& c :
       {Case{0, 1, ""}, Case{0, 0.7, "too narrow"}, Case{0, 1.4, "too wide"},
        Case{0.15, 1, "too high"}, Case{-0.15, 1, "too low"}, Case{-1, 1, "too low"},
        Case{1, 1, "too high"}, Case{8, 1, "too high"}, Case{0.1, 0.4, "too narrow"}}) {
    const Calibration found = of_draws(c.shift, c.deviation);
    BOOST_TEST(found.fault(0.001) == c.fault, c.shift << ' ' << c.deviation);
  }
}

// With deviation s the middle half of the draws has its ends at 0.6745 s.
BOOST_AUTO_TEST_CASE(coverage_is_the_mass_between_the_ends) {
  const Calibration found = of_draws(0, 0.7, 20000);
  BOOST_TEST(std::abs(found.coverage[0].share() - std::erf(0.6745 * 0.7 / std::sqrt(2))) < 0.015);
  BOOST_TEST(std::abs(found.coverage[1].share() - std::erf(1.6449 * 0.7 / std::sqrt(2))) < 0.015);
  BOOST_TEST(std::abs(found.mean - 0.5) < 0.01);
}

BOOST_AUTO_TEST_CASE(ranks_of_a_few_numbers) {
  Generator ties(1);
  const Tensor x = Tensor::from(std::vector<double>{2.5, NAN, -1, 7}, {2, 2});
  const Tensor draws =
      Tensor::from(std::vector<double>{1, 5, 2, 6, 3, 7, 0, 7, 1, 7, 2, 7}, {6, 2});
  const std::vector<double> shares = rank_shares(x, draws, ties).to_vector<double>();
  BOOST_TEST((shares[0] > 0.5 && shares[0] < 0.75));  // two of three are below
  BOOST_TEST(std::isnan(shares[1]));
  BOOST_TEST((shares[2] > 0 && shares[2] < 0.25));
  BOOST_TEST((shares[3] > 0 && shares[3] < 1));  // all are equal: anywhere
  BOOST_CHECK_THROW(rank_shares(x, draws.narrow(0, 0, 5), ties), Error);
}

// Whole numbers have ties, which are put in a random order.
BOOST_AUTO_TEST_CASE(whole_numbers_have_uniform_shares) {
  Generator gen(5), ties(6);
  const auto whole = [&](std::int64_t n) {
    return (uniform(gen, {n, 1}, DType::F64) * 3.0).to(DType::I32).to(DType::F64);
  };
  const Tensor x = whole(3000), drawn = whole(3000 * 20);
  const Calibration found =
      calibration_of("n", rank_shares(x, drawn, ties).to_vector<double>(), kLevels, Region::Middle);
  BOOST_TEST(found.fault(0.001) == "");
}

BOOST_AUTO_TEST_CASE(the_highest_densities_are_a_region_too) {
  // Draws that are too sure of their densities: rows have lower ones more often.
  std::vector<double> shares;
  for (int i = 0; i < 1000; ++i) shares.push_back(std::pow((i + 0.5) / 1000, 1.5));
  const Calibration found = calibration_of("log density", shares, {0.5}, Region::Highest);
  BOOST_TEST(found.coverage[0].within == 370);  // u^1.5 >= 0.5
  BOOST_TEST(found.fault(0.001) == "too narrow");
}

BOOST_AUTO_TEST_CASE(binomial_probabilities) {
  BOOST_CHECK_CLOSE(binomial_p_value(0, 10, 0.5), 2.0 / 1024, 1e-9);
  BOOST_CHECK_CLOSE(binomial_p_value(3, 10, 0.2), 2 * 0.3222004736, 1e-6);
  BOOST_TEST(binomial_p_value(5, 10, 0.5) == 1);
  BOOST_TEST(binomial_p_value(50'000, 100'000, 0.5) > 0.99);
  BOOST_TEST((binomial_band(100, 0.5, 0.95) == std::pair<std::int64_t, std::int64_t>{40, 60}));
  BOOST_TEST((binomial_band(5, 0.5, 0.95) == std::pair<std::int64_t, std::int64_t>{0, 5}));
}

BOOST_AUTO_TEST_SUITE_END()
