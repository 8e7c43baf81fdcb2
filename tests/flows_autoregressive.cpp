// Autoregressive flows: their rows of the flow table, the inverse in one pass, splines at their
// ends.
#include <boost/test/unit_test.hpp>

#include "flows/compose.h"
#include "flows/layers/autoregressive.h"
#include "flows/layers/batch_norm.h"
#include "flows/layers/rows.h"
#include "flows/maps/affine.h"
#include "flows/maps/mixture.h"
#include "flows/maps/spline.h"
#include "tests/data_util.h"
#include "tests/devices.h"
#include "tests/flows_rows.h"

namespace nf::test {

using namespace flows;

namespace {

std::function<Tensor(Generator&)> rows_of(std::int64_t dims, double scale = 1) {
  return [=](Generator& gen) { return normal(gen, {4, dims}, DType::F64) * scale; };
}

// Parameters of the map are a tenth of what the net gives: what moved weights make of a few
// dimensions is steep, and bins of a thousandth have quotients of differences with no digits left.
class Calm : public ElementwiseMap {
 public:
  explicit Calm(std::shared_ptr<ElementwiseMap> map) : map_(add_module("map", std::move(map))) {}
  std::string kind() const override { return map_.kind(); }
  int parameters_per_dim() const override { return map_.parameters_per_dim(); }
  double flops_per_dim() const override { return map_.flops_per_dim(); }
  Mapped forward(const Var& x, const Var& parameters) const override {
    return map_.forward(x, parameters * 0.1);
  }
  Mapped inverse(const Var& z, const Var& parameters) const override {
    return map_.inverse(z, parameters * 0.1);
  }

 private:
  ElementwiseMap& map_;
};

std::shared_ptr<Autoregressive> autoregressive(const std::shared_ptr<ElementwiseMap>& map,
                                               nn::MadeOptions net, Generator& gen) {
  net.outputs_per_dim = map->parameters_per_dim();
  net.activation = nn::activation_by_name("tanh");
  return std::make_shared<Autoregressive>(map, std::make_shared<nn::Made>(net, gen));
}

}  // namespace

std::vector<FlowRow> autoregressive_rows() {
  std::vector<FlowRow> rows;
  const auto add = [&](const std::string& name, const std::shared_ptr<ElementwiseMap>& map,
                       const nn::MadeOptions& net, double scale = 1) {
    const std::int64_t n = net.dims;
    rows.push_back({"Autoregressive",
                    {.name = "Autoregressive, " + map->kind() + ", " + name,
                     .make = [=](Generator& gen) { return autoregressive(map, net, gen); },
                     .input = rows_of(n, scale),
                     .context = net.context,
                     .extremes = concat(std::vector<Tensor>{Tensor::full({1, n}, 300, DType::F64),
                                                            Tensor::full({1, n}, -300, DType::F64),
                                                            Tensor::zeros({1, n}, DType::F64)},
                                        0)}});
  };
  const nn::MadeOptions plain = {.dims = 4, .hidden_units = 7};
  nn::MadeOptions residual = {.dims = 4, .hidden_units = 6, .residual = true},
                  given = {.dims = 4, .context = 2, .hidden_units = 6},
                  reversed = {.dims = 4, .hidden_units = 7, .order = {3, 2, 1, 0}};
  for (const auto& map : {additive_map(), affine_map(), gaussian_map(), tanh_map(0.7)}) {
    add("plain", map, plain);
  }
  const std::shared_ptr<ElementwiseMap> affine = std::make_shared<Calm>(affine_map()),
                                        mixture = std::make_shared<Calm>(mixture_map(3)),
                                        spline = std::make_shared<Calm>(spline_map(4, 2));
  for (const auto& map : {affine, mixture, spline}) {
    add("residual", map, residual);
    add("given", map, given);
    add("reversed", map, reversed, 1.5);
  }
  given.residual = true;
  given.order = {2, 0, 3, 1};
  add("residual, given, mixed order", affine, given);
  add("two hidden layers", affine_map(), {.dims = 5, .hidden_units = 4, .hidden_layers = 2});
  add("fewer units than dimensions", affine_map(), {.dims = 6, .hidden_units = 2});
  add("no hidden layer", affine_map(), {.dims = 3, .hidden_layers = 0});
  add("one dimension", affine_map(), {.dims = 1, .hidden_units = 3});
  add("one dimension, given", spline, {.dims = 1, .context = 2, .hidden_units = 3});
  rows.push_back({"Invert",
                  {.name = "Invert of Autoregressive",
                   .make =
                       [=](Generator& gen) {
                         return std::make_shared<Invert>(
                             autoregressive(gaussian_map(2), residual, gen));
                       },
                   .input = rows_of(4)}});
  rows.push_back(
      {"BatchNorm",
       {.name = "BatchNorm of all dimensions",
        .make = [](Generator&) { return std::make_shared<BatchNorm>(Partition::all(5)); },
        .input = rows_of(5),
        .of_batch = true}});
  return rows;
}

namespace {

// By D passes, as it is written down.
Mapped inverse_by_passes(const ElementwiseMap& map, nn::Made& net, const Tensor& z,
                         const Tensor& context) {
  Tensor x = z.zeros_like();
  for (const std::int32_t d : net.order()) {
    const Var in = context.defined() ? with_context(x, context) : Var(x);
    const Tensor found = map.inverse(z, net.forward(in)).value.value();
    x.narrow(1, d, 1).copy_(found.narrow(1, d, 1));
  }
  const Var in = context.defined() ? with_context(x, context) : Var(x);
  return {x, -map.forward(x, net.forward(in)).log_det};
}

}  // namespace

}  // namespace nf::test

BOOST_AUTO_TEST_SUITE(flows_autoregressive)

using namespace nf;
using namespace nf::flows;
using nf::test::check_error;

BOOST_AUTO_TEST_CASE(autoregressive_layers_keep_their_promises) {
  for (const test::FlowRow& row : test::autoregressive_rows()) {
    for (const std::string& failure : check_bijection(row.test)) BOOST_ERROR(failure);
  }
}

BOOST_AUTO_TEST_CASE(one_pass_inverts_as_all_passes_do) {
  Generator gen(2);
  std::vector<std::int32_t> mixed = permutation(gen, 30).to_vector<std::int32_t>();
  const nn::MadeOptions nets[] = {
      {.dims = 30, .hidden_units = 70, .hidden_layers = 2},
      {.dims = 30, .hidden_units = 13},
      {.dims = 30, .context = 3, .hidden_units = 40, .residual = true, .order = mixed}};
  for (const auto& map : {gaussian_map(2), mixture_map(3), spline_map(8)}) {
    for (nn::MadeOptions options : nets) {
      options.outputs_per_dim = map->parameters_per_dim();
      options.last_init.scale = 0.1;
      const auto net = std::make_shared<nn::Made>(options, gen);
      Autoregressive layer(map, net);
      for (const DType dtype : test::kFloats) {
        layer.to(dtype);
        const Tensor z = normal(gen, {20, 30}).to(dtype);
        const Tensor context =
            options.context > 0 ? normal(gen, {20, options.context}).to(dtype) : Tensor();
        const Mapped once = layer.inverse(z, context),
                     passes = test::inverse_by_passes(*map, *net, z, context);
        const double tolerance = dtype == DType::F64 ? 1e-9 : 1e-3;
        const std::string what = str(map->kind(), " ", net->kind(), " ", name(dtype));
        CHECK_SAME(once.value.value(), passes.value.value(), tolerance, what);
        CHECK_SAME(once.log_det.value(), passes.log_det.value(), 30 * tolerance, what);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(impossible_autoregressive_layers_are_refused) {
  Generator gen(1);
  const auto net = [&](std::int64_t context) {
    return std::make_shared<nn::Made>(
        nn::MadeOptions{.dims = 3, .context = context, .outputs_per_dim = 2}, gen);
  };
  check_error([&] { Autoregressive(additive_map(), net(0)); },
              {"[Autoregressive] Made(3 dimensions", "gives 2 numbers", "additive needs 1"});
  Autoregressive plain(affine_map(), net(0)), given(affine_map(), net(2));
  check_error([&] { plain.forward(Tensor::zeros({2, 4})); }, {"expected rows (N, 3), got (2, 4)"});
  check_error([&] { given.inverse(Tensor::zeros({2, 3})); }, {"needs a context (2, 2), got none"});
  check_error(
      [&] {
        given.forward(Tensor::zeros({2, 3}), Tensor::zeros({2, 1}));
      },
      {"needs a context (2, 2), got (2, 1)"});
  check_error([] { Partition::all(0); }, {"[Partition] needs dimensions"});
}

// Outside of its interval a spline is the identity, whatever its parameters; everywhere, at knots
// and far away too, values and all gradients are numbers.
BOOST_AUTO_TEST_CASE(splines_are_smooth_inside_and_linear_outside) {
  constexpr int kBins = 4;
  constexpr double kBound = 2;
  const auto map = spline_map(kBins, kBound);
  for (const DType dtype : test::kFloats) {
    for (const double spread : {0.0, 1.0, 60.0}) {  // 60: bins of the least width, slopes near 0
      const Tensor one = test::draw({1, map->parameters_per_dim()}, DType::F64, 3) * spread;
      std::vector<double> points = {-1e30,     -300,   -kBound, -1.9999999, 0,
                                    1.9999999, kBound, 300,     1e30};
      // Every knot: with equal bins known, else where the inverse of the knots' heights is.
      for (int i = 1; i < kBins; ++i) points.push_back(-kBound + i * 2 * kBound / kBins);
      const std::int64_t n = std::ssize(points);
      const Tensor x = Tensor::from(points, {n, 1}).to(dtype);
      const Tensor parameters = one.broadcast_to({n, one.dim(1)}).contiguous().to(dtype);
      for (const bool ahead : {true, false}) {
        const Var at = Var::leaf(x), p = Var::leaf(parameters);
        Tape tape;
        const Mapped out = ahead ? map->forward(at, p) : map->inverse(at, p);
        tape.backward(sum(out.value) + sum(out.log_det));
        BOOST_TEST_CONTEXT(name(dtype) << ", spread " << spread << (ahead ? "" : ", inverse")) {
          BOOST_CHECK(all_finite(out.value.value()) && all_finite(out.log_det.value()));
          BOOST_CHECK(all_finite(at.grad()) && all_finite(p.grad()));
          for (const std::int64_t i : {0, 1, 2, 6, 7, 8}) {
            const auto number = [&](const Tensor& of) { return of.narrow(0, i, 1); };
            BOOST_CHECK_EQUAL(number(out.value.value()).item(), number(x).item());
            BOOST_CHECK_EQUAL(number(out.log_det.value()).item(), 0);
            BOOST_CHECK_EQUAL(number(at.grad()).item(), 1);
            BOOST_CHECK_EQUAL(max(abs(number(p.grad()))).item(), 0);
          }
        }
      }
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()
