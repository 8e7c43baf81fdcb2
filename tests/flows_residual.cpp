// ResidualBlock: its inverse, its log-determinant by three ways, and how a training holds its
// bound.
#include <boost/test/unit_test.hpp>
#include <cmath>

#include "flows/compose.h"
#include "flows/examine/diagnose.h"
#include "flows/flow_density.h"
#include "flows/layers/residual.h"
#include "flows/layers/scaling.h"
#include "flows/train/fit.h"
#include "tensor/backend.h"
#include "tensor/linalg.h"
#include "tests/data_util.h"
#include "tests/flows_rows.h"

using namespace nf;
using namespace nf::flows;
using test::check_error;

namespace {

using test::FlowRow;

std::shared_ptr<nn::LipschitzNet> net_of_rows(std::int64_t dims, const std::string& activation,
                                              Generator& gen, double coefficient = 0.9) {
  return nn::lipschitz_mlp({.dims = dims,
                            .hidden_units = 7,
                            .hidden_layers = 2,
                            .activation = activation,
                            .coefficient = coefficient},
                           gen);
}

std::shared_ptr<nn::LipschitzNet> net_of_images(Generator& gen) {
  return nn::lipschitz_conv_net(
      {.channels = 2, .height = 2, .width = 3, .hidden_channels = 4, .activation = "lipswish"},
      gen);
}

/// Weights of deviation 1 in f64, so that J is not small; norms converged, evaluation mode.
std::shared_ptr<ResidualBlock> block(const std::shared_ptr<nn::LipschitzNet>& net,
                                     const ResidualOptions& options, std::uint64_t seed = 3) {
  auto made = std::make_shared<ResidualBlock>(net, options, Generator(seed, 17));
  Generator gen(8);
  made->to(DType::F64);
  made->for_each_parameter([&](const std::string&, Var& p) {
    p.set_value(p.value() + 0.5 * normal(gen, p.shape(), DType::F64));
  });
  nn::converge_spectral_norms(*made);
  made->eval();
  return made;
}

/// One linear map W, so that J is W^T at every x, of norm 0.7.
std::shared_ptr<nn::LipschitzNet> linear_net(std::int64_t dims, Generator& gen) {
  return std::make_shared<nn::LipschitzNet>(std::vector<nn::LipschitzNet::Step>{
      {nullptr,
       std::make_shared<nn::SpectralLinear>(
           nn::SpectralLinearOptions{
               .in = dims, .out = dims, .coefficient = 0.7, .init = {nn::Init::Kind::Normal, 1}},
           gen)}});
}

struct Sampled {
  double mean = 0, error = 0;
  explicit Sampled(const std::vector<double>& values) {
    const MeanAndError m = mean_and_error(values);
    mean = m.mean;
    error = m.error;
  }
};

std::map<std::string, Tensor> gradients_of(ResidualBlock& layer, const Tensor& x) {
  std::map<std::string, Tensor> all;
  const Var leaf = Var::leaf(x);
  Tape tape;
  tape.backward(sum(layer.forward(leaf).log_det));
  all["x"] = leaf.grad();
  layer.for_each_parameter([&](const std::string& name, Var& p) {
    if (p.grad().defined()) all[name] = p.grad();
  });
  layer.clear_grads();
  return all;
}

/// x repeated: sample i of n is row i % rows.
Tensor repeated(const Tensor& x, std::int64_t times) {
  return concat(std::vector<Tensor>(static_cast<std::size_t>(times), x), 0);
}

}  // namespace

namespace nf::test {

std::vector<FlowRow> residual_rows() {
  std::vector<FlowRow> rows;
  for (const std::string& activation : nn::lipschitz_names()) {
    rows.push_back({"ResidualBlock",
                    {.name = "ResidualBlock of rows, " + activation,
                     .make =
                         [=](Generator& gen) {
                           return std::make_shared<ResidualBlock>(net_of_rows(4, activation, gen));
                         },
                     .input =
                         [](Generator& gen) {
                           return normal(gen, {4, 4}, DType::F64);
                         },
                     .extremes = Tensor::from<double>({1e3, -1e3, 1e3, 0, 0, 0, 0, 0}, {2, 4})}});
  }
  rows.push_back(
      {"ResidualBlock",
       {.name = "ResidualBlock of images",
        .make = [](Generator& gen) { return std::make_shared<ResidualBlock>(net_of_images(gen)); },
        .input =
            [](Generator& gen) {
              return normal(gen, {3, 2, 3, 2}, DType::F64);
            }}});
  return rows;
}

}  // namespace nf::test

BOOST_AUTO_TEST_SUITE(flows_residual)

BOOST_AUTO_TEST_CASE(residual_blocks_keep_their_promises) {
  for (const FlowRow& row : test::residual_rows()) {
    for (const std::string& failure : check_bijection(row.test)) BOOST_ERROR(failure);
  }
}

BOOST_AUTO_TEST_CASE(the_inverse_says_how_far_it_is_and_when_it_fails) {
  Generator gen(2);
  const auto layer = block(net_of_rows(3, "elu", gen), {});
  const Tensor x = normal(gen, {20, 3}, DType::F64) * 3.0;
  const Tensor z = layer->forward(x).value.value();
  BOOST_TEST(max(abs(layer->inverse(z).value.value() - x)).item() < 1e-9);
  const int steps = layer->inverse_steps();
  BOOST_TEST((steps > 5 && steps < 400));
  // Samples are alike in any company, to the last bit.
  const Tensor all = layer->inverse(z).value.value();
  const Tensor one = layer->inverse(z.narrow(0, 7, 1)).value.value();
  BOOST_TEST(max(abs(all.narrow(0, 7, 1) - one)).item() == 0);
  // What is not finite stays so, and does not keep others from their limit.
  Tensor bad = z.clone();
  bad.narrow(0, 3, 1).fill_(std::nan(""));
  const Tensor beside = layer->inverse(bad).value.value();
  BOOST_TEST(!all_finite(beside.narrow(0, 3, 1)));
  BOOST_TEST(max(abs(beside.narrow(0, 4, 16) - all.narrow(0, 4, 16))).item() == 0);
  const auto hasty = block(net_of_rows(3, "elu", gen), {.most_steps = 2});
  check_error([&] { hasty->inverse(z); },
              {"[ResidualBlock] the inverse did not converge: after 2 steps it still moves by",
               "(tolerance 1e-11)"});
  check_error([&] { ResidualBlock(net_of_rows(3, "elu", gen, 1)); },
              {"that of this network may be 1"});
  check_error([&] { ResidualBlock(net_of_rows(3, "elu", gen), {.terms = 0}); },
              {"terms and steps above 0"});
}

// Nothing of the log-determinant stays on the tape but v and w, like x, and its value.
BOOST_AUTO_TEST_CASE(an_estimate_keeps_no_graph_of_its_series) {
  constexpr std::int64_t kRows = 64, kDims = 4;
  for (const ResidualLogDet kind : {ResidualLogDet::Series, ResidualLogDet::Roulette}) {
    Generator gen(4);
    const auto net = nn::lipschitz_mlp({.dims = kDims, .hidden_units = 256}, gen);
    ResidualBlock layer(net, {.log_det = kind, .terms = 30}, Generator(3, 17));
    const Var x = Var::leaf(normal(gen, {kRows, kDims}));
    const auto kept_by = [&](const std::function<Mapped()>& run) {
      const std::size_t before = cpu_backend().bytes_in_use();
      const Tape tape;
      const Mapped out = run();
      return cpu_backend().bytes_in_use() - before;
    };
    const auto value = kept_by([&] { return Mapped{x + net->forward(x), {}}; });
    const auto both = kept_by([&] { return layer.forward(x); });
    const std::size_t gradients = 2 * static_cast<std::size_t>(net->parameter_count()),
                      few = gradients + 5 * kRows * (kDims + 1);
    BOOST_TEST(both <= value + few * sizeof(float), both << " bytes, the value alone " << value);
  }
}

// Estimated and exact; of the series it is right but for terms that are left out.
BOOST_AUTO_TEST_CASE(estimates_are_right_on_average) {
  constexpr std::int64_t kDraws = 4000;
  for (const bool of_images : {false, true}) {
    for (const bool roulette : {false, true}) {
      BOOST_TEST_CONTEXT((of_images ? "images" : "rows")
                         << (roulette ? ", roulette" : ", series")) {
        Generator gen(4), same(4);
        const auto make = [&](Generator& from) {
          return of_images ? net_of_images(from) : net_of_rows(4, "lipswish", from);
        };
        const auto exact = block(make(gen), {});
        const auto estimating = block(
            make(same), {.log_det = roulette ? ResidualLogDet::Roulette : ResidualLogDet::Series,
                         .terms = roulette ? 1 : 60,
                         .terms_evaluated = roulette ? 2 : 60});
        BOOST_TEST((estimating->estimated() && !exact->estimated()));
        const Shape shape = of_images ? Shape{1, 2, 3, 2} : Shape{1, 4};
        const Tensor x = normal(gen, shape, DType::F64);
        const double right = exact->forward(x).log_det.value().item();
        for (const bool training : {true, false}) {
          estimating->train(training);
          const Sampled found(
              estimating->forward(repeated(x, kDraws)).log_det.value().to_vector<double>());
          BOOST_TEST(std::abs(found.mean - right) < 4 * found.error);
          BOOST_TEST(found.error < 0.05);
        }
      }
    }
  }
}

// By the gradient that forward kept, and by the one that backward computes where samples differ.
BOOST_AUTO_TEST_CASE(samples_may_count_alike_or_not) {
  Generator gen(4);
  const auto layer = block(net_of_rows(3, "lipswish", gen), {.log_det = ResidualLogDet::Series});
  const Tensor x = normal(gen, {4, 3}, DType::F64);
  const auto weighed = [&](const std::vector<double>& by) {
    const Placed placed(layer->generators(), Tensor::arange(4, DType::I32), 1);
    const Var leaf = Var::leaf(x);
    Tape tape;
    tape.backward(sum(layer->forward(leaf).log_det * Var(Tensor::from(by, {4}))));
    std::vector<Tensor> all = {leaf.grad()};
    layer->for_each_parameter([&](const std::string&, Var& p) { all.push_back(p.grad()); });
    layer->clear_grads();
    return all;
  };
  const auto alike = weighed({2, 2, 2, 2}), first = weighed({2, 2, 0, 0}),
             last = weighed({0, 0, 2, 2});
  int checked = 0;
  for (std::size_t i = 0; i < alike.size(); ++i) {
    if (!alike[i].defined()) continue;  // the last bias
    const Tensor sum = first[i] + last[i];
    BOOST_TEST(max(abs(alike[i] - sum)).item() < 1e-12 * (1 + max(abs(sum)).item()));
    ++checked;
  }
  BOOST_TEST(checked > 5);
}

BOOST_AUTO_TEST_CASE(gradients_of_estimates_are_right_on_average) {
  constexpr int kRounds = 200;
  Generator gen(4), same(4);
  const auto exact = block(net_of_rows(3, "lipswish", gen), {});
  const auto estimating =
      block(net_of_rows(3, "lipswish", same), {.log_det = ResidualLogDet::Roulette, .terms = 2});
  estimating->train();
  const Tensor x = normal(gen, {1, 3}, DType::F64), many = repeated(x, 20);
  const auto right = gradients_of(*exact, many);
  std::map<std::string, std::vector<std::vector<double>>> drawn;
  for (int i = 0; i < kRounds; ++i) {
    for (const auto& [name, gradient] : gradients_of(*estimating, many)) {
      drawn[name].push_back(gradient.to_vector<double>());
    }
  }
  BOOST_TEST(drawn.size() == right.size());
  int far = 0, all = 0;
  double worst = 0;
  for (const auto& [name, rounds] : drawn) {
    const auto wanted = right.at(name).to_vector<double>();
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      std::vector<double> values;
      for (const auto& round : rounds) values.push_back(round[i]);
      const Sampled found(values);
      if (found.error < 1e-12) {  // a bias of the last layer: no part of J
        BOOST_TEST(std::abs(found.mean - wanted[i]) < 1e-9, name);
        continue;
      }
      const double off = std::abs(found.mean - wanted[i]) / found.error;
      worst = std::max(worst, off);
      far += off > 3 ? 1 : 0;
      ++all;
    }
  }
  BOOST_TEST(all > 100);
  BOOST_TEST(worst < 4.5);  // of some hundred numbers
  BOOST_TEST(far <= all / 50 + 1);
}

// One v for all powers: then v^T J^k v of a linear g have a mean, and only then, that is ln|det|.
BOOST_AUTO_TEST_CASE(a_linear_map_has_its_determinant_and_one_direction) {
  Generator gen(6);
  const auto net = linear_net(5, gen);
  net->to(DType::F64);
  const auto layer = std::make_shared<ResidualBlock>(
      net, ResidualOptions{.log_det = ResidualLogDet::Series, .terms_evaluated = 100},
      Generator(3, 17));
  layer->to(DType::F64);
  layer->eval();
  const NoGrad no_grad;
  const Tensor w = net->weights()[0].value(), eye = Tensor::eye(5, DType::F64);
  const double right = slogdet(eye + w).logdet.item();
  const std::int64_t n = 3000;
  Generator kept = *layer->generators()[0];
  const auto values =
      layer->forward(Tensor::zeros({n, 5}, DType::F64)).log_det.value().to_vector<double>();
  const Sampled found(values);
  BOOST_TEST(std::abs(found.mean - right) < 4 * found.error);
  // The same directions, with the logarithm of the matrix: v^T ln(I + W) v by its own series.
  const Tensor v = affine(
      less(uniform(kept, {n, 6}, DType::F64).narrow(1, 0, 5), Tensor::full({}, 0.5, DType::F64))
          .to(DType::F64),
      2, -1);
  Tensor power = eye, log = Tensor::zeros({5, 5}, DType::F64);
  for (int k = 1; k <= 100; ++k) {
    power = matmul(power, w);
    log = log + power * ((k % 2 == 1 ? 1.0 : -1.0) / k);
  }
  const auto own = sum(matmul(v, log) * v, {1}).to_vector<double>();
  for (std::int64_t i = 0; i < n; i += 97) BOOST_CHECK_SMALL(values[i] - own[i], 1e-10);
}

// J = -L I: all terms have one sign, v^T J^k v = D (-L)^k whatever v, and bounds are reached.
BOOST_AUTO_TEST_CASE(what_a_series_leaves_out_is_the_bias_that_is_told) {
  constexpr std::int64_t kDims = 3, kDraws = 4000;
  const double right = kDims * std::log(1 - 0.7);
  const auto scores = [&](ResidualLogDet kind, int terms, double& bias) {
    Generator gen(6);
    const auto net = linear_net(kDims, gen);
    net->for_each_parameter([&](const std::string& name, Var& p) {
      p.set_value(name.ends_with("weight") ? Tensor::eye(kDims) * -10.0 : p.value() * 0.0);
    });
    ResidualBlock layer(net, {.log_det = kind, .terms_evaluated = terms}, Generator(3, 17));
    layer.to(DType::F64);
    nn::converge_spectral_norms(layer);
    layer.eval();
    bias = kDims * layer.bias_bound();
    const NoGrad no_grad;
    return layer.forward(Tensor::zeros({kDraws, kDims}, DType::F64))
        .log_det.value()
        .to_vector<double>();
  };
  double bias = 0;
  BOOST_CHECK_CLOSE(scores(ResidualLogDet::Exact, 1, bias)[0], right, 1e-9);
  BOOST_TEST(bias == 0);
  for (const int terms : {1, 3, 20}) {
    const double gap = scores(ResidualLogDet::Series, terms, bias)[0] - right;
    BOOST_CHECK_CLOSE(gap, bias, 1e-6);
    const double of_series = bias;
    const Sampled found(scores(ResidualLogDet::Roulette, terms, bias));
    BOOST_TEST(std::abs(found.mean - right) < 4 * found.error + bias);
    BOOST_TEST((bias < of_series / 50 && (terms == 20 || found.error < of_series / 4)));
  }
}

BOOST_AUTO_TEST_CASE(draws_belong_to_the_sample) {
  for (const ResidualLogDet kind : {ResidualLogDet::Series, ResidualLogDet::Roulette}) {
    Generator gen(2);
    const auto flow = std::make_shared<Compose>();
    flow->add("first",
              std::make_shared<ResidualBlock>(
                  net_of_rows(3, "lipswish", gen),
                  ResidualOptions{.log_det = kind, .terms_evaluated = 3}, Generator(1, 21)));
    flow->add("scaling", std::make_shared<Scaling>(3));
    flow->add("second",
              std::make_shared<ResidualBlock>(net_of_rows(3, "lipswish", gen),
                                              ResidualOptions{.log_det = kind}, Generator(1, 22)));
    FlowDensity density(flow, base_by_name("gaussian"), 3);
    BOOST_TEST((estimates_log_det(density) && !density.bound()));
    const Tensor x = normal(gen, {30, 3});
    const auto all = score(density, x);
    for (const std::int32_t row : {0, 11, 29}) {
      const auto alone = score(density, x.narrow(0, row, 1),
                               {.samples = Tensor::from(std::vector<std::int32_t>{row}, {1})});
      BOOST_TEST(alone[0] == all[static_cast<std::size_t>(row)]);
    }
    BOOST_TEST(score(density, x, {.noise_draws = 2}) != all);
    const auto layers = diagnose_layers(density, x, {.jacobians = 0});
    BOOST_TEST((layers[0].estimated && layers[2].estimated && !layers[1].estimated));
    BOOST_TEST(layers.back().log_det_gap < 1e-6);  // of the others
    // Latents and the way back draw nothing.
    density.eval();
    const std::uint64_t before = density.generators()[0]->offset();
    const Tensor z = density.encode(x);
    BOOST_TEST(density.generators()[0]->offset() == before);
    BOOST_TEST(max(abs(density.decode(z) - x)).item() < 1e-4);
  }
}

BOOST_AUTO_TEST_SUITE_END()
