// MADE: who may depend on whom, in any order; its sizes; its outputs dimension by dimension.
#include "nn/nets/made.h"

#include <boost/test/unit_test.hpp>
#include <numeric>
#include <utility>

#include "autograd/gradcheck.h"
#include "tests/data_util.h"
#include "tests/devices.h"

using namespace nf;
using namespace nf::nn;
using test::check_error;

namespace {

std::int64_t drawn(Generator& gen, std::int64_t low, std::int64_t high) {
  const double u = uniform(gen, {1}, DType::F64).item();
  return low + static_cast<std::int64_t>(u * static_cast<double>(high - low + 1));
}

MadeOptions drawn_options(Generator& gen) {
  MadeOptions o{.dims = drawn(gen, 1, 7),
                .context = drawn(gen, 0, 2),
                .outputs_per_dim = static_cast<int>(drawn(gen, 1, 3)),
                .hidden_units = drawn(gen, 1, 20),
                .hidden_layers = static_cast<int>(drawn(gen, 0, 3)),
                .residual = drawn(gen, 0, 1) == 1,
                .activation = activation_by_name(drawn(gen, 0, 1) == 1 ? "tanh" : "gelu")};
  if (drawn(gen, 0, 2) > 0) o.order = permutation(gen, o.dims).to_vector<std::int32_t>();
  return o;
}

std::string text_of(const Made& net) {
  std::string text = net.kind() + ", order";
  for (const std::int32_t d : net.order()) text += str(" ", d);
  return str(text, ", context ", net.options().context, ", ", net.options().outputs_per_dim);
}

// All parameters drawn, f64; those that are masked are large.
std::shared_ptr<Made> drawn_net(const MadeOptions& options, Generator& gen) {
  auto net = std::make_shared<Made>(options, gen);
  net->to(DType::F64);
  net->for_each_parameter(
      [&](const std::string&, Var& p) { p.set_value(normal(gen, p.shape(), DType::F64)); });
  return net;
}

// |y(x with x_j moved) - y(x)| of every output, (P D).
std::vector<double> change(Made& net, const Tensor& x, std::int64_t j) {
  Tensor moved = x.clone();
  moved.narrow(1, j, 1).add_(Tensor::full({1, 1}, 0.7, DType::F64));
  return abs(net.forward(moved).value() - net.forward(x).value()).to_vector<double>();
}

}  // namespace

BOOST_AUTO_TEST_SUITE(nn_made)

BOOST_AUTO_TEST_CASE(outputs_know_the_inputs_before_their_own_and_no_other) {
  Generator gen(3);
  for (int i = 0; i < 150; ++i) {
    const auto net = drawn_net(drawn_options(gen), gen);
    const MadeOptions& o = net->options();
    const Tensor x = normal(gen, {1, o.dims + o.context}, DType::F64);
    BOOST_TEST_CONTEXT(text_of(*net)) {
      const Tensor y = net->forward(x).value();
      BOOST_CHECK_EQUAL(y.shape(), net->out_shape(x.shape()));
      BOOST_CHECK_EQUAL(y.shape(), Shape({1, o.outputs_per_dim * o.dims}));
      for (std::int64_t place = 0; place < o.dims; ++place) {
        const std::vector<double> moves = change(*net, x, o.order[place]);
        for (std::int64_t t = 0; t < o.dims; ++t) {
          // Enough units for every degree: each output depends on each input before it.
          const bool may = place < t, must = may && o.hidden_units >= o.dims;
          for (int p = 0; p < o.outputs_per_dim; ++p) {
            const double moved = moves[p * o.dims + o.order[t]];
            BOOST_CHECK_MESSAGE(may || moved == 0, t << " depends on " << place);
            BOOST_CHECK_MESSAGE(!must || moved > 0, t << " does not depend on " << place);
          }
        }
      }
      for (std::int64_t c = 0; c < o.context; ++c) {
        for (const double moved : change(*net, x, o.dims + c)) BOOST_CHECK_GT(moved, 0);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(a_sweep_gives_what_a_pass_gives) {
  Generator gen(4);
  for (int i = 0; i < 60; ++i) {
    const auto net = drawn_net(drawn_options(gen), gen);
    const MadeOptions& o = net->options();
    const Tensor x = normal(gen, {3, o.dims + o.context}, DType::F64);
    const auto sweep = [&](Made& of, const Tensor& at) {
      const Tensor given = o.context > 0 ? at.narrow(1, o.dims, o.context) : Tensor();
      MadeSweep steps(of, given, 3);
      std::vector<Var> columns(static_cast<std::size_t>(o.dims));
      for (const std::int32_t d : o.order) {
        columns[d] = steps.next();
        steps.put(at.narrow(1, d, 1));
      }
      BOOST_CHECK_EQUAL(max(abs(steps.inputs().value() - at.narrow(1, 0, o.dims))).item(), 0);
      std::vector<Tensor> all;  // all first outputs, then all second ones
      for (int p = 0; p < o.outputs_per_dim; ++p) {
        for (const Var& column : columns) all.push_back(column.value().narrow(1, p, 1));
      }
      return concat(all, 1);
    };
    BOOST_TEST_CONTEXT(text_of(*net)) {
      const Tensor y = net->forward(x).value();
      BOOST_CHECK_SMALL(max(abs(sweep(*net, x) - y)).item(), 1e-12);
      for (const Device device : test::other_devices()) {
        net->to(device);
        CHECK_SAME(net->forward(x.to(device)).value(), y, 1e-10, "a pass");
        CHECK_SAME(sweep(*net, x.to(device)), y, 1e-10, "a sweep");
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(gradients_pass_the_masks) {
  Generator gen(5);
  MaskedLinear layer({.in = {1, 2, 3}, .out = {0, 1, 2}, .activation = activation_by_name("tanh")},
                     gen);
  layer.to(DType::F64);
  const auto parameters = layer.parameters();
  BOOST_REQUIRE_EQUAL(parameters.size(), 2U);
  std::vector<Tensor> inputs = {normal(gen, {4, 3}, DType::F64)};
  for (const auto& [name, p] : parameters) inputs.push_back(p->value().clone());
  const auto call = [&](const std::vector<Var>& in) {
    for (std::size_t i = 0; i < parameters.size(); ++i) *parameters[i].second = in[i + 1];
    return std::vector<Var>{layer.forward(in[0])};
  };
  const GradCheck result = gradcheck(call, inputs);
  BOOST_CHECK_MESSAGE(result.ok, result.message);
  // y = tanh(W x + b) by hand: output o knows the first o inputs.
  const std::vector<double> x = inputs[0].to_vector<double>(), w = inputs[1].to_vector<double>(),
                            y = layer.forward(inputs[0]).value().to_vector<double>();
  for (int n = 0; n < 4; ++n) {
    for (int o = 0; o < 3; ++o) {
      double total = 0;
      for (int i = 0; i < o; ++i) total += w[3 * o + i] * x[3 * n + i];
      BOOST_CHECK_SMALL(y[3 * n + o] - std::tanh(total), 1e-14);
    }
  }
}

// A unit's first value has variance 2 for inputs of variance 1, however many of them it sees.
BOOST_AUTO_TEST_CASE(weights_are_drawn_for_the_inputs_that_are_seen) {
  Generator gen(6);
  Degrees in(400), out(300);
  std::iota(in.begin(), in.end(), 1);
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = i < 150 ? 4 : 400;
  const MaskedLinear layer({.in = in, .out = out}, gen);
  const Tensor squares = square(layer.weight().value());
  const auto total = [&](std::int64_t first, std::int64_t seen) {
    return sum(squares.narrow(0, first, 150).narrow(1, 0, seen)).item() / 150;
  };
  BOOST_CHECK_CLOSE_FRACTION(total(0, 4), 2, 0.15);
  BOOST_CHECK_CLOSE_FRACTION(total(150, 400), 2, 0.05);
}

BOOST_AUTO_TEST_CASE(sizes_are_those_counted_by_hand) {
  Generator gen(7);
  struct Row {
    MadeOptions options;
    std::int64_t parameters;
    double flops;  // of 3 rows
  };
  const double act = 1;
  const Row rows[] = {
      {{.dims = 4, .outputs_per_dim = 2, .hidden_units = 5, .hidden_layers = 2},
       5 * 4 + 5 + 5 * 5 + 5 + 8 * 5 + 8,
       3 * (5 * (8 + act) + 5 * (10 + act) + 8 * 10)},
      {{.dims = 4, .context = 3, .hidden_units = 5, .hidden_layers = 1, .residual = true},
       5 * 7 + 5 + 2 * (5 * 5 + 5) + 4 * 5 + 4,
       3 * (5 * 14 + 5 * (10 + act) + 5 * 10 + 4 * 10) + 2 * 15},
      {{.dims = 4, .outputs_per_dim = 3, .hidden_layers = 0}, 12 * 4 + 12, 3.0 * 12 * 8},
  };
  for (const Row& row : rows) {
    const Made net(row.options, gen);
    BOOST_CHECK_EQUAL(net.parameter_count(), row.parameters);
    BOOST_CHECK_EQUAL(Made::parameters_of(row.options), static_cast<double>(row.parameters));
    std::vector<LayerInfo> infos;
    const std::int64_t in = row.options.dims + row.options.context;
    BOOST_CHECK_EQUAL(net.inspect({3, in}, "net", infos), net.out_shape({3, in}));
    double flops = 0;
    for (const LayerInfo& info : infos) flops += info.flops;
    BOOST_CHECK_EQUAL(flops, row.flops);
  }
  const auto names = [&](bool residual) {
    Made net({.dims = 2, .hidden_units = 3, .residual = residual}, gen);
    std::string all;
    for (const auto& [name, tensor] : net.state()) all += name + " ";
    return all;
  };
  BOOST_CHECK_EQUAL(names(false), "0.weight 0.bias 1.weight 1.bias ");
  BOOST_CHECK_EQUAL(names(true),
                    "first.weight first.bias blocks.0.inner.weight blocks.0.inner.bias "
                    "blocks.0.outer.weight blocks.0.outer.bias last.weight last.bias ");
}

BOOST_AUTO_TEST_CASE(residual_networks_add_their_blocks) {
  Generator gen(8);
  const auto net = residual_mlp({.in = 2, .out = 1, .hidden_units = 3, .hidden_layers = 2}, gen);
  std::map<std::string, Tensor> p;
  for (const auto& [name, tensor] : net->state()) p.emplace(name, tensor);
  for (const char* i : {"0", "1"}) {
    p.at(str("blocks.", i, ".outer.weight")).copy_(normal(gen, {3, 3}));
  }
  const Tensor x = normal(gen, {5, 2});
  const auto layer = [&](const std::string& name, const Tensor& at) {
    return matmul(at, p.at(name + ".weight").t()) + p.at(name + ".bias");
  };
  Tensor h = layer("first", x);
  for (const std::string block : {"blocks.0.", "blocks.1."}) {
    h = h + layer(block + "outer", relu(layer(block + "inner", relu(h))));
  }
  BOOST_CHECK_SMALL(max(abs(net->forward(x).value() - layer("last", h))).item(), 1e-5);
}

BOOST_AUTO_TEST_CASE(impossible_sizes_are_refused) {
  Generator gen(9);
  const auto made = [&](const MadeOptions& options) {
    return [&gen, options] { Made(options, gen); };
  };
  check_error(made({}), {"[Made] sizes must be positive, got 0 dimensions"});
  check_error(made({.dims = 2, .hidden_units = 0}), {"[Made]", "0 hidden units"});
  check_error(made({.dims = 2, .order = {0}}), {"[Made] the order must hold each of 0..1 once"});
  check_error(made({.dims = 2, .order = {0, 2}}), {"[Made] the order"});
  check_error(made({.dims = 2, .order = {1, 1}}), {"[Made] the order"});
  check_error([&] { MaskedLinear({.in = {}, .out = {1}}, gen); }, {"[MaskedLinear]", "0 -> 1"});
}

BOOST_AUTO_TEST_SUITE_END()
