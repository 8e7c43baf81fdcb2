// Baselines: against densities that are known, and formulas done by hand.
#include "flows/examine/baselines.h"

#include <cmath>
#include <numbers>
#include <optional>

#include "tensor/ops.h"
#include "tensor/random.h"
#include "tests/data_util.h"

using namespace nf;
using flows::Baselines;

BOOST_AUTO_TEST_SUITE(flows_baselines)

namespace {

double mean_of(const std::vector<double>& scores) {
  double total = 0;
  for (const double score : scores) total += score;
  return total / static_cast<double>(scores.size());
}

struct Nats {
  double independent = 0;
  std::optional<double> gaussian = {};
};

Nats nats(const Baselines& baselines, const Tensor& x) {
  const Baselines::Scores scores = baselines.scores(x);
  Nats reached{mean_of(scores.independent)};
  if (!scores.gaussian.empty()) reached.gaussian = mean_of(scores.gaussian);
  return reached;
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_correlated_gaussian_reaches_its_entropy) {
  // x = (1000 + 3 u, 3 u + 4 v): standard deviations 3 and 5, correlation 3/5, ln det = 2 ln 12.
  Generator gen(1);
  const Tensor noise = normal(gen, {20000, 2}, DType::F64);
  const Tensor u = noise.narrow(1, 0, 1), v = noise.narrow(1, 1, 1);
  const Tensor x = concat(std::vector{3 * u + 1000, 3 * u + 4 * v}, 1).to(DType::F32);
  const Nats reached = nats(Baselines(x), x);
  const double entropy = 1 + std::log(2 * std::numbers::pi);
  BOOST_REQUIRE(reached.gaussian.has_value());
  BOOST_CHECK_SMALL(*reached.gaussian + entropy + std::log(12.0), 0.03);
  BOOST_CHECK_SMALL(reached.independent + entropy + std::log(15.0), 0.03);
  // On its own rows the fit is exactly -ln det / 2 - D / 2 (1 + ln 2 pi): no row is lost.
  const Tensor far = Tensor::from(std::vector<double>{1003, 3}, {1, 2});
  BOOST_CHECK_SMALL(
      *nats(Baselines(x), far).gaussian + std::log(12.0) + std::log(2 * std::numbers::pi) + 0.5,
      0.05);  // u = 1, v = 0
}

// x = B g + e: given g, only e is left. Without it, a third more.
BOOST_AUTO_TEST_CASE(means_are_linear_in_what_is_given) {
  constexpr std::int64_t kRows = 20000;
  Generator gen(2);
  const Tensor g = normal(gen, {kRows, 2}, DType::F64) * 50 + 1e9;  // time stamps, say
  const Tensor e = normal(gen, {kRows, 2}, DType::F64);
  const Tensor slope = Tensor::from(std::vector<double>{0.3, -0.1, 0.02, 0.5}, {2, 2});
  const Tensor x = matmul(g - 1e9, slope) + 2 * e + 7;
  const double entropy = 1 + std::log(2 * std::numbers::pi) + 2 * std::log(2.0);
  const Baselines columns(x, {}, g);
  BOOST_TEST(columns.conditional());
  // Read back from a file, beside fresh rows.
  const auto state = columns.state();
  const Baselines again = Baselines::from({state.begin(), state.end()}, "");
  BOOST_TEST(again.conditional());
  const auto scores = again.scores(x, g);
  BOOST_CHECK_SMALL(mean_of(scores.gaussian) + entropy, 0.03);
  BOOST_CHECK_SMALL(mean_of(scores.independent) + entropy, 0.03);
  BOOST_TEST(mean_of(Baselines(x).scores(x).gaussian) < -entropy - 3);
  BOOST_CHECK_THROW(again.scores(x), Error);
  BOOST_CHECK_THROW(again.scores(x, g.narrow(1, 0, 1)), Error);
  // A column that is given twice, and one that is constant, change nothing.
  const Tensor twice =
      concat(std::vector{g, g.narrow(1, 0, 1), Tensor::full({kRows, 1}, 3, DType::F64)}, 1);
  BOOST_CHECK_SMALL(mean_of(Baselines(x, {}, twice).scores(x, twice).gaussian) + entropy, 0.03);
}

BOOST_AUTO_TEST_CASE(each_label_has_its_own_mean) {
  constexpr std::int64_t kRows = 20000;
  Generator gen(3);
  const Tensor label = (uniform(gen, {kRows, 1}) * 3).to(DType::I32);
  const Tensor far = label.to(DType::F64) * label.to(DType::F64) * 20.0;  // 0, 20, 80
  const Tensor x = far + normal(gen, {kRows, 2}, DType::F64);
  const double entropy = 1 + std::log(2 * std::numbers::pi);
  const auto scores = Baselines(x, {}, label, 4).scores(x, label);  // no row has the label 3
  BOOST_CHECK_SMALL(mean_of(scores.gaussian) + entropy, 0.03);
  const Tensor none = Tensor::full({kRows, 1}, 4, DType::I32);
  BOOST_CHECK_THROW(Baselines(x, {}, label, 4).scores(x, none), Error);
  // Of bytes the Gaussian knows the label, frequencies do not.
  const Tensor bytes = (far + 50).to(DType::U8);
  const auto of_bytes = Baselines(bytes, {}, label, 4).scores(bytes, label);
  BOOST_TEST(mean_of(of_bytes.gaussian) > mean_of(Baselines(bytes).scores(bytes).gaussian) + 2);
  BOOST_CHECK_SMALL(mean_of(of_bytes.independent) + std::log(3.0), 0.02);
}

// The time of a Gaussian is the cube of the dimensions.
BOOST_AUTO_TEST_CASE(a_gaussian_has_at_most_4096_dimensions) {
  const Tensor x = Tensor::from(std::vector<std::uint8_t>{3, 8}, {2, 1}).broadcast_to({2, 4097});
  const Baselines::Scores scores = Baselines(x).scores(x);
  BOOST_TEST(scores.gaussian.empty());
  BOOST_TEST(scores.independent.size() == 2);
  const Tensor pixels = x.narrow(1, 0, 1100);
  BOOST_TEST(Baselines(pixels).scores(pixels).gaussian.size() == 2);
}

// 600 dimensions are more than one block of columns: against the density of the rows in a basis in
// which they are independent. x = A u with A the identity and ones below the diagonal: ln det 0.
BOOST_AUTO_TEST_CASE(a_gaussian_in_more_dimensions_than_a_block) {
  constexpr std::int64_t kDims = 600;
  Generator gen(3);
  const Tensor u = normal(gen, {20000, kDims}, DType::F64);
  const Tensor before =
      concat(std::vector{Tensor::zeros({20000, 1}, DType::F64), u.narrow(1, 0, kDims - 1)}, 1);
  const Tensor x = u + before;
  const double fitted = *nats(Baselines(x), x).gaussian;
  const double entropy = kDims * 0.5 * (1 + std::log(2 * std::numbers::pi));
  // What a fit to its own rows gains: about D (D + 3) / 4 N nats.
  BOOST_CHECK_SMALL(fitted + entropy - kDims * (kDims + 3) / 4. / 20000, 0.8);
}

// Of fewer rows than dimensions the correlations are singular: rows that were not among them would
// have next to no density, 1e9 nats less than independent columns.
BOOST_AUTO_TEST_CASE(a_gaussian_of_few_rows_is_shrunk) {
  Generator gen(4);
  const Tensor x = normal(gen, {60, 80}, DType::F64);
  const Tensor shared = x + 2 * normal(gen, {60, 1}, DType::F64);
  for (const bool correlated : {false, true}) {
    const Tensor& rows = correlated ? shared : x;
    const Nats reached = nats(Baselines(rows.narrow(0, 0, 40)), rows.narrow(0, 40, 20));
    BOOST_TEST(*reached.gaussian > reached.independent - (correlated ? 0 : 10));
  }
}

BOOST_AUTO_TEST_CASE(a_saved_fit_gives_the_same_scores) {
  Generator gen(5);
  const Tensor reals = normal(gen, {50, 3}, DType::F64);
  const Tensor pixels = (uniform(gen, {50, 3}) * 256.0).to(DType::U8);
  for (const Tensor& x : {reals, pixels}) {
    const Baselines fit(x, x.dtype() == DType::U8 ? std::vector<std::int32_t>{} : std::vector{1});
    const nn::StateDict state = fit.state();
    const std::map<std::string, Tensor> saved(state.begin(), state.end());
    const Baselines::Scores then = fit.scores(x), now = Baselines::from(saved, "").scores(x);
    BOOST_TEST(now.independent == then.independent, boost::test_tools::per_element());
    BOOST_TEST(now.gaussian == then.gaussian, boost::test_tools::per_element());
    for (const char* name : {"mean", "noise", "noise_square"}) {
      auto damaged = saved;
      damaged.erase(name);
      test::check_error([&] { Baselines::from(damaged, "file: "); }, {"file: ", name});
    }
    auto damaged = saved;
    damaged["deviation"] = Tensor::zeros({2}, DType::F64);
    test::check_error([&] { Baselines::from(damaged, "file: "); }, {"file: 'deviation'", "(3,)"});
  }
}

BOOST_AUTO_TEST_CASE(levels_by_hand) {
  // One dimension: 3 times level 0, once level 255; then one with a single level.
  const Tensor x = Tensor::from(std::vector<std::uint8_t>{0, 7, 0, 7, 0, 7, 255, 7}, {4, 2});
  const Baselines baselines(x);
  const Nats reached = nats(baselines, Tensor::from(std::vector<std::uint8_t>{0, 7, 1, 7}, {2, 2}));
  const double expected = (std::log(4 / 260.) + std::log(1 / 260.)) / 2 + std::log(5 / 260.);
  BOOST_CHECK_CLOSE(reached.independent, expected, 1e-9);
}

// Levels of a Gaussian on a logit scale, correlated by 3/5: its density at the levels is known.
BOOST_AUTO_TEST_CASE(the_gaussian_of_levels_is_one_of_their_logits) {
  for (const double alpha : {1e-6, 0.05}) {
    Generator gen(7);
    const Tensor noise = normal(gen, {20000, 2}, DType::F64);
    const Tensor u = noise.narrow(1, 0, 1), v = noise.narrow(1, 1, 1);
    const Tensor y = concat(std::vector{0.5 * u - 0.5, 0.3 * u + 0.4 * v}, 1);
    const Tensor half = exp(y) / (exp(y) + 1);  // sigmoid(y), farther than alpha from 0 and 1
    const Tensor x = ((half - alpha) / (1 - 2 * alpha) * 256.0).to(DType::U8);
    const Nats reached = nats(Baselines(x), x);
    BOOST_REQUIRE(reached.gaussian.has_value());
    // -H(y) + E ln |dy/dx|, the second by the mean of the draws.
    const double slope = (1 - 2 * alpha) / 256;
    const double log_det = 2 * (std::log(slope) - mean(log(half * (-half + 1))).item());
    const double entropy = 1 + std::log(2 * std::numbers::pi) + std::log(0.5 * 0.4);
    BOOST_CHECK_SMALL(*reached.gaussian - (log_det - entropy), 0.03);
  }
}

BOOST_AUTO_TEST_CASE(whole_numbers_are_spread_over_their_unit) {
  // Uncorrelated: column 0 is real with variance 1, column 1 is 0 or 1, which as a real number
  // has the variance 1/4, spread 1/4 + 1/12.
  const Tensor x = Tensor::from(std::vector<double>{-1, 0, 1, 0, -1, 1, 1, 1}, {4, 2});
  const double whole = 0.25 + 1. / 12, two_pi = 2 * std::numbers::pi;
  const double expected = -0.5 * (2 * std::log(two_pi) + 1 + std::log(whole) + 1);
  const Nats reached = nats(Baselines(x, {1}), x);
  BOOST_CHECK_CLOSE(reached.independent, expected, 1e-6);
  BOOST_REQUIRE(reached.gaussian.has_value());
  BOOST_CHECK_CLOSE(*reached.gaussian, expected, 1e-6);
}

BOOST_AUTO_TEST_CASE(columns_that_follow_from_others_and_constant_ones) {
  Generator gen(2);
  const Tensor u = normal(gen, {500, 1});
  const Tensor twice = concat(std::vector{u, 2 * u}, 1);
  const Nats reached = nats(Baselines(twice), twice);
  BOOST_REQUIRE(reached.gaussian.has_value());
  BOOST_CHECK(std::isfinite(*reached.gaussian));
  BOOST_CHECK(*reached.gaussian > reached.independent + 5);  // it saw that they are one
  const Tensor constant = concat(std::vector{u, Tensor::ones({500, 1})}, 1);
  BOOST_CHECK(!nats(Baselines(constant), constant).gaussian);
  BOOST_CHECK(!std::isfinite(nats(Baselines(constant), constant).independent));
}

BOOST_AUTO_TEST_CASE(wrong_rows_are_refused) {
  test::check_error([] { Baselines(Tensor::zeros({0, 2})); }, {"[baselines]", "rows"});
  const Baselines baselines(Tensor::from(std::vector<float>{1, 2, 3, 5}, {2, 2}));
  test::check_error([&] { baselines.scores(Tensor::zeros({1, 3})); }, {"[baselines]", "2 reals"});
  test::check_error([&] { baselines.scores(Tensor::zeros({1, 2}, DType::U8)); }, {"[baselines]"});
}

BOOST_AUTO_TEST_SUITE_END()
