// AnyOrder: whether it is a density, whether its conditionals are its own, and whether training's
// estimate is one of it.
#include <boost/test/unit_test.hpp>
#include <cmath>

#include "autograd/gradcheck.h"
#include "flows/layers/conditions.h"
#include "flows/models/any_order.h"
#include "tests/data_util.h"
#include "tests/devices.h"

using namespace nf;
using namespace nf::flows;
using namespace nf::test;

namespace {

/// Rows (n, D) that depend on one another, the columns in `whole` whole numbers.
Tensor table(std::int64_t n, std::int64_t dims, const std::vector<std::int32_t>& whole) {
  std::vector<double> x(static_cast<std::size_t>(n * dims));
  const auto draws = draw({n, dims}, DType::F64, 4).to_vector<double>();
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t d = 0; d < dims; ++d) {
      const auto at = static_cast<std::size_t>(i * dims + d);
      x[at] = 3 + 1.5 * draws[at] + (d > 0 ? 0.8 * x[at - 1] : 0);
    }
  }
  for (std::int64_t i = 0; i < n; ++i) {
    for (const std::int32_t d : whole) {
      double& value = x[static_cast<std::size_t>(i * dims + d)];
      value = std::round(value);
    }
  }
  return Tensor::from(x, {n, dims});
}

struct Made {
  std::shared_ptr<AnyOrder> density;
  Tensor rows;
};

/// With parameters away from where they begin, in evaluation mode.
Made made(std::int64_t dims, const std::vector<std::int32_t>& whole, int orders = 3,
          std::int64_t classes = 0) {
  Generator weights(1, 1);
  AnyOrderOptions options{.dims = dims,
                          .whole = whole,
                          .hidden_units = 7,
                          .hidden_layers = 2,
                          .components = 3,
                          .orders = orders};
  std::shared_ptr<Condition> condition;
  if (classes > 0) condition = std::make_shared<LabelCondition>(classes, 0, weights);
  auto density = std::make_shared<AnyOrder>(options, condition, weights, Generator(1, 2));
  const Tensor rows = table(300, dims, whole);
  if (classes == 0) density->initialize(rows);
  Generator gen(6);
  density->for_each_parameter([&](const std::string&, Var& p) {
    p.set_value(p.value() + 0.3 * normal(gen, p.shape(), p.dtype()));
  });
  density->eval();
  return {density, rows};
}

Tensor grid(const std::vector<double>& axis, std::int64_t dims) {
  std::vector<double> all;
  std::size_t count = 1;
  for (std::int64_t d = 0; d < dims; ++d) count *= axis.size();
  for (std::size_t i = 0; i < count; ++i) {
    std::size_t rest = i;
    for (std::int64_t d = 0; d < dims; ++d, rest /= axis.size())
      all.push_back(axis[rest % axis.size()]);
  }
  return Tensor::from(all, {static_cast<std::int64_t>(count), dims});
}

double sum_of(const Tensor& t) { return sum(t.to(DType::F64)).item(); }

}  // namespace

BOOST_AUTO_TEST_SUITE(flows_any_order)

BOOST_AUTO_TEST_CASE(reals_integrate_and_whole_numbers_add_up_to_one) {
  const NoGrad no_grad;
  std::vector<double> fine, coarse;
  for (int i = -400; i < 500; ++i) fine.push_back(0.1 * i);
  for (int i = -60; i < 80; ++i) coarse.push_back(i);
  {
    const Made m = made(2, {});
    BOOST_CHECK_CLOSE(sum_of(exp(m.density->log_prob(grid(fine, 2)).value())) * 0.01, 1, 0.2);
  }
  {
    const Made m = made(2, {0, 1});
    BOOST_CHECK_CLOSE(sum_of(exp(m.density->log_prob(grid(coarse, 2)).value())), 1, 0.05);
  }
}

BOOST_AUTO_TEST_CASE(log_prob_is_the_chain_of_its_conditionals) {
  const NoGrad no_grad;
  for (const std::vector<std::int32_t>& whole : {std::vector<std::int32_t>{}, {1}}) {
    const Made m = made(3, whole, 1);
    std::vector<std::int32_t> columns;
    m.density->for_each_buffer([&](const std::string& name, Tensor& t) {
      if (name == "orders") columns = t.to_vector<std::int32_t>();
    });
    Tensor known = Tensor::zeros({1, 3}), total = Tensor::zeros({300});
    for (const std::int32_t column : columns) {
      const Tensor all = m.density->log_conditionals(m.rows, known.clone()).value();
      total = total + all.narrow(1, column, 1).reshape({300});
      known.narrow(1, column, 1).fill_(1);
    }
    CHECK_SAME(m.density->log_prob(m.rows).value(), total, 1e-5, "chain");
  }
}

// The mean over both orders of two columns, by all that is known of them.
BOOST_AUTO_TEST_CASE(training_estimates_the_mean_over_orders) {
  const NoGrad no_grad;
  const Made m = made(2, {1});
  const Tensor row = m.rows.narrow(0, 0, 1);
  const auto at = [&](double first, double second) {
    return m.density
        ->log_conditionals(row, Tensor::from<float>({float(first), float(second)}, {1, 2}))
        .value()
        .to_vector<float>();
  };
  const auto none = at(0, 0), first = at(1, 0), second = at(0, 1);
  const double exact = 0.5 * (none[0] + first[1] + none[1] + second[0]);
  m.density->train();
  constexpr std::int64_t kRows = 200'000;
  const Tensor draws =
      m.density->log_prob(row.broadcast_to({kRows, 2}).contiguous()).value().to(DType::F64);
  const double error = std::sqrt(variance(draws).item() / static_cast<double>(kRows));
  BOOST_TEST(std::abs(mean(draws).item() - exact) < 4 * error,
             mean(draws).item() << " +- " << error << " for " << exact);
  BOOST_TEST(error < 0.02);
}

BOOST_AUTO_TEST_CASE(draws_are_those_of_the_density) {
  const NoGrad no_grad;
  const Made m = made(2, {0, 1});
  Generator gen(9);
  constexpr std::int64_t kDraws = 40'000;
  const std::vector<double> x = m.density->sample(gen, kDraws).to_vector<double>();
  std::vector<double> axis;
  for (int i = -2; i < 14; ++i) axis.push_back(i);
  const Tensor cells = grid(axis, 2);
  const std::vector<double> log_p =
      m.density->log_prob(cells).value().to(DType::F64).to_vector<double>();
  const std::vector<double> cell = cells.to_vector<double>();
  double chi2 = 0;
  int count = 0;
  for (std::size_t c = 0; c < log_p.size(); ++c) {
    const double expected = kDraws * std::exp(log_p[c]);
    if (expected < 20) continue;
    double found = 0;
    for (std::size_t i = 0; i < x.size(); i += 2) {
      found += x[i] == cell[2 * c] && x[i + 1] == cell[2 * c + 1];
    }
    chi2 += (found - expected) * (found - expected) / expected;
    ++count;
  }
  BOOST_TEST(count > 20);
  BOOST_TEST(chi2 < count + 5 * std::sqrt(2.0 * count), chi2 << " of " << count);
}

BOOST_AUTO_TEST_CASE(what_is_known_stays) {
  const NoGrad no_grad;
  const Made m = made(4, {2});
  Tensor known = Tensor::zeros({300, 4});
  known.narrow(1, 1, 2).fill_(1);
  Generator gen(3);
  const Tensor x = m.density->complete(gen, m.rows, known);
  CHECK_SAME(x.narrow(1, 1, 1), m.rows.narrow(1, 1, 1), 1e-6, "a real column");
  CHECK_SAME(x.narrow(1, 2, 1), m.rows.narrow(1, 2, 1), 0, "a whole one");
  BOOST_TEST(max(abs(x.narrow(1, 0, 1) - m.rows.narrow(1, 0, 1))).item() > 0.1);
}

BOOST_AUTO_TEST_CASE(gradients_are_derivatives) {
  const Made m = made(3, {1}, 2);
  m.density->to(DType::F64);
  const Tensor rows = m.rows.narrow(0, 0, 4);
  std::vector<Var*> parameters;
  std::vector<Tensor> at;
  for (auto& [name, p] : m.density->parameters()) {
    parameters.push_back(p);
    at.push_back(p->value());
  }
  for (const bool training : {false, true}) {
    m.density->train(training);
    const auto f = [&](const std::vector<Var>& inputs) {
      for (std::size_t i = 0; i < inputs.size(); ++i) *parameters[i] = inputs[i];
      const auto generators = m.density->generators();
      const KeepGenerators keep(generators);
      return std::vector<Var>{m.density->log_prob(rows)};
    };
    const GradCheck check = gradcheck(f, at);
    BOOST_TEST(check.ok, check.message);
  }
}

BOOST_AUTO_TEST_CASE(labels_are_seen) {
  const NoGrad no_grad;
  const Made m = made(2, {}, 2, 3);
  const Tensor rows = m.rows.narrow(0, 0, 2);
  const auto given = [&](int a) { return Var(Tensor::from<std::int32_t>({a, a}, {2, 1})); };
  const Tensor zero = m.density->log_prob(rows, given(0)).value();
  BOOST_TEST(max(abs(zero - m.density->log_prob(rows, given(1)).value())).item() > 1e-3);
  check_error([&] { m.density->log_prob(rows); }, {"conditional"});
}

BOOST_AUTO_TEST_CASE(impossible_sizes_are_refused) {
  Generator gen;
  const auto make = [&](AnyOrderOptions o) { AnyOrder(o, nullptr, gen, Generator(1, 2)); };
  check_error([&] { make({.dims = 0}); }, {"[AnyOrder]"});
  check_error([&] { make({.dims = 2, .components = 257}); }, {"1 to 256"});
  check_error([&] { make({.dims = 2, .orders = 0}); }, {"orders"});
}

BOOST_AUTO_TEST_SUITE_END()
