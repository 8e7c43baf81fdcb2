// Convolutions with learned scales, and the networks of image couplings made of them.
#include <boost/test/unit_test.hpp>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "autograd/gradcheck.h"
#include "nn/layers/norm.h"
#include "nn/layers/scaled_conv.h"
#include "nn/nets/dense_net.h"
#include "nn/nets/glow_net.h"
#include "nn/nets/residual_net.h"
#include "tests/data_util.h"
#include "tests/devices.h"

BOOST_AUTO_TEST_SUITE(nn_image_nets)

using namespace nf;
using namespace nf::nn;
using test::check_error;

namespace {

Tensor draws(const Shape& shape, std::uint64_t seed) {
  Generator gen(seed);
  return normal(gen, shape, DType::F64);
}

// Parameters of f64, moved away from what they begin with.
template <class L>
L& moved(L& layer) {
  layer.to(DType::F64);
  Generator gen(9);
  layer.for_each_parameter([&](const std::string&, Var& p) {
    p.set_value(p.value() + 0.3 * normal(gen, p.shape(), DType::F64));
  });
  return layer;
}

std::map<std::string, Tensor> values_of(Module& layer) {
  std::map<std::string, Tensor> values;
  for (const auto& [name, tensor] : layer.state()) values.emplace(name, tensor);
  return values;
}

// act((conv(x, w) + b) exp(s)) written out, over x with its border and the channel that tells it.
Tensor written_out(const std::map<std::string, Tensor>& p, const Tensor& x, bool edge, bool relu) {
  const Tensor w = p.at("weight");
  const int border = static_cast<int>(w.dim(2) / 2);
  Tensor image = x;
  if (edge)
    image = concat(
        std::vector<Tensor>{x, Tensor::zeros({x.dim(0), x.dim(1), x.dim(2), 1}, DType::F64)}, 3);
  Tensor wide = Tensor::zeros(
      {x.dim(0), x.dim(1) + 2 * border, x.dim(2) + 2 * border, image.dim(3)}, DType::F64);
  if (edge) wide.narrow(3, x.dim(3), 1).fill_(1);
  wide.narrow(1, border, x.dim(1)).narrow(2, border, x.dim(2)).copy_(image);
  const Tensor out = (conv2d(wide, w, {}, {}) + p.at("bias")) * exp(p.at("log_scale"));
  return relu ? nf::relu(out) : out;
}

}  // namespace

BOOST_AUTO_TEST_CASE(scales_and_edges_are_as_written_out) {
  std::vector<Device> devices = test::other_devices();
  devices.push_back(Device::CPU);
  for (const Device device : devices) {
    for (const std::int64_t in : {2, 5}) {  // fewer channels in than out, and more
      for (const std::int64_t kernel : {1, 3}) {
        for (const bool edge : {false, true}) {
          for (const bool relu : {false, true}) {
            Generator gen(1);
            ScaledConv2dOptions options{.conv = {.in = in, .out = 3, .kernel = {kernel, kernel}},
                                        .edge = edge};
            if (relu) options.conv.activation = Activation{};
            ScaledConv2d layer(options, gen);
            moved(layer);
            const Tensor x = draws({2, 4, 3, in}, 2);
            const Tensor expected = written_out(values_of(layer), x, edge, relu);
            BOOST_CHECK(layer.out_shape(x.shape()) == expected.shape());
            layer.to(device);
            CHECK_SAME(layer(x.to(device)).value(), expected, 1e-12, layer.kind());
          }
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(gradients) {
  const Tensor x = draws({2, 4, 3, 2}, 3);
  std::vector<std::shared_ptr<Layer>> layers;
  Generator gen(1);
  for (const bool edge : {false, true}) {
    for (const std::int64_t out : {1, 3}) {
      layers.push_back(std::make_shared<ScaledConv2d>(
          ScaledConv2dOptions{.conv = {.in = 2, .out = out}, .edge = edge}, gen));
    }
  }
  for (const bool magnitude : {false, true}) {
    layers.push_back(std::make_shared<WeightNormConv2d>(
        WeightNormOptions{.conv = {.in = 2, .out = 3, .padding = {1, 1}}, .magnitude = magnitude},
        gen));
  }
  for (const auto& [gated, normalised] : {std::pair(false, false), {true, false}, {true, true}}) {
    layers.push_back(
        std::make_shared<ResidualNet>(ResidualNetOptions{.in = 2,
                                                         .out = 3,
                                                         .width = 4,
                                                         .blocks = 2,
                                                         .gated = gated,
                                                         .normalised = normalised,
                                                         .activation = activation_by_name("silu")},
                                      gen));
  }
  layers.push_back(
      std::make_shared<DenseNet>(DenseNetOptions{.in = 2,
                                                 .out = 3,
                                                 .width = 4,
                                                 .growth = 2,
                                                 .layers = 3,
                                                 .activation = activation_by_name("silu")},
                                 gen));
  for (const auto& layer : layers) {
    moved(*layer);
    std::vector<Tensor> inputs = {x};
    const auto parameters = layer->parameters();
    for (const auto& [name, p] : parameters) inputs.push_back(p->value());
    const GradCheck result = gradcheck(
        [&](const std::vector<Var>& in) {
          for (std::size_t i = 1; i < in.size(); ++i) *parameters[i - 1].second = in[i];
          return std::vector<Var>{(*layer)(in[0])};
        },
        inputs);
    BOOST_CHECK_MESSAGE(result.ok, layer->kind() << ": " << result.message);
  }
}

BOOST_AUTO_TEST_CASE(the_first_rows_make_outputs_standard) {
  Generator gen(1);
  ScaledConv2d layer({.conv = {.in = 3, .out = 5}, .from_data = true, .edge = true}, gen);
  const Tensor x = (draws({40, 6, 6, 3}, 5) * 7.0 + 2.0).to(DType::F32);
  const Tensor out = layer.initialize(x).value();
  BOOST_CHECK_SMALL(max(abs(mean(out, {0, 1, 2}))).item(), 1e-4);
  BOOST_CHECK_SMALL(max(abs(variance(out, {0, 1, 2}) - 1.0)).item(), 1e-3);
  // A channel that is constant keeps a finite scale.
  layer.initialize(Tensor::zeros({4, 6, 6, 3}));
  BOOST_CHECK(all_finite(layer(x).value()));
}

BOOST_AUTO_TEST_CASE(normalised_weights_begin_as_they_were_drawn) {
  const Conv2dOptions options{.in = 3, .out = 4, .padding = {1, 1}};
  Generator a(1), b(1), c(1);
  Conv2d plain(options, a);
  WeightNormConv2d with({.conv = options}, b), without({.conv = options, .magnitude = false}, c);
  const Tensor x = draws({2, 5, 5, 3}, 6).to(DType::F32);
  CHECK_SAME(with(x).value(), plain(x).value(), 1e-5, "w / |w| * |w|");
  const Tensor w = plain.state()[0].second;
  const Tensor norm = sqrt(sum_squares(w, {1, 2, 3}));
  CHECK_SAME(without(x).value(), plain(x).value() / norm, 1e-5, "|w| = 1");
}

BOOST_AUTO_TEST_CASE(networks_begin_with_zeros_and_know_their_sizes) {
  Generator gen(1);
  const Tensor x = draws({2, 4, 4, 3}, 7).to(DType::F32);
  const std::vector<std::pair<std::shared_ptr<Layer>, std::int64_t>> nets = {
      // 3x3 from 4 channels, 1x1, 3x3 from 9 to 6; two numbers for each output.
      {glow_net({.in = 3, .out = 6, .width = 8}, gen), 36 * 8 + 16 + 64 + 16 + 81 * 6 + 12},
      {std::make_shared<ResidualNet>(ResidualNetOptions{.in = 3, .out = 6, .width = 8, .blocks = 2},
                                     gen),
       36 * 8 + 16 + 2 * 2 * (72 * 8 + 16) + 72 * 6 + 12},
      {std::make_shared<ResidualNet>(
           ResidualNetOptions{.in = 3, .out = 6, .width = 8, .blocks = 1, .gated = true}, gen),
       36 * 8 + 16 + (72 * 8 + 16) + (8 * 16 + 32) + 72 * 6 + 12},
      {std::make_shared<ResidualNet>(
           ResidualNetOptions{
               .in = 3, .out = 6, .width = 8, .blocks = 1, .gated = true, .normalised = true},
           gen),
       36 * 8 + 16 + (72 * 8 + 16) + (8 * 16 + 32) + 16 + 72 * 6 + 12},
      // 1x1 from 8 and from 11 channels to 8, 3x3 from 8 to 3; the last sees 14.
      {std::make_shared<DenseNet>(
           DenseNetOptions{.in = 3, .out = 6, .width = 8, .growth = 3, .layers = 2}, gen),
       36 * 8 + 16 + (8 + 11) * 8 + 2 * 16 + 2 * (72 * 3 + 6) + 9 * 14 * 6 + 12}};
  for (const auto& [net, parameters] : nets) {
    BOOST_CHECK_EQUAL(net->parameter_count(), parameters);
    BOOST_CHECK_GT(net->initial_rows(), 0);
    const Tensor first = net->initialize(x).value();
    BOOST_CHECK(first.shape() == Shape({2, 4, 4, 6}));
    BOOST_CHECK(net->out_shape(x.shape()) == first.shape());
    BOOST_CHECK_EQUAL(max(abs(first)).item(), 0);
    std::vector<LayerInfo> rows;
    BOOST_CHECK(net->inspect(x.shape(), "", rows) == first.shape());
    std::int64_t counted = 0;
    for (const LayerInfo& row : rows) counted += row.parameters;
    BOOST_CHECK_EQUAL(counted, parameters);
  }
}

// Of places far from 0 too: the variance is that of differences.
BOOST_AUTO_TEST_CASE(layer_norm_makes_channels_standard_at_each_place) {
  LayerNorm norm(6);
  const Tensor x = (draws({5, 3, 2, 6}, 8) * 0.1 + 30.0).to(DType::F32);
  const Tensor y = norm(x).value();
  BOOST_CHECK_SMALL(max(abs(mean(y, {3}))).item(), 1e-3);
  BOOST_CHECK_SMALL(max(abs(variance(y, {3}) - 1.0)).item(), 0.02);
  moved(norm);
  const auto p = values_of(norm);
  const Tensor wide = draws({4, 6}, 9);
  const Tensor centred = wide - mean(wide, {1}, true);
  const Tensor deviation = sqrt(variance(wide, {1}, true) + LayerNorm::kEps);
  CHECK_SAME(norm(wide).value(), centred / deviation * p.at("scale") + p.at("bias"), 1e-12, "");
}

// The buffer of a pass belongs to it: what is recorded of one stays valid while others pass.
BOOST_AUTO_TEST_CASE(a_dense_net_passes_twice_on_one_tape) {
  Generator gen(1);
  DenseNet net({.in = 2, .out = 2, .width = 4, .growth = 3, .layers = 2}, gen);
  moved(net);
  const Tensor a = draws({1, 3, 3, 2}, 1), b = draws({1, 3, 3, 2}, 2);
  const auto gradient = [&](const std::vector<Tensor>& images) {
    for (const auto& [name, p] : net.parameters()) p->clear_grad();
    Tape tape;
    Var loss = sum(net(images[0]));
    for (std::size_t i = 1; i < images.size(); ++i) loss = loss + sum(net(images[i]));
    tape.backward(loss);
    return net.parameters()[0].second->grad().clone();
  };
  CHECK_SAME(gradient({a, b}), gradient({a}) + gradient({b}), 1e-12, "");
}

BOOST_AUTO_TEST_CASE(wrong_sizes_are_refused) {
  Generator gen(1);
  const auto scaled = [&](const Conv2dOptions& conv) { ScaledConv2d({.conv = conv}, gen); };
  check_error(
      [&] {
        scaled({.in = 2, .out = 3, .kernel = {2, 3}});
      },
      {"[ScaledConv2d] needs positive channels, odd kernels and stride 1"});
  check_error([&] { scaled({.in = 2, .out = 3, .stride = 2}); }, {"[ScaledConv2d]"});
  check_error([&] { scaled({.in = 0, .out = 3}); }, {"[ScaledConv2d]"});
  check_error([&] { WeightNormConv2d({.conv = {.in = 2, .out = 0}}, gen); },
              {"[WeightNormConv2d] sizes must be positive"});
  check_error([&] { ResidualNet({.in = 2, .out = 2, .blocks = -1}, gen); },
              {"[ResidualNet] needs 0 blocks or more"});
  check_error([&] { DenseNet({.in = 2, .out = 2, .growth = 0}, gen); },
              {"[DenseNet] needs 0 layers or more and a positive growth"});
  check_error([&] { LayerNorm(3)(Tensor::zeros({2, 4})); }, {"[LayerNorm] expected (N, ..., 3)"});
}

BOOST_AUTO_TEST_SUITE_END()
