// Likelihoods: how data are distributed around what a decoder says.
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <map>
#include <numbers>

#include "flows/layers/likelihood.h"
#include "tensor/ops.h"

using namespace nf;
using namespace nf::flows;

namespace {

/// 0..levels-1, (levels, 1), f64.
Tensor all_levels(int levels) { return Tensor::arange(levels, DType::F64).reshape({levels, 1}); }

}  // namespace

BOOST_AUTO_TEST_SUITE(flows_likelihood)

BOOST_AUTO_TEST_CASE(masses_of_a_discretised_logistic_add_up_to_one) {
  for (const int levels : {2, 3, 16, 256}) {
    for (const double log_scale : {-3.0, 0.0, 2.0, 6.0}) {
      for (const double h : {-40.0, -1.0, -0.3, 0.0, 0.77, 5.0}) {
        const auto likelihood = logistic_likelihood(1, levels);
        likelihood->for_each_parameter(
            [&](const std::string&, Var& p) { p.set_value(Tensor::full({1}, log_scale)); });
        likelihood->to(DType::F64);
        const Tensor x = all_levels(levels);
        const Tensor logs =
            likelihood->log_prob(x, Tensor::full({levels, 1}, h, DType::F64)).value();
        BOOST_CHECK(all_finite(logs));
        BOOST_CHECK_SMALL(sum(exp(logs)).item() - 1, 1e-12);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(a_level_has_the_mass_of_its_cell) {
  const int levels = 8;
  const auto likelihood = logistic_likelihood(1, levels);
  likelihood->for_each_parameter(
      [&](const std::string&, Var& p) { p.set_value(Tensor::full({1}, std::log(1.7))); });
  likelihood->to(DType::F64);
  const double h = 0.4, mean = 3.5 + h * 3.5;
  const auto cdf = [&](double at) { return 1 / (1 + std::exp(-(at - mean) / 1.7)); };
  const auto logs =
      likelihood->log_prob(all_levels(levels), Tensor::full({levels, 1}, h, DType::F64))
          .value()
          .to_vector<double>();
  for (int k = 0; k < levels; ++k) {
    const double low = k == 0 ? 0 : cdf(k - 0.5), high = k == levels - 1 ? 1 : cdf(k + 0.5);
    BOOST_CHECK_CLOSE(std::exp(logs[static_cast<std::size_t>(k)]), high - low, 1e-5);  // f32 scale
  }
  // Far away a cell's logarithm falls as the logistic's tail does.
  const Tensor far = Tensor::full({1, 1}, -1e3, DType::F64);
  const double here =
      likelihood->log_prob(Tensor::full({1, 1}, 5.0, DType::F64), far).value().item();
  BOOST_CHECK_CLOSE(here, (-3496.5 - 4.5) / 1.7 + std::log(1 - std::exp(-1 / 1.7)), 1e-4);
}

BOOST_AUTO_TEST_CASE(bernoulli_and_gaussian_are_their_formulas) {
  const auto bernoulli = bernoulli_likelihood(3), gaussian = gaussian_likelihood(3);
  for (const auto& likelihood : {bernoulli, gaussian}) likelihood->to(DType::F64);
  const double h[] = {0.3, -2, 30}, x[] = {1, 0, 1}, y[] = {0.5, -1, 29}, s[] = {0.5, -1, 2};
  gaussian->for_each_parameter([&](const std::string&, Var& p) {
    p.set_value(Tensor::from(std::vector<double>(s, s + 3), {3}));
  });
  double of_levels = 0, of_reals = 0;
  for (int d = 0; d < 3; ++d) {
    const double p = 1 / (1 + std::exp(-h[d])), z = (y[d] - h[d]) / std::exp(s[d]);
    of_levels += x[d] > 0 ? std::log(p) : std::log1p(-p);
    of_reals += -z * z / 2 - s[d] - std::log(2 * std::numbers::pi) / 2;
  }
  const auto row = [](const double* values) {
    return Tensor::from(std::vector<double>(values, values + 3), {1, 3});
  };
  BOOST_CHECK_CLOSE(bernoulli->log_prob(row(x), row(h)).value().item(), of_levels, 1e-10);
  BOOST_CHECK_CLOSE(gaussian->log_prob(row(y), row(h)).value().item(), of_reals, 1e-10);
  BOOST_CHECK_CLOSE(bernoulli->middle(row(h)).value().to_vector<double>()[1],
                    1 / (1 + std::exp(2.0)), 1e-10);
}

BOOST_AUTO_TEST_CASE(draws_have_the_masses_of_their_likelihood) {
  constexpr std::int64_t kDraws = 40'000;
  for (const auto& likelihood : {logistic_likelihood(1, 5), bernoulli_likelihood(1)}) {
    likelihood->to(DType::F64);
    const int levels = likelihood->levels();
    Generator gen(5);
    const auto h = [](std::int64_t n) { return Tensor::full({n, 1}, 0.6, DType::F64); };
    std::map<double, double> share;
    for (const double v : likelihood->draw(h(kDraws), gen).value().to_vector<double>()) {
      share[v] += 1.0 / kDraws;
    }
    const auto logs =
        likelihood->log_prob(all_levels(levels), h(levels)).value().to_vector<double>();
    for (int k = 0; k < levels; ++k) {
      BOOST_CHECK_SMALL(share[k] - std::exp(logs[static_cast<std::size_t>(k)]), 0.01);
    }
    BOOST_CHECK_EQUAL(std::ssize(share), levels);  // no others
  }
}

BOOST_AUTO_TEST_CASE(a_decoder_of_zeros_says_what_the_rows_are_on_average) {
  const Tensor x = Tensor::from(std::vector<float>{0, 1, 0, 1, 0, 0, 0, 1}, {4, 2});
  const auto bernoulli = bernoulli_likelihood(2);
  bernoulli->initialize(x);
  const auto p = bernoulli->middle(Tensor::zeros({1, 2})).value().to_vector<float>();
  BOOST_CHECK_CLOSE(p[0], 0.001F, 0.1);  // never 0
  BOOST_CHECK_CLOSE(p[1], 0.75F, 1e-3);
  const auto logistic = logistic_likelihood(2, 4);
  logistic->initialize(x * 3.0);
  const auto m = logistic->middle(Tensor::zeros({1, 2})).value().to_vector<float>();
  BOOST_CHECK_SMALL(m[0], 1e-6F);
  BOOST_CHECK_CLOSE(m[1], 2.25F, 1e-3);
}

BOOST_AUTO_TEST_SUITE_END()
