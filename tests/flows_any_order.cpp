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

/// Of all parameters, in both modes.
void check_gradients(AnyOrder& density, const Tensor& rows) {
  std::vector<Var*> parameters;
  std::vector<Tensor> at;
  for (auto& [name, p] : density.parameters()) {
    parameters.push_back(p);
    at.push_back(p->value());
  }
  for (const bool training : {false, true}) {
    density.train(training);
    const auto f = [&](const std::vector<Var>& inputs) {
      for (std::size_t i = 0; i < inputs.size(); ++i) *parameters[i] = inputs[i];
      const auto generators = density.generators();
      const KeepGenerators keep(generators);
      return std::vector<Var>{density.log_prob(rows)};
    };
    const GradCheck check = gradcheck(f, at);
    BOOST_TEST(check.ok, check.message);
  }
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

// Between 0, where nearly all rows are, and a few at 300 the distribution function is flat: f32 has
// no digits of its differences.
BOOST_AUTO_TEST_CASE(rare_whole_numbers_have_a_probability) {
  constexpr std::int64_t kRows = 3000;
  std::vector<double> x(kRows, 0.0), asked;
  for (std::size_t i = 0; i < x.size(); ++i)
    x[i] = i % 1000 == 0 ? 300 : static_cast<double>(i % 3);
  for (int k = -50; k <= 400; ++k) asked.push_back(k);
  Generator weights(1, 1);
  AnyOrder density({.dims = 1,
                    .whole = {0},
                    .hidden_units = 4,
                    .hidden_layers = 1,
                    .components = 2,
                    .orders = 1},
                   nullptr, weights, Generator(1, 2));
  density.initialize(Tensor::from(x, {kRows, 1}));
  for (auto& [name, p] : density.parameters()) {  // narrow: e^-4 of the deviation, which is 9
    if (name == "head.bias") p->set_value(Tensor::from<float>({3, -3, 0, 0, -4, -4}, {6}));
  }
  density.eval();
  const Tensor rows = Tensor::from(asked, {std::ssize(asked), 1});
  const Tensor in_f32 = density.log_prob(rows).value().to(DType::F64);
  density.to(DType::F64);
  BOOST_TEST(all_finite(in_f32));
  BOOST_TEST(max(abs(in_f32 - density.log_prob(rows).value())).item() < 0.01);
}

BOOST_AUTO_TEST_CASE(log_prob_is_the_chain_of_its_conditionals) {
  const NoGrad no_grad;
  for (const std::vector<std::int32_t>& whole : {std::vector<std::int32_t>{}, {1}}) {
    const Made m = made(3, whole, 2);
    m.density->use_orders(1);
    std::vector<std::int32_t> columns;
    m.density->for_each_buffer([&](const std::string& name, Tensor& t) {
      if (name == "orders") columns = t.narrow(0, 0, 1).to_vector<std::int32_t>();
    });
    Tensor known = Tensor::zeros({1, 3}), total = Tensor::zeros({300});
    for (const std::int32_t column : columns) {
      const Tensor all = m.density->log_conditionals(m.rows, known.clone()).value();
      total = total + all.narrow(1, column, 1).reshape({300});
      known.narrow(1, column, 1).fill_(1);
    }
    CHECK_SAME(m.density->log_prob(m.rows).value(), total, 1e-5, "chain");
    m.density->use_orders(0);
    BOOST_TEST(max(abs(m.density->log_prob(m.rows).value() - total)).item() > 1e-3);
    check_error([&] { m.density->use_orders(3); }, {"[AnyOrder] has 2 orders"});
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
  check_gradients(*m.density, m.rows.narrow(0, 0, 4));
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

// --- mixed tables -------------------------------------------------------------------------------

namespace {

const double kNothing = std::nan("");

/// A real number between 0 and 1, a category of 3, a whole number and a category of 2.
Made mixed(int orders = 3) {
  Generator weights(1, 1), gen(8);
  const AnyOrderOptions options{
      .dims = 4,
      .whole = {2},
      .categories = {0, 3, 0, 2},
      .bounds = {{0, 1}, {-INFINITY, INFINITY}, {-INFINITY, INFINITY}, {-INFINITY, INFINITY}},
      .hidden_units = 7,
      .hidden_layers = 2,
      .components = 3,
      .orders = orders};
  auto density = std::make_shared<AnyOrder>(options, nullptr, weights, Generator(1, 2));
  const std::vector<double> u = uniform(gen, {200, 4}, DType::F64).to_vector<double>();
  std::vector<double> x;
  for (std::size_t i = 0; i < u.size(); i += 4) {
    x.insert(x.end(), {0.05 + 0.9 * u[i], std::floor(3 * u[i + 1]), std::floor(6 * u[i + 2]),
                       std::floor(2 * u[i + 3])});
  }
  const Tensor rows = Tensor::from(x, {200, 4});
  density->initialize(rows);
  density->for_each_parameter([&](const std::string&, Var& p) {
    p.set_value(p.value() + 0.3 * normal(gen, p.shape(), p.dtype()));
  });
  density->eval();
  return {density, rows};
}

/// All rows whose columns have these values.
Tensor product(const std::vector<std::vector<double>>& axes) {
  std::vector<double> all;
  std::size_t count = 1;
  for (const auto& axis : axes) count *= axis.size();
  for (std::size_t i = 0; i < count; ++i) {
    std::size_t rest = i;
    for (const auto& axis : axes) {
      all.push_back(axis[rest % axis.size()]);
      rest /= axis.size();
    }
  }
  return Tensor::from(all, {static_cast<std::int64_t>(count), std::ssize(axes)});
}

/// Places between 0 and 1 at equal distances of their logits, since a density may be high near
/// both.
constexpr double kLogitStep = 0.1;
std::vector<double> shares() {
  std::vector<double> axis;
  for (double at = -30; at < 30; at += kLogitStep) axis.push_back(1 / (1 + std::exp(-at)));
  return axis;
}

std::vector<double> wholes() {
  std::vector<double> axis;
  for (int i = -20; i < 30; ++i) axis.push_back(i);
  return axis;
}

}  // namespace

// Whichever cells are missing, what is left has a density.
BOOST_AUTO_TEST_CASE(mixed_rows_add_up_to_one_whatever_is_missing) {
  const NoGrad no_grad;
  const Made m = mixed();
  const std::vector<double> none = {kNothing}, three = {0, 1, 2}, two = {0, 1};
  const std::vector<std::vector<double>> rows[] = {{shares(), three, wholes(), two},
                                                   {shares(), none, none, two},
                                                   {none, three, wholes(), none},
                                                   {none, none, none, two}};
  for (const auto& axes : rows) {
    const Tensor x = product(axes), share = x.narrow(1, 0, 1).reshape({x.dim(0)});
    const Tensor p = exp(m.density->log_prob(x).value()).to(DType::F64);
    const bool known = axes[0].size() > 1;
    BOOST_CHECK_CLOSE(known ? sum_of(p * share * (share * -1.0 + 1.0)) * kLogitStep : sum_of(p), 1,
                      0.3);
  }
  const Tensor nothing = product({none, none, none, none});
  BOOST_TEST(m.density->log_prob(nothing).value().item() == 0, boost::test_tools::tolerance(1e-6));
}

BOOST_AUTO_TEST_CASE(a_missing_cell_is_one_that_is_not_known) {
  const NoGrad no_grad;
  const Made m = mixed(1);
  const Tensor gaps = Tensor::from<double>({0.3, 1, kNothing, 0}, {1, 4});
  const Tensor other = Tensor::from<double>({0.3, 1, 2, 0}, {1, 4});
  const Tensor known = Tensor::from<float>({1, 0, 1, 1}, {1, 4}),
               fewer = Tensor::from<float>({1, 0, 0, 1}, {1, 4});
  const Tensor a = m.density->log_conditionals(gaps, known).value(),
               b = m.density->log_conditionals(other, fewer).value();
  CHECK_SAME(a.narrow(1, 1, 1), b.narrow(1, 1, 1), 1e-6, "the category");
  BOOST_TEST(a.narrow(1, 2, 1).item() == 0);
}

BOOST_AUTO_TEST_CASE(what_is_no_value_of_a_category_or_beyond_a_bound_has_no_density) {
  const NoGrad no_grad;
  const Made m = mixed();
  for (const std::vector<double>& row : {std::vector<double>{0.5, 3, 1, 0},
                                         {0.5, 0.5, 1, 0},
                                         {0.5, 0, 1, -1},
                                         {1.5, 0, 1, 0},
                                         {0, 0, 1, 0}}) {
    BOOST_TEST(m.density->log_prob(Tensor::from(row, {1, 4})).value().item() == -INFINITY);
  }
}

BOOST_AUTO_TEST_CASE(draws_of_categories_are_those_of_the_density) {
  const NoGrad no_grad;
  Generator weights(1, 1), gen(9);
  AnyOrder density({.dims = 2, .categories = {3, 2}, .hidden_units = 5, .hidden_layers = 2},
                   nullptr, weights, Generator(1, 2));
  density.for_each_parameter([&](const std::string&, Var& p) {
    p.set_value(p.value() + 0.5 * normal(gen, p.shape(), p.dtype()));
  });
  density.eval();
  constexpr std::int64_t kDraws = 30'000;
  const std::vector<double> x = density.sample(gen, kDraws).to_vector<double>();
  const Tensor cells = product({{0, 1, 2}, {0, 1}});
  const std::vector<double> cell = cells.to_vector<double>(),
                            p = exp(density.log_prob(cells).value().to(DType::F64))
                                    .to_vector<double>();
  for (std::size_t c = 0; c < p.size(); ++c) {
    double found = 0;
    for (std::size_t i = 0; i < x.size(); i += 2) {
      found += x[i] == cell[2 * c] && x[i + 1] == cell[2 * c + 1];
    }
    BOOST_TEST(std::abs(found / kDraws - p[c]) < 5 * std::sqrt(p[c] / kDraws), cell[2 * c]);
  }
}

BOOST_AUTO_TEST_CASE(missing_cells_are_filled_and_the_others_stay) {
  const NoGrad no_grad;
  const Made m = mixed();
  Generator gen(5);
  Tensor gaps = m.rows.clone();
  gaps.narrow(1, 1, 2).narrow(0, 0, 100).fill_(kNothing);
  gaps.narrow(1, 0, 1).narrow(0, 50, 100).fill_(kNothing);
  const Tensor x = m.density->complete(gen, gaps, Tensor::ones(gaps.shape()));
  const std::vector<double> filled = x.to_vector<double>(), before = gaps.to_vector<double>();
  int others = 0;
  for (std::size_t i = 0; i < filled.size(); ++i) {
    if (!std::isnan(before[i])) {
      BOOST_TEST_REQUIRE(filled[i] == before[i]);  // to the last bit
      continue;
    }
    others += filled[i] != m.rows.to_vector<double>()[i];
    const bool share = i % 4 == 0;
    BOOST_TEST_REQUIRE(
        (share ? filled[i] > 0 && filled[i] < 1 : filled[i] == std::floor(filled[i])));
    BOOST_TEST_REQUIRE((i % 4 != 1 || (filled[i] >= 0 && filled[i] <= 2)));
  }
  BOOST_TEST(others > 100);
}

// Of a row with a missing cell: the mean over both orders of the two others.
BOOST_AUTO_TEST_CASE(training_estimates_the_mean_over_orders_of_what_is_there) {
  const NoGrad no_grad;
  const Made m = mixed();
  const Tensor row = Tensor::from<double>({0.4, 2, kNothing, kNothing}, {1, 4});
  const auto at = [&](float first, float second) {
    return m.density->log_conditionals(row, Tensor::from<float>({first, second, 1, 1}, {1, 4}))
        .value()
        .to_vector<float>();
  };
  const auto none = at(0, 0), first = at(1, 0), second = at(0, 1);
  const double exact = 0.5 * (none[0] + first[1] + none[1] + second[0]);
  m.density->train();
  constexpr std::int64_t kRows = 100'000;
  const Tensor draws =
      m.density->log_prob(row.broadcast_to({kRows, 4}).contiguous()).value().to(DType::F64);
  const double error = std::sqrt(variance(draws).item() / static_cast<double>(kRows));
  BOOST_TEST(std::abs(mean(draws).item() - exact) < 4 * error,
             mean(draws).item() << " +- " << error << " for " << exact);
}

BOOST_AUTO_TEST_CASE(gradients_of_mixed_rows_with_gaps_are_derivatives) {
  const Made m = mixed(2);
  m.density->to(DType::F64);
  Tensor rows = m.rows.narrow(0, 0, 4).clone();
  rows.narrow(1, 1, 2).narrow(0, 1, 1).fill_(kNothing);
  check_gradients(*m.density, rows);
}

// y is missing where x > 0. Rows that have a y are no fair sample of x.
BOOST_AUTO_TEST_CASE(columns_with_gaps_come_last_in_every_order) {
  std::vector<double> rows;
  for (int i = 0; i < 60; ++i) {
    const double x = i % 6 - 3;
    rows.insert(rows.end(), {x, x > 0 ? NAN : x, i % 20 == 0 ? NAN : 2.0 * i, 1.0 * i});
  }
  Generator weights(1, 1);
  const AnyOrderOptions options{.dims = 4, .hidden_units = 3, .hidden_layers = 1, .orders = 20};
  AnyOrder density(options, nullptr, weights, Generator(1, 2));
  density.initialize(Tensor::from(rows, {60, 4}));
  std::vector<std::int32_t> orders;
  density.for_each_buffer([&](const std::string& name, Tensor& buffer) {
    if (name == "orders") orders = buffer.to_vector<std::int32_t>();
  });
  BOOST_TEST_REQUIRE(orders.size() == 80U);
  int x_first = 0;
  for (std::size_t i = 0; i < orders.size(); i += 4) {
    BOOST_TEST(orders[i] + orders[i + 1] == 0 + 3);
    x_first += orders[i] == 0;
    BOOST_TEST(orders[i + 2] == 2);
    BOOST_TEST(orders[i + 3] == 1);
  }
  BOOST_TEST(x_first > 0);
  BOOST_TEST(x_first < 20);
}

BOOST_AUTO_TEST_CASE(impossible_sizes_are_refused) {
  Generator gen;
  const auto make = [&](AnyOrderOptions o) { AnyOrder(o, nullptr, gen, Generator(1, 2)); };
  check_error([&] { make({.dims = 0}); }, {"[AnyOrder]"});
  check_error([&] { make({.dims = 2, .components = 257}); }, {"1 to 256"});
  check_error([&] { make({.dims = 2, .orders = 0}); }, {"orders"});
  check_error([&] { make({.dims = 2, .categories = {0, 1}}); }, {"2 values or more"});
  check_error([&] { make({.dims = 2, .categories = {3}}); }, {"categories of 1 columns"});
}

BOOST_AUTO_TEST_CASE(parameters_are_counted) {
  Generator gen;
  for (const std::vector<std::int32_t>& categories :
       {std::vector<std::int32_t>{}, {0, 4, 0}, {2, 3, 4}}) {
    const AnyOrderOptions o{.dims = 3, .categories = categories, .hidden_units = 5};
    AnyOrder density(o, nullptr, gen, Generator(1, 2));
    BOOST_TEST(AnyOrder::parameters_of(o, 0) == static_cast<double>(density.parameter_count()));
  }
}

BOOST_AUTO_TEST_SUITE_END()
