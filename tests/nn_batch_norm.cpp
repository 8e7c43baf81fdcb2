// BatchNorm, its statistics, and RealNVP's network that is made of it.
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "autograd/gradcheck.h"
#include "nn/nets/realnvp_net.h"
#include "nn/optim/optim.h"
#include "tests/data_util.h"
#include "tests/devices.h"

BOOST_AUTO_TEST_SUITE(nn_batch_norm)

using namespace nf;
using namespace nf::nn;
using test::check_error;

namespace {

Tensor draws(const Shape& shape, std::uint64_t seed) { return test::draw(shape, DType::F64, seed); }

std::map<std::string, Tensor> values_of(Module& layer) {
  std::map<std::string, Tensor> copies;
  for (const auto& [name, tensor] : layer.state()) copies[name] = tensor.clone();
  return copies;
}

// One step of training, for what it does to statistics.
void pass(Layer& layer, const Tensor& x) {
  Tape tape;
  layer(x);
}

// Mean and variance of a channel by plain loops.
std::pair<double, double> of_numbers(const Tensor& x, std::int64_t channel) {
  const auto all = x.to_vector<double>();
  const auto step = static_cast<std::size_t>(x.dim(-1));
  double sum = 0, squares = 0, count = 0;
  for (std::size_t i = static_cast<std::size_t>(channel); i < all.size(); i += step) {
    sum += all[i];
    ++count;
  }
  for (std::size_t i = static_cast<std::size_t>(channel); i < all.size(); i += step) {
    squares += (all[i] - sum / count) * (all[i] - sum / count);
  }
  return {sum / count, squares / count};
}

}  // namespace

BOOST_AUTO_TEST_CASE(batches_are_normalised_and_followed) {
  BatchNorm layer({.channels = 2});
  layer.to(DType::F64);
  layer.parameters()[0].second->set_value(Tensor::from<double>({3, -1}, {2}));
  const Tensor x = draws({5, 3, 2, 2}, 1) * 2.0 + 7.0;
  const Tensor y = layer(x).value();
  for (const std::int64_t c : {0, 1}) {
    const auto [mean, variance] = of_numbers(x, c);
    const auto [mean_out, variance_out] = of_numbers(y, c);
    BOOST_CHECK_SMALL(mean_out - (c == 0 ? 3 : -1), 1e-12);
    BOOST_CHECK_CLOSE_FRACTION(variance_out, variance / (variance + 1e-4), 1e-12);
  }
  BOOST_CHECK_EQUAL(sum(abs(values_of(layer).at("running_mean"))).item(), 0);  // no tape, no step
  pass(layer, x);
  pass(layer, x);
  for (const std::int64_t c : {0, 1}) {
    const auto [mean, variance] = of_numbers(x, c);
    const auto now = [&](const char* name) {
      return values_of(layer).at(name).to_vector<double>()[static_cast<std::size_t>(c)];
    };
    BOOST_CHECK_CLOSE_FRACTION(now("running_mean"), mean * (1 - 0.9 * 0.9), 1e-12);
    BOOST_CHECK_CLOSE_FRACTION(now("running_var"), 0.81 + variance * 0.19, 1e-12);
  }
  layer.eval();
  const auto state = values_of(layer);
  const Tensor expected =
      (x - state.at("running_mean")) / sqrt(state.at("running_var") + 1e-4) + state.at("bias");
  CHECK_SAME(layer(x).value(), expected, 1e-12, "evaluation");
  pass(layer, x);
  CHECK_SAME(values_of(layer).at("running_mean"), state.at("running_mean"), 0, "no step");
  BOOST_CHECK(layer(x.narrow(0, 0, 0)).value().numel() == 0);
  layer.train();
  pass(layer, x.narrow(0, 0, 0));  // nothing is observed
  CHECK_SAME(values_of(layer).at("running_mean"), state.at("running_mean"), 0, "empty batch");
  check_error([&] { layer(Tensor::zeros({2, 3})); }, {"[BatchNorm] expected (N, ..., 2)"});
  check_error([] { BatchNorm({.channels = 0}); }, {"[BatchNorm] needs channels, got 0"});
}

BOOST_AUTO_TEST_CASE(a_pass_gives_the_statistics_of_all_batches) {
  BatchNorm layer({.channels = 3, .bias = false});
  layer.to(DType::F64);
  pass(layer, draws({4, 2, 2, 3}, 1) * 100.0);  // of which nothing may be left
  const Tensor shifts = draws({5, 1, 1, 1, 3}, 2) * 4.0;
  const Tensor x = draws({5, 8, 2, 2, 3}, 3) + shifts;  // batches of different means
  const auto average = [&] {
    StatisticsPass batches;
    for (std::int64_t i = 0; i < 5; ++i) {
      batches.next_batch();
      layer(x.narrow(0, i, 1).reshape({8, 2, 2, 3}));
    }
  };
  average();
  BOOST_CHECK(StatisticsPass::current() == nullptr);
  for (const std::int64_t c : {0, 1, 2}) {
    const auto [mean, variance] = of_numbers(x, c);
    const auto at = static_cast<std::size_t>(c);
    BOOST_CHECK_CLOSE_FRACTION(values_of(layer).at("running_mean").to_vector<double>()[at], mean,
                               1e-12);
    BOOST_CHECK_CLOSE_FRACTION(values_of(layer).at("running_var").to_vector<double>()[at], variance,
                               1e-12);
  }
  BOOST_CHECK(has_statistics(layer));
  Generator gen(1);
  BOOST_CHECK(!has_statistics(RealNvpNet({.in = 2, .out = 2, .width = 3}, gen)));
  // What is not finite is seen, and does not stay.
  pass(layer, Tensor::full({2, 1, 1, 3}, NAN, DType::F64));
  BOOST_CHECK(!all_finite(values_of(layer).at("running_var")));
  average();
  BOOST_CHECK(all_finite(values_of(layer).at("running_var")));
}

// A step whose values are computed twice moves the statistics once.
BOOST_AUTO_TEST_CASE(recomputed_batches_count_once) {
  BatchNorm plain({.channels = 2, .lag = 0.5}), again({.channels = 2, .lag = 0.5});
  const Tensor x = draws({4, 2, 2, 2}, 4).to(DType::F32);
  for (const bool recompute : {false, true}) {
    BatchNorm& layer = recompute ? again : plain;
    const Var in = Var::leaf(x);
    Tape tape;
    const auto fn = [&](const std::vector<Var>& inputs) {
      return std::vector<Var>{layer(inputs[0])};
    };
    const Var y = recompute ? checkpoint(fn, {in})[0] : layer(in);
    tape.backward(sum(y * y * y));
  }
  for (const auto& [name, value] : values_of(plain)) {
    CHECK_SAME(values_of(again).at(name), value, 0, name);
  }
  BOOST_CHECK_GT(max(abs(values_of(plain).at("running_mean"))).item(), 0);
}

// The paper's appendix E: the averages that a batch moved normalise it.
BOOST_AUTO_TEST_CASE(a_lag_normalises_by_running_averages) {
  constexpr double kLag = 0.75;
  BatchNorm layer({.channels = 2, .bias = false, .lag = kLag});
  layer.to(DType::F64);
  double mean[] = {0, 0}, variance[] = {1, 1};
  for (const std::uint64_t seed : {1, 2, 3}) {
    const Tensor x = draws({6, 2, 3, 2}, seed) * 3.0 + 1.0;
    const Tensor without = layer(x).value();  // no tape, no step
    Var y;
    {
      Tape tape;
      y = layer(x);
    }
    CHECK_SAME(without, y.value(), 0, "without a tape");
    const auto state = values_of(layer);
    for (const std::int64_t c : {0, 1}) {
      const auto [mean_now, variance_now] = of_numbers(x, c);
      mean[c] = kLag * mean[c] + (1 - kLag) * mean_now;
      variance[c] = kLag * variance[c] + (1 - kLag) * variance_now;
      const auto of = [&](const char* name) {
        return state.at(name).to_vector<double>()[static_cast<std::size_t>(c)];
      };
      BOOST_CHECK_CLOSE_FRACTION(of("lagged_mean"), mean[c], 1e-12);
      BOOST_CHECK_CLOSE_FRACTION(of("lagged_var"), variance[c], 1e-12);
      const Tensor expected = (x - mean[c]) / std::sqrt(variance[c] + 1e-4);
      CHECK_SAME(y.value().narrow(3, c, 1), expected.narrow(3, c, 1), 1e-12, "channel ", c);
    }
    // Statistics of the training rows, for evaluation, are no part of it.
    StatisticsPass pass;
    pass.next_batch();
    const auto [mean_now, variance_now] = of_numbers(layer(x).value(), 0);
    BOOST_CHECK_SMALL(mean_now, 1e-12);
    CHECK_SAME(values_of(layer).at("lagged_mean"), state.at("lagged_mean"), 0, "after a pass");
  }
  // The averages are constants, but for the batch's part.
  const auto state = values_of(layer);
  const GradCheck result = gradcheck(
      [&](const std::vector<Var>& in) {
        for (auto& [name, tensor] : layer.state()) Tensor(tensor).copy_(state.at(name));
        return std::vector<Var>{layer(in[0])};
      },
      {draws({3, 2, 1, 2}, 9)}, {.tolerance = 1e-6});
  BOOST_CHECK_MESSAGE(result.ok, result.message);
  for (const double lag : {-0.1, 1.0}) {
    check_error([&] { BatchNorm({.channels = 2, .lag = lag}); },
                {"[BatchNorm] needs a lag of 0 to less than 1, got"});
  }
}

// The paper's couplings of CIFAR-10 (reference: 634,448, 2,528,799 and 2,529,951 with their a).
BOOST_AUTO_TEST_CASE(networks_have_the_published_sizes) {
  struct Row {
    RealNvpNetOptions options;
    std::int64_t parameters;
  };
  const auto with = [](std::int64_t in, std::int64_t out, std::int64_t width, bool board) {
    return RealNvpNetOptions{.in = in,
                             .out = out,
                             .width = width,
                             .blocks = 8,
                             .batch_norm = true,
                             .board = board ? std::optional<int>(0) : std::nullopt};
  };
  for (const auto& [options, parameters] :
       {Row{with(3, 6, 64, true), 634'447}, Row{with(6, 12, 128, false), 2'528'798},
        Row{with(6, 12, 128, true), 2'529'950}}) {
    Generator gen(1);
    const RealNvpNet net(options, gen);
    BOOST_CHECK_EQUAL(net.parameter_count(), parameters);
    BOOST_CHECK_EQUAL(RealNvpNet::parameters_of(options), static_cast<double>(parameters));
  }
}

BOOST_AUTO_TEST_CASE(networks_begin_as_the_paper_says) {
  Generator gen(2);
  RealNvpNet net({.in = 40, .out = 6, .width = 50, .blocks = 2, .batch_norm = true}, gen);
  for (const auto& [name, tensor] : values_of(net)) {
    const auto ends = [&, &of = name](const char* end) { return of.ends_with(end); };
    const double largest = max(abs(tensor)).item();
    if (ends("bias") || ends("running_mean")) {
      BOOST_CHECK_EQUAL(largest, 0);
      continue;
    }
    if (ends("running_var")) continue;
    const bool three = !ends("skip.magnitude") && !ends("last.magnitude");
    if (ends("magnitude")) {
      // s sqrt(channels k^2 / 12), s = sqrt(2 / channels): 1.2247 and 0.4082 for any width.
      const double expected = three ? 1.2247 : 0.4082;
      BOOST_CHECK_CLOSE_FRACTION(mean(tensor).item(), expected, 0.05);
      continue;
    }
    BOOST_CHECK_CLOSE_FRACTION(largest, std::sqrt(2.0 / static_cast<double>(tensor.dim(1))), 0.01);
  }
  const auto state = values_of(net);
  for (const char* absent :
       {"first.magnitude", "blocks.0.first.magnitude", "blocks.1.first.bias"}) {
    BOOST_CHECK_MESSAGE(!state.contains(absent), absent);
  }
}

// Weight decay is for magnitudes, not for weights whose size has no effect.
BOOST_AUTO_TEST_CASE(magnitudes_decay) {
  Generator gen(2);
  RealNvpNet net({.in = 2, .out = 2, .width = 3, .blocks = 1, .batch_norm = true}, gen);
  const auto before = values_of(net);
  Optimizer optimizer(net, {.rule = UpdateRule::AdamW, .lr = 0.1, .weight_decay = 0.5});
  for (const auto& [name, p] : net.parameters()) {
    Tape tape;
    tape.backward(sum(*p * 0.0));  // gradients of 0
  }
  optimizer.step();
  for (const auto& [name, now] : values_of(net)) {
    const double factor = name.ends_with("magnitude") ? 0.95 : 1;
    CHECK_SAME(now, before.at(name) * factor, 1e-6, name);
  }
}

BOOST_AUTO_TEST_CASE(gradients_in_both_modes) {
  Generator gen(3);
  for (const bool batch_norm : {false, true}) {
    for (const std::int64_t context : {0, 1}) {
      const RealNvpNetOptions options{.in = 2,
                                      .context = context,
                                      .out = 3,
                                      .width = 3,
                                      .blocks = 1,
                                      .batch_norm = batch_norm,
                                      .board = 1};
      RealNvpNet net(options, gen);
      net.to(DType::F64);
      net.for_each_parameter([&](const std::string&, Var& p) {
        p.set_value(p.value() + 0.3 * normal(gen, p.shape(), DType::F64));
      });
      BOOST_CHECK_EQUAL(static_cast<double>(net.parameter_count()),
                        RealNvpNet::parameters_of(options));
      std::vector<Tensor> inputs = {draws({3, 4, 2, 2 + context}, 8)};
      const auto parameters = net.parameters();
      for (const auto& [name, p] : parameters) inputs.push_back(p->value());
      for (const bool training : {true, false}) {
        net.train(training);
        const GradCheck result = gradcheck(
            [&](const std::vector<Var>& in) {
              for (std::size_t i = 1; i < in.size(); ++i) *parameters[i - 1].second = in[i];
              return std::vector<Var>{net(in[0])};
            },
            inputs, {.tolerance = 1e-6});
        BOOST_CHECK_MESSAGE(result.ok, net.kind() << ": " << result.message);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(networks_know_their_sizes) {
  Generator gen(4);
  const Tensor x = draws({4, 4, 4, 3}, 9).to(DType::F32) * 3.0;
  for (const bool batch_norm : {false, true}) {
    RealNvpNet net({.in = 2,
                    .context = 1,
                    .out = 4,
                    .width = 5,
                    .blocks = 2,
                    .batch_norm = batch_norm,
                    .board = 0},
                   gen);
    BOOST_CHECK(net.out_shape(x.shape()) == net(x).shape());
    std::vector<LayerInfo> rows;
    BOOST_CHECK(net.inspect(x.shape(), "", rows) == net(x).shape());
    std::int64_t counted = 0;
    for (const LayerInfo& row : rows) counted += row.parameters;
    BOOST_CHECK_EQUAL(counted, net.parameter_count());
    BOOST_CHECK_EQUAL(net.initial_rows() > 0, !batch_norm);
    if (!batch_norm) BOOST_CHECK_EQUAL(max(abs(net.initialize(x).value())).item(), 0);
  }
  RealNvpNet board({.in = 1, .out = 1, .width = 2, .board = 0}, gen);
  check_error([&] { board(Tensor::zeros({1, 3, 4, 1})); }, {"[RealNvpNet] a checkerboard needs"});
  check_error([&] { board(Tensor::zeros({1, 4, 4, 2})); }, {"[RealNvpNet] expected images"});
  check_error([&] { RealNvpNet({.in = 1, .out = 1, .blocks = -1}, gen); },
              {"[RealNvpNet] needs 0"});
}

BOOST_AUTO_TEST_SUITE_END()
