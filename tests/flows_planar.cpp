// Planar, radial and Sylvester flows: their rows of the flow table, the published formulas, and
// what keeps them invertible.
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <map>

#include "flows/compose.h"
#include "flows/layers/planar.h"
#include "flows/layers/sylvester.h"
#include "tensor/linalg.h"
#include "tests/data_util.h"
#include "tests/devices.h"
#include "tests/flows_rows.h"

namespace nf::test {

using namespace flows;

namespace {

using Basis = SylvesterOptions::Basis;
using Make = std::function<std::shared_ptr<Bijection>(std::int64_t, std::int64_t, Generator&)>;

std::shared_ptr<Bijection> sylvester(Basis basis, bool reversed, std::int64_t dims,
                                     std::int64_t context, Generator& gen) {
  const SylvesterOptions options = {.dims = dims,
                                    .basis = basis,
                                    .columns = 2,
                                    .reflections = 3,
                                    .reversed = reversed,
                                    .context = context};
  return std::make_shared<Sylvester>(options, gen);
}

/// All layers of this file, of dims and columns of a context.
std::vector<std::pair<std::string, Make>> layers() {
  const auto of = [](Basis basis, bool reversed = false) {
    return [=](std::int64_t dims, std::int64_t context, Generator& gen) {
      return sylvester(basis, reversed, dims, context, gen);
    };
  };
  return {{"Planar", [](std::int64_t dims, std::int64_t context,
                        Generator& gen) { return std::make_shared<Planar>(dims, gen, context); }},
          {"Radial", [](std::int64_t dims, std::int64_t context,
                        Generator& gen) { return std::make_shared<Radial>(dims, gen, context); }},
          {"Sylvester, orthogonal", of(Basis::Orthogonal)},
          {"Sylvester, Householder", of(Basis::Householder)},
          {"Sylvester, triangular", of(Basis::Triangular)},
          {"Sylvester, triangular, reversed", of(Basis::Triangular, true)}};
}

Tensor far_points(std::int64_t dims) {
  return concat(std::vector<Tensor>{Tensor::zeros({1, dims}, DType::F64),
                                    Tensor::full({1, dims}, 1e3, DType::F64),
                                    Tensor::full({1, dims}, -1e3, DType::F64)},
                0);
}

}  // namespace

std::vector<FlowRow> planar_rows() {
  std::vector<FlowRow> rows;
  for (const auto& [name, make] : layers()) {
    for (const std::int64_t dims : {1, 2, 5}) {
      for (const std::int64_t context : {0, 3}) {
        rows.push_back({name.substr(0, name.find(',')),
                        {.name = str(name, ", ", dims, " dimensions, ", context, " given"),
                         .make = [make = make, dims,
                                  context](Generator& gen) { return make(dims, context, gen); },
                         .input =
                             [dims](Generator& gen) {
                               return normal(gen, {4, dims}, DType::F64);
                             },
                         .context = context,
                         .extremes = far_points(dims)}});
      }
    }
  }
  return rows;
}

namespace {

/// A planar or radial layer with these numbers, in f64.
template <class Layer>
std::shared_ptr<Layer> with_numbers(std::int64_t dims, const std::vector<double>& own) {
  Generator gen(1);
  auto layer = std::make_shared<Layer>(dims, gen);
  layer->to(DType::F64);
  layer->load_state({{"parameters.own", Tensor::from<double>(own, {std::ssize(own)})}});
  return layer;
}

double largest(const Tensor& x) { return max(abs(x)).item(); }

}  // namespace

}  // namespace nf::test

using namespace nf;
using namespace nf::flows;
using namespace nf::test;

BOOST_AUTO_TEST_SUITE(flows_planar)

BOOST_AUTO_TEST_CASE(every_row_keeps_its_promises) {
  for (const FlowRow& row : planar_rows()) {
    for (const std::string& failure : check_bijection(row.test)) BOOST_ERROR(failure);
  }
}

BOOST_AUTO_TEST_CASE(formulas_are_the_published_ones) {
  const std::vector<double> u = {0.3, -1.7}, w = {1.1, 0.4}, z = {0.2, -0.6};
  const double b = 0.25, a = w[0] * u[0] + w[1] * u[1], length = w[0] * w[0] + w[1] * w[1];
  const double m = -1 + std::log1p(std::exp(a)), t = std::tanh(w[0] * z[0] + w[1] * z[1] + b);
  const auto planar = with_numbers<Planar>(2, {u[0], u[1], w[0], w[1], b});
  const Mapped bent = planar->forward(Tensor::from<double>(z, {1, 2}));
  double along = 0;
  for (int i = 0; i < 2; ++i) {
    const double corrected = u[i] + (m - a) * w[i] / length;
    along += corrected * w[i];
    BOOST_CHECK_SMALL(bent.value.value().narrow(1, i, 1).item() - z[i] - corrected * t, 1e-14);
  }
  BOOST_CHECK_SMALL(bent.log_det.value().item() - std::log(1 + (1 - t * t) * along), 1e-14);

  const double raw_alpha = 0.8, raw_beta = -0.7, alpha = std::log1p(std::exp(raw_alpha)),
               beta = -alpha + std::log1p(std::exp(raw_beta));
  const auto radial = with_numbers<Radial>(2, {u[0], u[1], raw_alpha, raw_beta});
  const Mapped round = radial->forward(Tensor::from<double>(z, {1, 2}));
  const double r = std::hypot(z[0] - u[0], z[1] - u[1]), h = 1 / (alpha + r);
  for (int i = 0; i < 2; ++i) {
    const double moved = z[i] + beta * h * (z[i] - u[i]);
    BOOST_CHECK_SMALL(round.value.value().narrow(1, i, 1).item() - moved, 1e-14);
  }
  const double expected = std::log(1 + beta * h) + std::log(1 + beta * h - beta * r * h * h);
  BOOST_CHECK_SMALL(round.log_det.value().item() - expected, 1e-14);
}

BOOST_AUTO_TEST_CASE(layers_begin_near_the_identity) {
  for (const auto& [name, make] : layers()) {
    Generator gen(2);
    const auto layer = make(6, 0, gen);
    const Tensor x = normal(gen, {50, 6});
    BOOST_CHECK_MESSAGE(largest(layer->forward(x).value.value() - x) < 0.9, name);
  }
}

BOOST_AUTO_TEST_CASE(any_numbers_leave_a_layer_invertible) {
  for (const auto& [name, make] : layers()) {
    for (const std::int64_t dims : {1, 2, 4}) {
      for (const double size : {1.0, 30.0, 1e4}) {
        Generator gen(3);
        const auto layer = make(dims, 2, gen);
        layer->to(DType::F64);
        layer->for_each_parameter([&](const std::string&, Var& p) {
          p.set_value(normal(gen, p.shape(), p.dtype()) * size);
        });
        const Var context = normal(gen, {200, 2}, DType::F64);
        const Tensor x = normal(gen, {200, dims}, DType::F64) * 3.0;
        const Mapped there = layer->forward(x, context);
        const Mapped back = layer->inverse(there.value, context);
        const std::string what = str(name, ", ", dims, " dimensions, numbers of about ", size);
        BOOST_CHECK_MESSAGE(all_finite(there.log_det.value()), what);
        // What a slope of 1e-4 has pressed together has four digits less.
        const double scale = 1 + largest(there.value.value());
        BOOST_CHECK_MESSAGE(largest(back.value.value() - x) < 1e-8 * scale,
                            what << ": off by " << largest(back.value.value() - x));
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(a_planar_layer_without_direction_moves_all_alike) {
  for (const double tiny : {0.0, 1e-5, 1e-200}) {
    const auto layer = with_numbers<Planar>(2, {3, -4, tiny, 0, 0.5});
    const Var x = Var::leaf(Tensor::from<double>({1, 2, -50, 7}, {2, 2}));
    Tape tape;
    const Mapped out = layer->forward(x);
    BOOST_CHECK_SMALL(
        out.value.value().narrow(1, 0, 1).narrow(0, 1, 1).item() + 50 - 3 * std::tanh(0.5), 1e-12);
    BOOST_CHECK_EQUAL(largest(out.log_det.value()), 0);
    BOOST_CHECK_SMALL(largest(layer->inverse(out.value).value.value() - x.value()), 1e-12);
    tape.backward(sum(out.value) + sum(out.log_det));
    layer->for_each_parameter(
        [](const std::string&, Var& p) { BOOST_CHECK(all_finite(p.grad())); });
  }
}

BOOST_AUTO_TEST_CASE(a_basis_that_cannot_be_found_is_marked) {
  Generator gen(4);
  Sylvester layer({.dims = 3, .columns = 2, .context = 1}, gen);
  layer.to(DType::F64);
  // R, R~ and b, then Q (3, 2) row by row: two equal columns, which the context takes apart.
  std::vector<double> own(8, 0.1), weight(14, 0.0);
  for (const double q : {1.0, 1.0, 2.0, 2.0, -1.0, -1.0}) own.push_back(q);
  weight[8] = 1;
  layer.load_state({{"parameters.own", Tensor::from<double>(own, {14})},
                    {"parameters.weight", Tensor::from<double>(weight, {14, 1})}});
  const Tensor x = normal(gen, {2, 3}, DType::F64);
  const Tensor z = layer.forward(x, Var(Tensor::from<double>({0, 1}, {2, 1}))).value.value();
  BOOST_CHECK(!all_finite(z.narrow(0, 0, 1)));
  BOOST_CHECK(all_finite(z.narrow(0, 1, 1)));
}

BOOST_AUTO_TEST_CASE(what_does_not_fit_is_refused) {
  Generator gen(5);
  for (const auto& [name, make] : layers()) {
    const auto layer = make(3, 2, gen);
    const Var x = Tensor::zeros({4, 3}), context = Tensor::zeros({4, 2});
    BOOST_CHECK_NO_THROW(layer->forward(x, context));
    BOOST_CHECK_THROW(layer->forward(x), Error);
    BOOST_CHECK_THROW(layer->forward(x, Var(Tensor::zeros({1, 2}))), Error);
    BOOST_CHECK_THROW(layer->forward(Var(Tensor::zeros({4, 2})), context), Error);
  }
  BOOST_CHECK_THROW(Sylvester({.dims = 0}, gen), Error);
}

BOOST_AUTO_TEST_SUITE_END()
