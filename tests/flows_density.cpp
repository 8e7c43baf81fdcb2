// Base distributions, FlowDensity and its units, evaluate, and where NaN is found.
#include "flows/bijection.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <numbers>

#include "flows/compose.h"
#include "flows/flow_density.h"
#include "flows/layers/coupling.h"
#include "flows/layers/dequantize.h"
#include "flows/layers/scaling.h"
#include "flows/models/build.h"
#include "flows/models/coupling_flow.h"
#include "flows/train/evaluate.h"
#include "tests/data_util.h"

using namespace nf;
using namespace nf::flows;
using test::check_error;

namespace {

/// The uniform density on [0, 1]^D.
struct Uniform : Base {
  Var log_prob(const Var& z) override { return zero_log_det(z); }
  Tensor sample(Generator& gen, std::int64_t n, std::int64_t dims, double, Device device) override {
    return uniform(gen, {n, dims}, DType::F32, device);
  }
  double cdf(double z) const override { return std::clamp(z, 0., 1.); }
  double deviation() const override { return std::sqrt(1. / 12); }
  std::string kind() const override { return "Uniform"; }
};

std::shared_ptr<Compose> compose(
    const std::vector<std::pair<std::string, std::shared_ptr<Transform>>>& parts) {
  auto flow = std::make_shared<Compose>();
  for (const auto& [name, part] : parts) flow->add(name, part);
  return flow;
}

std::shared_ptr<FlowDensity> standard_normal(std::int64_t dims) {
  return std::make_shared<FlowDensity>(std::make_shared<Compose>(),
                                       std::make_shared<StandardNormal>(), dims);
}

Config small_nice() {
  Config config = preset("nice");
  coupling_flow(config).hidden_units = 20;
  coupling_flow(config).hidden_layers = 2;
  coupling_flow(config).last_init_scale = 1;  // by default a coupling begins as the identity
  return config;
}

Tensor pixels(std::int64_t n, std::int64_t dims, std::uint64_t seed) {
  Generator gen(seed);
  return (uniform(gen, {n, dims}) * 256.0).to(DType::U8);
}

std::vector<double> log_probs(FlowDensity& density, const Tensor& x) {
  return density.log_prob(x).value().to(DType::F64).to_vector<double>();
}

}  // namespace

BOOST_AUTO_TEST_SUITE(flows_density)

// --- base distributions --------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(base_densities_are_their_formulas) {
  const auto gauss = [](double z) { return -0.5 * z * z - 0.5 * std::log(2 * std::numbers::pi); };
  const auto logistic = [](double z) {
    return -std::abs(z) - 2 * std::log1p(std::exp(-std::abs(z)));
  };
  struct Case {
    const char* name;
    double (*log_density)(double);
    double variance;
  };
  for (const Case& c : {Case{"gaussian", gauss, 1},
                        {"logistic", logistic, std::numbers::pi * std::numbers::pi / 3}}) {
    BOOST_TEST_CONTEXT(c.name) {
      const auto base = base_by_name(c.name);
      const std::vector<double> z = {0, 1, -2, 30, -30, 1e3, -1e3, 0.1};
      for (const DType dtype : {DType::F32, DType::F64}) {
        const Var rows = base->log_prob(Tensor::from(z, {4, 2}).to(dtype));
        BOOST_CHECK_EQUAL(rows.shape(), Shape({4}));
        const auto got = rows.value().to(DType::F64).to_vector<double>();
        for (int i = 0; i < 4; ++i) {
          const double expected = c.log_density(z[2 * i]) + c.log_density(z[2 * i + 1]);
          BOOST_CHECK_CLOSE_FRACTION(got[i], expected, dtype == DType::F32 ? 1e-6 : 1e-14);
        }
      }
      constexpr int kPoints = 80'001;  // -40 to 40
      const Tensor line = affine(Tensor::arange(kPoints, DType::F64), 1e-3, -40).reshape({-1, 1});
      BOOST_CHECK_CLOSE_FRACTION(sum(exp(base->log_prob(line).value())).item() * 1e-3, 1, 1e-9);

      Generator gen(1), same(1);
      const Tensor draws = base->sample(gen, 20'000, 3);
      BOOST_CHECK_EQUAL(draws.shape(), Shape({20'000, 3}));
      BOOST_CHECK_SMALL(mean(draws).item(), 4 * std::sqrt(c.variance / 60'000));
      BOOST_CHECK_CLOSE_FRACTION(variance(draws).item(), c.variance, 0.03);
      const Tensor cool = base->sample(same, 20'000, 3, 0.5);
      BOOST_CHECK_SMALL(max(abs(cool - draws * 0.5)).item(), 1e-6);
    }
  }
  check_error([] { base_by_name("cauchy"); }, {"[prior]", "'cauchy'", "logistic, gaussian"});
}

// --- units
// -----------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(a_uniform_model_of_bytes_takes_8_bits) {
  FlowDensity density(compose({{"dequantize", std::make_shared<Dequantize>(Generator(1))},
                               {"scale", std::make_shared<Scale>(1.0 / 256)}}),
                      std::make_shared<Uniform>(), 784);
  const Evaluation result = evaluate(density, pixels(20, 784, 1));
  BOOST_CHECK_CLOSE_FRACTION(result.bits_per_dim, 8, 1e-6);
  BOOST_CHECK_SMALL(result.bits_per_dim_se, 1e-6);
}

BOOST_AUTO_TEST_CASE(nats_and_bits_of_the_papers) {
  const auto nice = make_flow(small_nice(), {.dims = 784, .discrete = true});
  BOOST_CHECK(nice->bound());
  // Published nats on [0, 1]^784 and the bits/dim that they are: 8 - nats / (784 ln 2).
  for (const auto& [nats, bits] : {std::pair{1980.50, 4.3556}, {1933.89, 4.4413}, {0.0, 8.0}}) {
    const double log_prob = nats - 784 * std::log(256.0);
    BOOST_CHECK_SMALL(nice->nats(log_prob) - nats, 1e-9);
    BOOST_CHECK_SMALL(nice->bits_per_dim(log_prob) - bits, 1e-4);
  }
  BOOST_CHECK(nice->convention().text.find("bits/dim = 8 - nats/(784 ln 2)") != std::string::npos);
  // Real data: nats are those of log_prob, and nothing is a bound.
  const auto plane = make_flow(preset("realnvp-2d"), {.dims = 2});
  BOOST_CHECK(!plane->bound());
  BOOST_CHECK_EQUAL(plane->nats(-2.5), -2.5);
  BOOST_CHECK_CLOSE_FRACTION(plane->bits_per_dim(-2.5), 2.5 / (2 * std::numbers::ln2), 1e-12);
}

BOOST_AUTO_TEST_CASE(log_prob_is_that_of_the_levels) {
  // Without couplings: the logistic density of (x + u) / 256, and 256 to a unit of it.
  Config config = small_nice();
  coupling_flow(config).last_init_scale = 0;  // identity
  const auto density = make_flow(config, {.dims = 6, .discrete = true});
  const Tensor x = pixels(3, 6, 2);
  const auto own = density->generators();
  const Placed placed(own, {}, 4);
  Generator noise = *own.at(0);
  const auto got = log_probs(*density, x);
  const Tensor y = (x.to(DType::F32) + uniform(noise, {3, 6})) / 256.0;
  const auto expected =
      log_probs(*std::make_shared<FlowDensity>(std::make_shared<Compose>(),
                                               std::make_shared<StandardLogistic>(), 6),
                y);
  for (int i = 0; i < 3; ++i) {
    BOOST_CHECK_CLOSE_FRACTION(got[i], expected[i] - 6 * std::log(256.0), 1e-5);
  }
}

BOOST_AUTO_TEST_CASE(densities_integrate_to_one) {
  Config config = preset("realnvp-2d");
  coupling_flow(config).couplings = 4;
  coupling_flow(config).hidden_units = 8;
  coupling_flow(config).last_init_scale = 0.05;  // keeps the mass on the grid
  for (const char* coupling : {"additive", "multiplicative", "affine"}) {
    for (const char* prior : {"gaussian", "logistic"}) {
      coupling_flow(config).coupling = coupling;
      coupling_flow(config).prior = prior;
      const auto density = make_flow(config, {.dims = 2});
      constexpr int kSide = 400;
      constexpr double kStep = 0.1;  // of a grid from -20 to 20
      const Tensor line = affine(Tensor::arange(kSide), kStep, -kStep * (kSide - 1) / 2);
      const Tensor x = line.reshape({kSide, 1, 1}).broadcast_to({kSide, kSide, 1});
      const Tensor y = line.reshape({1, kSide, 1}).broadcast_to({kSide, kSide, 1});
      const Tensor grid = concat(std::vector<Tensor>{x, y}, 2).reshape({-1, 2});
      const double total = sum(exp(density->log_prob(grid).value())).item() * kStep * kStep;
      BOOST_CHECK_MESSAGE(std::abs(total - 1) < 2e-3, coupling << ", " << prior << ": " << total);
    }
  }
}

BOOST_AUTO_TEST_CASE(images_come_back_from_their_latents) {
  for (const char* coupling : {"additive", "affine"}) {
    Config config = small_nice();
    coupling_flow(config).coupling = coupling;
    const auto density = make_flow(config, {.dims = 784, .discrete = true});
    const Tensor x = pixels(64, 784, 3);
    const Tensor z = density->encode(x);
    // Every coupling has moved them, some far.
    const Tensor plain = (x.to(DType::F32) + 0.5) / 256.0;
    BOOST_CHECK_GT(max(abs(z - plain)).item(), 0.1);
    BOOST_CHECK_GT(mean(abs(z - plain)).item(), 0.01);
    BOOST_CHECK(density->decode(z).to(DType::U8).to_vector<std::uint8_t>() ==
                x.to_vector<std::uint8_t>());
    BOOST_CHECK(density->encode(x).to_vector<float>() == z.to_vector<float>());
  }
}

BOOST_AUTO_TEST_CASE(the_continuous_density_is_that_of_dequantised_levels) {
  const auto density = make_flow(small_nice(), {.dims = 6, .discrete = true});
  const auto continuous = density->continuous();
  BOOST_CHECK_EQUAL(density->levels(), 256);
  BOOST_CHECK_EQUAL(continuous->levels(), 0);
  BOOST_CHECK(!continuous->bound());
  const Tensor x = pixels(3, 6, 2);
  const auto own = density->generators();
  const Placed placed(own, {}, 4);
  Generator noise = *own.at(0);
  const auto levels = log_probs(*density, x);
  const auto reals = log_probs(*continuous, x.to(DType::F32) + uniform(noise, {3, 6}));
  for (int i = 0; i < 3; ++i) BOOST_CHECK_CLOSE_FRACTION(reals[i], levels[i], 1e-6);
  // One set of parameters, and real data have nothing to take off.
  BOOST_CHECK(density->parameters().front().second == continuous->parameters().front().second);
  const auto plane = standard_normal(2);
  const Tensor points = Tensor::ones({1, 2});
  BOOST_CHECK_EQUAL(log_probs(*plane->continuous(), points)[0], log_probs(*plane, points)[0]);
}

BOOST_AUTO_TEST_CASE(samples) {
  const auto density = make_flow(small_nice(), {.dims = 9, .discrete = true});
  Generator gen(1), same(1), other(2);
  const Tensor x = density->sample(gen, 50);
  BOOST_CHECK_EQUAL(x.shape(), Shape({50, 9}));
  BOOST_CHECK(x.to(DType::U8).to(DType::F32).to_vector<float>() == x.to_vector<float>());
  BOOST_CHECK(density->sample(same, 50).to_vector<float>() == x.to_vector<float>());
  BOOST_CHECK(density->sample(other, 50).to_vector<float>() != x.to_vector<float>());
  // At temperature 0 every sample is the image of the latent 0.
  const Tensor cold = density->sample(gen, 2, 0);
  BOOST_CHECK(cold.to_vector<float>() == density->decode(Tensor::zeros({2, 9})).to_vector<float>());
  check_error([&] { density->sample(gen, 0); }, {"[sample]"});
  check_error([&] { density->sample(gen, 1, -1); }, {"[sample]", "-1"});
  check_error(
      [&] {
        density->log_prob(Tensor::zeros({2, 8}));
      },
      {"[log_prob]", "(N, 9)", "(2, 8)"});
}

// --- evaluate
// --------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(evaluation_is_the_mean_over_all_samples) {
  const auto density = standard_normal(3);
  Generator gen(5);
  const Tensor x = normal(gen, {10, 3}) * 2.0;
  const auto values = log_probs(*density, x);
  double mean = 0, squares = 0;
  for (double v : values) mean += v / 10;
  for (double v : values) squares += (v - mean) * (v - mean);
  const double se = std::sqrt(squares / 9 / 10);
  for (const std::int64_t batch : {1, 3, 4, 10, 1000}) {  // 4: the last batch is half as large
    const Evaluation result = evaluate(*density, x, {.batch_size = batch});
    BOOST_CHECK_CLOSE_FRACTION(result.nats, mean, 1e-10);
    BOOST_CHECK_CLOSE_FRACTION(result.nats_se, se, 1e-6);
    BOOST_CHECK_CLOSE_FRACTION(result.bits_per_dim, -mean / (3 * std::numbers::ln2), 1e-10);
    BOOST_CHECK_CLOSE_FRACTION(result.bits_per_dim_se, se / (3 * std::numbers::ln2), 1e-6);
    BOOST_CHECK_EQUAL(result.count, 10);
  }
  BOOST_CHECK(std::isnan(evaluate(*density, x.narrow(0, 0, 1)).nats_se));          // not known
  const MeanAndError pairs = paired_difference({1e9 + 5, 7, 3}, {1e9 + 1, 4, 1});  // 4, 3, 2
  BOOST_CHECK_CLOSE(pairs.mean, 3, 1e-9);
  BOOST_CHECK_CLOSE(pairs.error, 1 / std::sqrt(3.), 1e-9);
  BOOST_CHECK(std::isnan(paired_difference({1}, {2}).error));
  check_error([] { paired_difference({1, 2}, {1}); }, {"[difference]", "same rows"});
  check_error([&] { evaluate(*density, x.narrow(0, 0, 0)); }, {"[evaluate]", "no samples"});
  check_error([&] { evaluate(*density, x, {.batch_size = 0}); }, {"[evaluate]", "positive"});
  check_error([&] { evaluate(*density, x, {.noise_draws = 0}); }, {"[evaluate]", "positive"});
}

BOOST_AUTO_TEST_CASE(scores_are_log_probs_row_by_row) {
  const auto density = standard_normal(3);
  Generator gen(5);
  Tensor x = normal(gen, {10, 3});
  x.narrow(0, 7, 1).fill_(std::nan(""));
  const auto expected = log_probs(*density, x);
  for (const std::int64_t batch : {1, 4, 1000}) {
    const auto got = score(*density, x, {.batch_size = batch, .noise_draws = 2});
    BOOST_REQUIRE_EQUAL(got.size(), 10U);
    for (std::size_t i = 0; i < 10; ++i) {
      BOOST_CHECK(i == 7 ? std::isnan(got[i]) : std::abs(got[i] - expected[i]) < 1e-12);
    }
  }
}

BOOST_AUTO_TEST_CASE(nan_is_not_skipped) {
  const auto density = standard_normal(2);
  Tensor x = Tensor::zeros({10, 2});
  x.narrow(0, 7, 1).fill_(std::nan(""));
  const Evaluation result = evaluate(*density, x, {.batch_size = 4});
  BOOST_CHECK(std::isnan(result.nats) && std::isnan(result.nats_se));
  BOOST_CHECK(std::isnan(result.bits_per_dim) && std::isnan(result.bits_per_dim_se));
}

BOOST_AUTO_TEST_CASE(evaluation_leaves_no_trace) {
  const auto density = make_flow(small_nice(), {.dims = 8, .discrete = true});
  const Tensor x = pixels(30, 8, 1);
  density->log_prob(x);
  Generator& noise = *density->generators().at(0);
  const std::uint64_t offset = noise.offset(), seed = noise.seed();
  BOOST_CHECK_GT(offset, 0U);
  const Evaluation first = evaluate(*density, x);
  density->log_prob(x);
  BOOST_CHECK_EQUAL(evaluate(*density, x).nats, first.nats);  // the same noise each time
  BOOST_CHECK_NE(evaluate(*density, x, {.seed = 1}).nats, first.nats);
  noise.set_offset(offset);
  evaluate(*density, x);
  BOOST_CHECK_EQUAL(noise.offset(), offset);
  BOOST_CHECK_EQUAL(noise.seed(), seed);
  BOOST_CHECK(!noise.placed());
  BOOST_CHECK(density->training());
  Tape tape;
  evaluate(*density, x);
  BOOST_CHECK_EQUAL(tape.size(), 0U);
}

BOOST_AUTO_TEST_CASE(more_noise_draws_average_the_bound) {
  const auto density = make_flow(small_nice(), {.dims = 8, .discrete = true});
  const Tensor x = pixels(50, 8, 1);
  // By hand: one round after the other.
  const Evaluation three = evaluate(*density, x, {.noise_draws = 3, .seed = 9});
  BOOST_CHECK_EQUAL(three.noise_draws, 3);
  double mean = 0;
  {
    const Examination examination(*density, 9);
    for (std::uint64_t draw = 0; draw < 3; ++draw) {
      const Placed placed(density->generators(), {}, draw);
      for (double v : log_probs(*density, x)) mean += v / 150;
    }
  }
  BOOST_CHECK_CLOSE_FRACTION(three.nats, density->nats(mean), 1e-9);
}

namespace {

/// A layer that fails, in both directions.
struct Failing : Bijection {
  Mapped forward(const Var&, const Var&) override { fail("on purpose"); }
  Mapped inverse(const Var&, const Var&) override { fail("on purpose"); }
  std::string kind() const override { return "Failing"; }
};

/// Says which mode it was run in.
struct Mode : Bijection {
  Mapped forward(const Var& x, const Var&) override {
    seen_training = training();
    return {x, zero_log_det(x)};
  }
  Mapped inverse(const Var& z, const Var&) override { return {z, zero_log_det(z)}; }
  std::string kind() const override { return "Mode"; }
  bool seen_training = false;
};

/// z = x, but NaN or a log-determinant of infinity.
struct Broken : Bijection {
  Broken(double value, double log_det) : value(value), log_det(log_det) {}
  Mapped forward(const Var& x, const Var&) override {
    return {x + value, zero_log_det(x) + log_det};
  }
  Mapped inverse(const Var& z, const Var&) override { return {z, zero_log_det(z)}; }
  std::string kind() const override { return "Broken"; }
  double value, log_det;
};

}  // namespace

BOOST_AUTO_TEST_CASE(evaluation_is_in_evaluation_mode) {
  const auto mode = std::make_shared<Mode>();
  FlowDensity density(compose({{"mode", mode}}), std::make_shared<StandardNormal>(), 2);
  density.log_prob(Tensor::zeros({3, 2}));
  BOOST_CHECK(mode->seen_training);
  evaluate(density, Tensor::zeros({3, 2}));
  BOOST_CHECK(!mode->seen_training);
  BOOST_CHECK(density.training());
  density.eval();
  evaluate(density, Tensor::zeros({3, 2}));
  BOOST_CHECK(!density.training());
}

BOOST_AUTO_TEST_CASE(an_evaluation_that_fails_leaves_no_trace) {
  FlowDensity density(compose({{"dequantize", std::make_shared<Dequantize>(Generator(5, 6))},
                               {"failing", std::make_shared<Failing>()}}),
                      std::make_shared<StandardNormal>(), 2);
  const Tensor x = pixels(4, 2, 1);
  Generator& noise = *density.generators().at(0);
  noise.set_offset(12);
  for (const bool training : {true, false}) {
    density.train(training);
    check_error([&] { score(density, x); }, {"on purpose"});
    BOOST_CHECK_EQUAL(density.training(), training);
    BOOST_CHECK_EQUAL(noise.seed(), 5U);
    BOOST_CHECK_EQUAL(noise.stream(), 6U);
    BOOST_CHECK_EQUAL(noise.offset(), 12U);
    Tape tape;
    BOOST_CHECK(Tape::recording());
  }
}

BOOST_AUTO_TEST_CASE(the_first_nonfinite_layer_on_the_way_back_is_named) {
  struct Far : Broken {  // on the way back too
    using Broken::Broken;
    Mapped inverse(const Var& z, const Var&) override {
      return {z + value, zero_log_det(z) + log_det};
    }
  };
  const double inf = INFINITY;
  const auto found = [](const std::shared_ptr<Transform>& flow, const Tensor& z) {
    FlowDensity density(flow, std::make_shared<StandardNormal>(), 2);
    return density.find_nonfinite_inverse(z).value_or("nothing");
  };
  const auto scaling = std::make_shared<Scaling>(2);
  const Tensor z = Tensor::ones({3, 2});
  const auto flow = [&](double value, double log_det) {
    return compose({{"first", std::make_shared<Far>(std::nan(""), 0)},
                    {"second", std::make_shared<Far>(value, log_det)},
                    {"third", scaling}});
  };
  BOOST_CHECK_EQUAL(found(compose({{"third", scaling}}), z), "nothing");
  BOOST_CHECK_EQUAL(found(flow(inf, 0), z), "the inverse of layer second (Broken)");
  BOOST_CHECK_EQUAL(found(flow(0, -inf), z), "the inverse of layer second (Broken)");
  BOOST_CHECK_EQUAL(found(flow(0, 0), z), "the inverse of layer first (Broken)");
  BOOST_CHECK_EQUAL(found(std::make_shared<Far>(inf, 0), z), "the inverse of layer Broken");
  BOOST_CHECK_EQUAL(found(scaling, z * inf), "the latents");
  scaling->parameters()[0].second->mutable_value().fill_(inf);
  BOOST_CHECK_EQUAL(found(flow(0, 0), z), "parameter third.log_scale");
}

BOOST_AUTO_TEST_CASE(the_first_nonfinite_layer_is_named) {
  const double inf = std::numeric_limits<double>::infinity();
  const auto found = [](const std::shared_ptr<Transform>& flow, const Tensor& x) {
    FlowDensity density(flow, std::make_shared<StandardNormal>(), 2);
    return density.find_nonfinite(x).value_or("nothing");
  };
  const auto fine = std::make_shared<Scaling>(2);
  const Tensor x = Tensor::ones({3, 2});
  const auto after = [&](double value, double log_det) {
    return compose({{"first", fine},
                    {"second", std::make_shared<Broken>(value, log_det)},
                    {"third", std::make_shared<Broken>(std::nan(""), 0)}});
  };
  BOOST_CHECK_EQUAL(found(compose({{"first", fine}}), x), "nothing");
  BOOST_CHECK_EQUAL(found(after(std::nan(""), 0), x), "layer second (Broken)");
  BOOST_CHECK_EQUAL(found(after(inf, 0), x), "layer second (Broken)");
  BOOST_CHECK_EQUAL(found(after(0, -inf), x), "layer second (Broken)");
  BOOST_CHECK_EQUAL(found(after(0, 0), x), "layer third (Broken)");
  BOOST_CHECK_EQUAL(found(std::make_shared<Broken>(inf, 0), x), "layer Broken");
  BOOST_CHECK_EQUAL(found(fine, x * 1e30), "base distribution StandardNormal");
  const auto nice = make_flow(small_nice(), {.dims = 6, .discrete = true});
  BOOST_CHECK(!nice->find_nonfinite(pixels(4, 6, 1)));
  for (auto& [name, p] : nice->parameters()) {
    if (name == "couplings.2.net.1.bias") p->mutable_value().narrow(0, 3, 1).fill_(inf);
  }
  BOOST_CHECK_EQUAL(nice->find_nonfinite(pixels(4, 6, 1)).value_or(""),
                    "parameter couplings.2.net.1.bias");
}

BOOST_AUTO_TEST_CASE(auroc_counts_pairs) {
  const double inf = INFINITY, nan = NAN;
  struct Case {
    std::vector<double> inside, outside;
    double area;
  };
  const Case cases[] = {
      {{3, 4}, {1, 2}, 1},        {{1, 2}, {3, 4}, 0},      {{1, 2}, {1, 2}, 0.5},
      {{2}, {1, 2, 3, 4}, 0.375}, {{5, 1, 3}, {2, 4}, 0.5}, {{0, 0}, {nan, -inf, 0, 0}, 0.75},
      {{nan}, {1, -inf}, 0.25},
  };
  for (const Case& c : cases) BOOST_TEST(auroc(c.inside, c.outside) == c.area);
  check_error([] { auroc({}, {1}); }, {"[auroc]", "0 and 1"});
}

BOOST_AUTO_TEST_SUITE_END()
