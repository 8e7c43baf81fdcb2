// Conv2d: against PyTorch, its initial values, its file, what it says of itself.
#include "nn/layers/conv2d.h"

#include <array>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <string>
#include <vector>

#include "autograd/gradcheck.h"
#include "nn/safetensors.h"
#include "tests/data_util.h"

BOOST_AUTO_TEST_SUITE(nn_conv2d)

using namespace nf;
using namespace nf::nn;
using test::check_error;

namespace {

/// sin(f i) for element i.
Tensor wave(double f, const Shape& shape) {
  std::vector<double> values(static_cast<std::size_t>(shape.numel()));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = std::sin(f * static_cast<double>(i));
  return Tensor::from(values, shape);
}

double mark(const Tensor& t) { return sum(t * wave(0.3, t.shape())).item(); }

Conv2d layer_of(const Conv2dOptions& options, std::uint64_t seed = 1) {
  Generator gen(seed);
  return Conv2d(options, gen);
}

}  // namespace

// bench/golden_conv.py
BOOST_AUTO_TEST_CASE(values_and_gradients_are_pytorchs) {
  struct Row {
    Shape x;
    std::int64_t out;
    std::array<std::int64_t, 2> kernel;
    std::int64_t stride;
    std::array<std::int64_t, 2> padding;
    std::array<double, 4> marks;  ///< of the loss, x's gradient, the weight's, the bias's
  };
  const Row rows[] = {// PyTorch 2.15.0
                      {{2, 5, 6, 3},
                       4,
                       {3, 3},
                       1,
                       {1, 1},
                       {-1.14776407646, 0.229298044506, 3.39464949898, 1.94230294432}},
                      {{2, 5, 6, 3},
                       4,
                       {3, 3},
                       2,
                       {1, 1},
                       {3.76230544603, -1.15258635364, 0.0942861179036, 1.18909481717}},
                      {{1, 4, 4, 2},
                       3,
                       {5, 5},
                       1,
                       {2, 2},
                       {1.49015206643, 1.88914547948, -0.809921163319, 0.930460705954}},
                      {{3, 4, 7, 5},
                       2,
                       {1, 3},
                       1,
                       {0, 1},
                       {0.208821034272, 1.53587396461, -1.61285901174, -0.0560898938346}},
                      {{2, 6, 7, 3},
                       5,
                       {4, 4},
                       2,
                       {0, 2},
                       {1.05415132108, 11.9551425962, 1.06481233718, 0.998466706925}},
                      {{2, 3, 4, 6},
                       5,
                       {1, 1},
                       1,
                       {0, 0},
                       {1.86981524959, 0.375630726786, -0.407685664833, -0.279356520162}}};
  for (const Row& row : rows) {
    Conv2d layer = layer_of({.in = row.x[3],
                             .out = row.out,
                             .kernel = row.kernel,
                             .stride = row.stride,
                             .padding = row.padding,
                             .activation = activation_by_name("tanh")});
    layer.to(DType::F64);
    Var &weight = *layer.parameters()[0].second, &bias = *layer.parameters()[1].second;
    weight.set_value(wave(0.9, weight.shape()));
    bias.set_value(wave(1.1, bias.shape()));
    const Var x = Var::leaf(wave(0.7, row.x));
    Tape tape;
    const Var y = layer(x);
    BOOST_TEST(y.shape() == layer.out_shape(row.x));
    const Var loss = sum(y * Var(wave(0.3, y.shape())));
    tape.backward(loss);
    const double got[] = {loss.value().item(), mark(x.grad()), mark(weight.grad()),
                          mark(bias.grad())};
    for (std::size_t i = 0; i < 4; ++i) {
      BOOST_CHECK_MESSAGE(
          std::abs(got[i] - row.marks[i]) < 1e-10,
          layer.kind() << ", number " << i << ": " << got[i] << " instead of " << row.marks[i]);
    }
  }
}

BOOST_AUTO_TEST_CASE(fused_is_unfused) {
  for (const std::string& name : activation_names()) {
    for (const bool bias : {true, false}) {
      Conv2d layer = layer_of({.in = 3,
                               .out = 2,
                               .kernel = {2, 3},
                               .stride = 2,
                               .padding = {1, 1},
                               .bias = bias,
                               .activation = activation_by_name(name)});
      layer.to(DType::F64);
      const auto parameters = layer.parameters();
      BOOST_TEST_REQUIRE(parameters.size() == (bias ? 2U : 1U));
      Generator gen(7);
      std::vector<Tensor> inputs = {normal(gen, {2, 4, 3, 3}, DType::F64)};
      for (const auto& [key, p] : parameters) {
        p->set_value(normal(gen, p->shape(), DType::F64));
        inputs.push_back(p->value().clone());
      }
      const Var pre = conv2d(Var(inputs[0]), Var(inputs[1]), bias ? Var(inputs[2]) : Var(),
                             ConvGeometry{2, 1, 1});
      const Tensor apart = activation_by_name(name)(pre).value();
      BOOST_CHECK_SMALL(max(abs(layer(Var(inputs[0])).value() - apart)).item(), 1e-14);
      const GradCheck result = gradcheck(
          [&](const std::vector<Var>& in) {
            for (std::size_t i = 1; i < in.size(); ++i) *parameters[i - 1].second = in[i];
            return std::vector<Var>{layer(in[0])};
          },
          inputs);
      BOOST_CHECK_MESSAGE(result.ok, name << ": " << result.message);
    }
  }
}

// Counted by their products: one forward, and one for each gradient that somebody asks for.
BOOST_AUTO_TEST_CASE(only_gradients_that_are_needed_are_computed) {
  const Tensor x = wave(0.7, {2, 4, 4, 3}), w = wave(0.9, {5, 3, 3, 3});
  const double one = 2.0 * 2 * 2 * 2 * 5 * 27;
  for (const auto& [learn_x, learn_w, expected] :
       {std::array{1, 1, 3}, std::array{1, 0, 2}, std::array{0, 1, 2}}) {
    const Var in = learn_x ? Var::leaf(x) : Var(x), weight = learn_w ? Var::leaf(w) : Var(w);
    Profile profile;
    Tape tape;
    tape.backward(sum(conv2d(in, weight, Var(), {})));
    BOOST_TEST(profile.whole().flops == expected * one);
    if (learn_x) BOOST_TEST(in.grad().shape() == x.shape());
    if (learn_w) BOOST_TEST(weight.grad().shape() == w.shape());
  }
}

BOOST_AUTO_TEST_CASE(no_images_give_gradients_of_zero) {
  for (const std::int64_t side : {1, 3}) {
    Conv2d layer = layer_of(
        {.in = 2, .out = 4, .kernel = {side, side}, .activation = activation_by_name("relu")});
    Tape tape;
    const Var y = layer(Var(Tensor::zeros({0, 5, 6, 2})));
    BOOST_TEST(y.shape() == Shape({0, 6 - side, 7 - side, 4}));
    tape.backward(sum(y));
    for (const auto& [name, p] : layer.parameters()) {
      BOOST_TEST_REQUIRE(p->grad().defined());
      BOOST_TEST(p->grad().shape() == p->shape());
      BOOST_TEST(max(abs(p->grad())).item() == 0);
    }
  }
}

BOOST_AUTO_TEST_CASE(initial_values_count_the_window) {
  const std::int64_t in = 8, out = 20;
  const auto weight = [&](const Init& init, std::array<std::int64_t, 2> kernel) {
    Conv2d layer = layer_of({.in = in, .out = out, .kernel = kernel, .init = init}, 3);
    BOOST_TEST(max(abs(layer.parameters()[1].second->value())).item() == 0);
    return layer.parameters()[0].second->value();
  };
  const auto largest = [](const Tensor& t) { return max(abs(t)).item(); };
  for (const auto& [kh, kw] : {std::array<std::int64_t, 2>{1, 1}, {3, 3}, {4, 2}}) {
    const auto window = static_cast<double>(kh * kw);
    for (const auto& [kind, bound] :
         {std::pair{Init::Kind::Kaiming, std::sqrt(6.0 / (window * in))},
          std::pair{Init::Kind::Xavier, std::sqrt(6.0 / (window * (in + out)))}}) {
      const Tensor w = weight({kind, 0.5}, {kh, kw});
      BOOST_TEST(w.shape() == Shape({out, in, kh, kw}));
      BOOST_TEST(largest(w) <= 0.5 * bound);
      BOOST_TEST(largest(w) > 0.9 * 0.5 * bound);
    }
    BOOST_TEST(largest(weight({Init::Kind::Zeros}, {kh, kw})) == 0);
    const Tensor rows = weight({Init::Kind::Orthogonal}, {kh, kw}).reshape({out, in * kh * kw});
    const bool wide = in * kh * kw >= out;
    const Tensor gram = wide ? matmul(rows, rows.t()) : matmul(rows.t(), rows);
    BOOST_CHECK_SMALL(largest(gram - Tensor::eye(gram.dim(0))), 1e-5);
  }
  // The numbers of a linear layer with as many inputs.
  Generator gen(3);
  const Tensor linear = initial_weight({}, gen, out, in * 9);
  BOOST_TEST(largest(weight({}, {3, 3}).reshape({out, in * 9}) - linear) == 0);
}

BOOST_AUTO_TEST_CASE(a_saved_layer_comes_back) {
  const test::TempFolder folder;
  const Conv2dOptions options{.in = 3, .out = 4, .kernel = {3, 2}, .padding = {1, 0}};
  Conv2d saved = layer_of(options, 1), loaded = layer_of(options, 2);
  saved.parameters()[1].second->set_value(Tensor::arange(4));
  const Var x = Tensor::ones({2, 5, 6, 3});
  save_safetensors(folder.path("conv.safetensors"), saved.state());
  BOOST_TEST(max(abs(saved(x).value() - loaded(x).value())).item() > 0);
  loaded.load_state(load_safetensors(folder.path("conv.safetensors")).tensors);
  BOOST_TEST(max(abs(saved(x).value() - loaded(x).value())).item() == 0);
  const SafetensorsHeader header = read_safetensors_header(folder.path("conv.safetensors"));
  BOOST_TEST(header.tensors.at("weight").shape == Shape({4, 3, 3, 2}));  // as PyTorch's
  BOOST_TEST(header.tensors.at("bias").shape == Shape({4}));
  Conv2d other = layer_of({.in = 3, .out = 4, .kernel = {2, 3}});
  check_error([&] { other.load_state(load_safetensors(folder.path("conv.safetensors")).tensors); },
              {"[load]", "'weight'", "(4, 3, 3, 2)", "(4, 3, 2, 3)"});
}

BOOST_AUTO_TEST_CASE(what_it_says_of_itself) {
  const Conv2d layer = layer_of({.in = 3,
                                 .out = 8,
                                 .kernel = {3, 5},
                                 .stride = 2,
                                 .padding = {1, 2},
                                 .activation = activation_by_name("relu")});
  BOOST_TEST(layer.kind() == "Conv2d(3 -> 8, 3x5, stride 2, padding 1x2, relu)");
  BOOST_TEST(layer.out_shape({7, 9, 8, 3}) == Shape({7, 5, 4, 8}));
  BOOST_TEST(layer.parameter_count() == 8 * 3 * 15 + 8);
  // 45 products and as many additions, the bias among them, and the activation.
  BOOST_TEST(layer.flops({7, 9, 8, 3}) == 7.0 * 5 * 4 * 8 * (2 * 45 + 1));
  const Conv2d plain = layer_of({.in = 1, .out = 2, .bias = false});
  BOOST_TEST(plain.kind() == "Conv2d(1 -> 2, 3x3)");
  BOOST_TEST(plain.flops({1, 3, 3, 1}) == 2 * (2 * 9 - 1));
}

BOOST_AUTO_TEST_CASE(wrong_layers_are_refused) {
  check_error([] { layer_of({.in = 0, .out = 3}); }, {"[Conv2d]", "0 -> 3"});
  check_error([] { layer_of({.in = 1, .out = 3, .kernel = {3, 0}}); }, {"[Conv2d]", "(3, 0)"});
  check_error([] { layer_of({.in = 1, .out = 3, .stride = 3}); }, {"[conv2d] stride 3", "1 or 2"});
  check_error(
      [] {
        layer_of({.in = 1, .out = 3, .padding = {0, 3}});
      },
      {"[conv2d] padding (0, 3)", "smaller than the kernel"});
  check_error(
      [] {
        layer_of({.in = 1, .out = 3})(Var(Tensor::zeros({2, 9, 9, 2})));
      },
      {"[conv2d]", "(2, 9, 9, 2)", "(3, 1, 3, 3)"});
  check_error(
      [] {
        layer_of({.in = 1, .out = 3})(Var(Tensor::zeros({2, 9, 2, 1})));
      },
      {"[conv2d] a kernel of (3, 3) is larger than images of (9, 2)", "pad more"});
}

BOOST_AUTO_TEST_SUITE_END()
