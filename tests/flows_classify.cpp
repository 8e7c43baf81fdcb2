// Bayes' rule on densities of labels: posteriors, a temperature, how right and how sure.
#include "flows/examine/classify.h"

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>

#include "tensor/ops.h"
#include "tensor/random.h"

using namespace nf;
using namespace nf::flows;

BOOST_AUTO_TEST_SUITE(flows_classify)

namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

Tensor table(std::initializer_list<double> values, std::int64_t classes) {
  return Tensor::from(std::vector<double>(values), {std::ssize(values) / classes, classes});
}

/// Scores of a density that is `times` too sure: of rows whose label 1 has the probability p, which
/// is uniform on (0, 1), and their labels.
struct TooSure {
  Tensor scores, labels;
  TooSure(double times, std::int64_t n) {
    Generator gen(3);
    const std::vector<double> p = uniform(gen, {n}, DType::F64).to_vector<double>();
    const std::vector<double> u = uniform(gen, {n}, DType::F64).to_vector<double>();
    std::vector<double> values;
    std::vector<std::int32_t> of;
    for (std::size_t i = 0; i < p.size(); ++i) {
      values.insert(values.end(), {times * std::log(1 - p[i]), times * std::log(p[i])});
      of.push_back(u[i] < p[i] ? 1 : 0);
    }
    scores = Tensor::from(values, {n, 2});
    labels = Tensor::from(of, {n});
  }
};

const std::vector<double> kAlike = {std::log(0.5), std::log(0.5)};

}  // namespace

BOOST_AUTO_TEST_CASE(posteriors_follow_bayes_rule) {
  struct Case {
    std::vector<double> scores, prior;
    double temperature;
    std::vector<double> expected;
  };
  const Case cases[] = {
      {{0, 0}, {0.5, 0.5}, 1, {0.5, 0.5}},
      {{std::log(3), 0}, {0.5, 0.5}, 1, {0.75, 0.25}},
      {{std::log(3), 0}, {0.25, 0.75}, 1, {0.5, 0.5}},
      {{std::log(9), 0}, {0.5, 0.5}, 2, {0.75, 0.25}},  // sqrt(9) : 1
      {{std::log(9), 0}, {0.25, 0.75}, 2, {0.5, 0.5}},  // the prior is not scaled
      {{-1e6, -1e6 - 1}, {0.5, 0.5}, 1, {1 / (1 + std::exp(-1)), 1 / (1 + std::exp(1))}},
      {{-kInf, 5}, {0.5, 0.5}, 1, {0, 1}},
      {{5, 0}, {0, 1}, 1, {0, 1}},  // a label that never comes
  };
  for (const Case& c : cases) {
    std::vector<double> log_prior;
    for (const double p : c.prior) log_prior.push_back(std::log(p));
    const auto got =
        log_posterior(Tensor::from(c.scores, {1, 2}), log_prior, c.temperature).to_vector<double>();
    for (std::size_t k = 0; k < 2; ++k)
      BOOST_TEST(std::abs(std::exp(got[k]) - c.expected[k]) < 1e-10);
  }
  for (const auto& broken : {std::vector<double>{std::nan(""), 0}, {-kInf, -kInf}}) {
    const Tensor p = log_posterior(Tensor::from(broken, {1, 2}), kAlike);
    BOOST_TEST(std::isnan(p.to_vector<double>()[1]));
    BOOST_TEST(most_probable(p) == std::vector<std::int32_t>{-1});
  }
}

BOOST_AUTO_TEST_CASE(the_temperature_undoes_what_is_too_sure) {
  for (const double times : {0.5, 1.0, 8.0}) {
    const TooSure data(times, 40000);
    const double t = fit_temperature(data.scores, kAlike, data.labels);
    BOOST_TEST(std::abs(std::log(t / times)) < 0.03);
    const auto judged = [&](double temperature) {
      return classification_of(log_posterior(data.scores, kAlike, temperature), data.labels);
    };
    BOOST_TEST(judged(t).calibration_error < 0.01);
    // E max(p, 1 - p) = 3/4; E of the entropy of p is 1/2.
    BOOST_TEST(std::abs(judged(t).accuracy.mean - 0.75) < 4 * judged(t).accuracy.error);
    BOOST_TEST(std::abs(judged(t).cross_entropy.mean - 0.5) < 4 * judged(t).cross_entropy.error);
  }
}

// p(true label) = e^-2000 is 0 in f64, but its logarithm is known.
BOOST_AUTO_TEST_CASE(a_row_that_is_wrong_for_sure_has_a_finite_loss) {
  const Tensor p = log_posterior(table({0, -2000, 0, 0}, 2), kAlike);
  const Tensor labels = Tensor::from(std::vector<std::int32_t>{1, 1}, {2});
  BOOST_TEST(std::abs(classification_of(p, labels).cross_entropy.mean - (2000 + std::log(2)) / 2) <
             1e-9);
}

BOOST_AUTO_TEST_CASE(right_and_sure_are_counted) {
  const Tensor p = log(table({0.9, 0.1, 0.6, 0.4, 0.3, 0.7, std::nan(""), std::nan("")}, 2));
  const Tensor labels = Tensor::from(std::vector<std::int32_t>{0, 1, 1, 0}, {4});
  const Classification c = classification_of(p, labels);
  BOOST_TEST(c.accuracy.mean == 0.5);
  BOOST_TEST(c.undecided == 1);
  BOOST_TEST(c.confusion == (std::vector<std::int64_t>{1, 0, 1, 1}));
  BOOST_TEST(std::abs(c.confidence - (0.9 + 0.6 + 0.7 + 0) / 4) < 1e-12);
  // Each in a bin of its own: |1 - 0.9|, |0 - 0.6|, |1 - 0.7|, |0 - 0|.
  BOOST_TEST(std::abs(c.calibration_error - (0.1 + 0.6 + 0.3) / 4) < 1e-12);
  BOOST_TEST(std::isnan(c.cross_entropy.mean));
  BOOST_CHECK_THROW(classification_of(p, Tensor::from(std::vector<std::int32_t>{0, 1, 2, 0}, {4})),
                    Error);
  BOOST_CHECK_THROW(classification_of(p, Tensor::from(std::vector<std::int32_t>{0, 1}, {2})),
                    Error);
}

BOOST_AUTO_TEST_SUITE_END()
