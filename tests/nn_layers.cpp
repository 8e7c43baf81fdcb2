// Linear, Sequential, mlp, initial values, and what every Module does.
#include "nn/nets/mlp.h"

#include <boost/test/unit_test.hpp>
#include <map>

#include "autograd/gradcheck.h"
#include "tensor/linalg.h"
#include "tests/data_util.h"

using namespace nf;
using namespace nf::nn;
using test::check_error;

namespace {

double largest_difference(const Tensor& a, const Tensor& b) { return max(abs(a - b)).item(); }

std::map<std::string, Tensor> copy_of_state(Module& module) {
  std::map<std::string, Tensor> copy;
  for (const auto& [name, tensor] : module.state()) copy.emplace(name, tensor.clone());
  return copy;
}

std::shared_ptr<Sequential> small_mlp(std::uint64_t seed) {
  Generator gen(seed);
  return mlp({.in = 3, .out = 2, .hidden_units = 5, .hidden_layers = 2}, gen);
}

/// A module with everything: parameters, buffers of two types, a generator, a child.
struct Everything : Module {
  Everything()
      : weight(add_parameter("weight", Tensor::ones({2}))),
        mean(add_buffer("mean", Tensor::zeros({2}))),
        order(add_buffer("order", Tensor::arange(2, DType::I32))),
        noise(add_generator("noise", Generator(4, 5))),
        child(add_module("child", small_mlp(1))) {}
  std::string kind() const override { return "Everything"; }
  Var& weight;
  Tensor& mean;
  Tensor& order;
  Generator& noise;
  Sequential& child;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(nn_layers)

BOOST_AUTO_TEST_CASE(linear_fused_is_linear_unfused) {
  for (const std::string& name : activation_names()) {
    for (const bool bias : {true, false}) {
      BOOST_TEST_CONTEXT(name << (bias ? ", bias" : "")) {
        Generator gen(7);
        Linear layer({.in = 3, .out = 4, .bias = bias, .activation = activation_by_name(name)},
                     gen);
        layer.to(DType::F64);
        layer.for_each_parameter([&](const std::string&, Var& p) {
          p.set_value(normal(gen, p.shape(), DType::F64));  // a bias other than 0
        });
        const auto parameters = layer.parameters();
        BOOST_REQUIRE_EQUAL(parameters.size(), bias ? 2U : 1U);
        const Activation act = activation_by_name(name);
        const auto unfused = [&](const Var& x) {
          Var y = matmul(x, transpose(*parameters[0].second, 0, 1));
          if (bias) y = y + *parameters[1].second;
          return act(y);
        };
        const Tensor x0 = normal(gen, {5, 3}, DType::F64);
        Tensor wide = Tensor::zeros({5, 7}, DType::F64);
        const Tensor strided = wide.slice(1, 0, 3, 3).copy_(x0);
        std::vector<Tensor> expected;
        for (const auto& [fused, input] :
             {std::pair{false, x0}, {true, x0}, {true, strided}, {true, x0.t().clone().t()}}) {
          layer.clear_grads();
          const Var x = Var::leaf(input);
          Tape tape;
          const Var y = fused ? layer.forward(x) : unfused(x);
          tape.backward(sum(square(y)));
          std::vector<Tensor> got = {y.value(), x.grad()};
          for (const auto& [key, p] : parameters) got.push_back(p->grad());
          if (expected.empty()) expected = got;
          for (std::size_t i = 0; i < got.size(); ++i) {
            BOOST_CHECK_SMALL(largest_difference(got[i], expected[i]), 1e-11);
          }
        }
        std::vector<Tensor> inputs = {x0};
        for (const auto& [key, p] : parameters) inputs.push_back(p->value().clone());
        const auto call = [&](const std::vector<Var>& in) {
          for (std::size_t i = 0; i < parameters.size(); ++i) *parameters[i].second = in[i + 1];
          return std::vector<Var>{layer.forward(in[0])};
        };
        const GradCheck result = gradcheck(call, inputs);
        BOOST_CHECK_MESSAGE(result.ok, result.message);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(mlp_has_the_sizes_asked_for) {
  Generator gen(1);
  const auto net = mlp({.in = 3,
                        .out = 2,
                        .hidden_units = 5,
                        .hidden_layers = 2,
                        .activation = activation_by_name("tanh"),
                        .last_init = {Init::Kind::Zeros}},
                       gen);
  const std::pair<std::string, Shape> expected[] = {{"0.weight", {5, 3}}, {"0.bias", {5}},
                                                    {"1.weight", {5, 5}}, {"1.bias", {5}},
                                                    {"2.weight", {2, 5}}, {"2.bias", {2}}};
  const auto parameters = net->parameters();
  BOOST_REQUIRE_EQUAL(parameters.size(), 6U);
  for (std::size_t i = 0; i < 6; ++i) {
    BOOST_CHECK_EQUAL(parameters[i].first, expected[i].first);
    BOOST_CHECK_EQUAL(parameters[i].second->shape(), expected[i].second);
    BOOST_CHECK(parameters[i].second->requires_grad());
  }
  BOOST_CHECK_EQUAL(net->parameter_count(), 15 + 5 + 25 + 5 + 10 + 2);
  const Tensor y = net->forward(Tensor::ones({7, 3})).value();
  BOOST_CHECK_EQUAL(y.shape(), Shape({7, 2}));
  BOOST_CHECK_EQUAL(max(abs(y)).item(), 0);  // last_init
  BOOST_CHECK_EQUAL(net->out_shape({7, 3}), Shape({7, 2}));

  std::vector<LayerInfo> rows;
  BOOST_CHECK_EQUAL(net->inspect({10, 3}, "net", rows), Shape({10, 2}));
  BOOST_REQUIRE_EQUAL(rows.size(), 3U);
  BOOST_CHECK_EQUAL(rows[0].name, "net.0");
  BOOST_CHECK_EQUAL(rows[0].kind, "Linear(3 -> 5, tanh)");
  BOOST_CHECK_EQUAL(rows[0].out_shape, Shape({10, 5}));
  BOOST_CHECK_EQUAL(rows[0].parameters, 20);
  BOOST_CHECK_EQUAL(rows[0].flops, 10 * 5 * (2.0 * 3 + 1));  // the activation
  BOOST_CHECK_EQUAL(rows[2].kind, "Linear(5 -> 2)");
  // Without hidden layers it is one linear map.
  const auto line = mlp({.in = 3, .out = 2, .hidden_layers = 0}, gen);
  BOOST_CHECK_EQUAL(line->parameter_count(), 8);
}

BOOST_AUTO_TEST_CASE(sequential_runs_its_layers_in_order) {
  Generator gen(2);
  const auto first = std::make_shared<Linear>(LinearOptions{.in = 3, .out = 4}, gen);
  const auto second = std::make_shared<Linear>(LinearOptions{.in = 4, .out = 2}, gen);
  Sequential net({first, second});
  const Tensor x = normal(gen, {5, 3});
  const Tensor expected = second->forward(first->forward(x)).value();
  BOOST_CHECK(net.forward(x).value().to_vector<float>() == expected.to_vector<float>());
  BOOST_CHECK(Sequential().forward(x).value().to_vector<float>() == x.to_vector<float>());
}

BOOST_AUTO_TEST_CASE(initial_weights) {
  constexpr std::int64_t kOut = 300, kIn = 200;
  using Kind = Init::Kind;
  struct Case {
    Init init;
    double bound;  // 0: none
    double variance;
  };
  const double kaiming = std::sqrt(6.0 / kIn), xavier = 0.5 * std::sqrt(6.0 / (kIn + kOut));
  const Case cases[] = {{{Kind::Uniform, 0.01}, 0.01, 0.01 * 0.01 / 3},
                        {{Kind::Normal, 0.5}, 0, 0.25},
                        {{Kind::Kaiming, 1}, kaiming, kaiming * kaiming / 3},
                        {{Kind::Xavier, 0.5}, xavier, xavier * xavier / 3},
                        {{Kind::Orthogonal, 1}, 0, 1.0 / kOut}};
  for (const Case& c : cases) {
    BOOST_TEST_CONTEXT("kind " << static_cast<int>(c.init.kind)) {
      Generator gen(1), same(1), other(2);
      const Tensor w = initial_weight(c.init, gen, kOut, kIn);
      BOOST_CHECK_EQUAL(w.shape(), Shape({kOut, kIn}));
      BOOST_CHECK(w.dtype() == DType::F32 && w.is_contiguous());
      BOOST_CHECK_SMALL(mean(w).item(), 4 * std::sqrt(c.variance / (kOut * kIn)));
      BOOST_CHECK_CLOSE_FRACTION(variance(w).item(), c.variance, 0.03);
      if (c.bound > 0) {
        BOOST_CHECK_LE(max(abs(w)).item(), c.bound * (1 + 1e-6));
        BOOST_CHECK_GT(max(abs(w)).item(), c.bound * 0.999);
      }
      BOOST_CHECK_EQUAL(largest_difference(initial_weight(c.init, same, kOut, kIn), w), 0);
      BOOST_CHECK_GT(largest_difference(initial_weight(c.init, other, kOut, kIn), w), 0);
    }
  }
  Generator gen(3);
  BOOST_CHECK_EQUAL(max(abs(initial_weight({Kind::Zeros}, gen, 3, 2))).item(), 0);
  for (const auto& [out, in] : {std::pair{6, 4}, {4, 6}, {5, 5}, {1, 3}}) {
    const Tensor w = initial_weight({Kind::Orthogonal, 2}, gen, out, in);
    const Tensor gram = out >= in ? matmul(w.t(), w) : matmul(w, w.t());
    BOOST_CHECK_SMALL(largest_difference(gram, Tensor::eye(std::min(out, in)) * 4.0), 1e-5);
  }
}

BOOST_AUTO_TEST_CASE(wrong_layers_are_refused) {
  Generator gen(1);
  check_error([&] { Linear({.in = 0, .out = 3}, gen); }, {"[Linear]", "0 -> 3"});
  check_error(
      [&] {
        Linear({.in = 2, .out = 3}, gen).forward(Tensor::zeros({4, 5}));
      },
      {"[linear]", "(4, 5)", "(3, 2)"});
  check_error([] { activation_by_name("rleu"); }, {"[activation]", "'rleu'", "relu, leaky_relu"});
}

// --- Module --------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(names_are_joined_by_dots) {
  Everything module;
  std::vector<std::string> names, buffers;
  for (const auto& [name, p] : module.parameters()) names.push_back(name);
  module.for_each_buffer([&](const std::string& name, Tensor&) { buffers.push_back(name); });
  const std::vector<std::string> expected = {"weight",         "child.0.weight", "child.0.bias",
                                             "child.1.weight", "child.1.bias",   "child.2.weight",
                                             "child.2.bias"};
  BOOST_CHECK(names == expected);
  BOOST_CHECK((buffers == std::vector<std::string>{"mean", "order"}));
  BOOST_CHECK_EQUAL(module.state().size(), 9U);
  BOOST_CHECK_EQUAL(join_names("a", "b"), "a.b");
  BOOST_CHECK_EQUAL(join_names("", "b"), "b");
  BOOST_CHECK_EQUAL(join_names("a", ""), "a");
}

BOOST_AUTO_TEST_CASE(generators_are_those_of_the_tree_each_once) {
  struct Pair : Module {
    Pair() : first(add_module("first", std::make_shared<Everything>())) {
      const auto second = std::make_shared<Everything>();
      add_module("second", second);
      add_module("again", second);
      add_generator("own", Generator(1));
      add_generator("other", Generator(2));
    }
    std::string kind() const override { return "Pair"; }
    Everything& first;
  } pair;
  std::vector<std::string> names;
  pair.for_each_generator([&](const std::string& name, Generator&) { names.push_back(name); }, "m");
  BOOST_TEST(
      (names == std::vector<std::string>{"m.own", "m.other", "m.first.noise", "m.second.noise"}));
  const std::vector<Generator*> all = pair.generators();
  BOOST_TEST_REQUIRE(all.size() == 4u);
  BOOST_TEST(all[2] == &pair.first.noise);
  BOOST_TEST((all[3]->seed() == 4 && all[3]->stream() == 5));
}

BOOST_AUTO_TEST_CASE(train_and_eval_reach_the_whole_tree) {
  Everything module;
  BOOST_CHECK(module.training() && module.child.training());
  module.eval();
  BOOST_CHECK(!module.training() && !module.child.training());
  module.train();
  BOOST_CHECK(module.training() && module.child.training());
}

BOOST_AUTO_TEST_CASE(conversion_keeps_values_and_integer_buffers) {
  Everything module;
  {
    Tape tape;
    tape.backward(sum(module.weight));
  }
  module.to(DType::F64);
  BOOST_CHECK(module.weight.dtype() == DType::F64 && module.mean.dtype() == DType::F64);
  BOOST_CHECK(module.order.dtype() == DType::I32);
  BOOST_CHECK(!module.weight.grad().defined());
  BOOST_CHECK(module.weight.requires_grad());
  BOOST_CHECK(module.child.parameters()[0].second->dtype() == DType::F64);
  BOOST_CHECK_EQUAL(module.weight.value().to_vector<double>()[0], 1);
  BOOST_CHECK(module.child.forward(Tensor::ones({1, 3}, DType::F64)).dtype() == DType::F64);
}

BOOST_AUTO_TEST_CASE(state_goes_from_one_module_to_another) {
  const auto from = small_mlp(1), to = small_mlp(2);
  const Tensor x = Tensor::ones({1, 3});
  const Tensor expected = from->forward(x).value();
  BOOST_CHECK_GT(largest_difference(to->forward(x).value(), expected), 0);
  to->load_state(copy_of_state(*from));
  BOOST_CHECK_EQUAL(largest_difference(to->forward(x).value(), expected), 0);
  // Copies: the two do not share memory.
  from->parameters()[0].second->mutable_value().fill_(9);
  BOOST_CHECK_EQUAL(largest_difference(to->forward(x).value(), expected), 0);
}

BOOST_AUTO_TEST_CASE(a_wrong_state_changes_nothing) {
  const auto module = small_mlp(1);
  const auto before = copy_of_state(*module);
  auto good = copy_of_state(*small_mlp(2));
  auto missing = good, unknown = good, shape = good;
  missing.erase("2.bias");
  unknown.emplace("3.weight", Tensor::zeros({1}));
  shape["2.bias"] = Tensor::zeros({3});
  check_error([&] { module->load_state(missing); }, {"[load]", "no tensor '2.bias'"});
  check_error([&] { module->load_state(unknown); }, {"[load]", "'3.weight'", "not in the model"});
  check_error([&] { module->load_state(shape); }, {"[load]", "'2.bias'", "(3,)", "(2,)"});
  check_error([&] { module->load_state({}); }, {"[load]", "no tensor '0.weight'"});
  for (const auto& [name, tensor] : module->state()) {
    BOOST_CHECK_EQUAL(largest_difference(tensor, before.at(name)), 0);
  }
}

BOOST_AUTO_TEST_SUITE_END()
