// diagnose: a right model passes, each kind of wrong one shows where, and KS distances are those of
// the definition.
#include "flows/bijection.h"

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <numbers>

#include "flows/compose.h"
#include "flows/examine/diagnose.h"
#include "flows/examine/integral.h"
#include "flows/layers/coupling.h"
#include "flows/layers/dequantize.h"
#include "flows/layers/logit.h"
#include "flows/layers/permute.h"
#include "flows/layers/scaling.h"
#include "flows/layers/standardize.h"
#include "flows/layers/variational_dequantize.h"
#include "flows/maps/affine.h"
#include "flows/models/build.h"
#include "flows/models/coupling_flow.h"
#include "nn/layers/conv2d.h"
#include "tests/data_util.h"

using namespace nf;
using namespace nf::flows;
using test::check_error;

namespace {

/// z = 2 x, but wrong by as much as is asked for.
struct Doubling : Bijection {
  Doubling(double inverse_error, double log_det_error)
      : inverse_error(inverse_error), log_det_error(log_det_error) {}
  Mapped forward(const Var& x, const Var&) override { return {x * 2.0, log_det(x)}; }
  Mapped inverse(const Var& z, const Var&) override {
    return {z * (0.5 + inverse_error), -log_det(z)};
  }
  Var log_det(const Var& x) const {
    return zero_log_det(x) + (static_cast<double>(x.dim(1)) * std::numbers::ln2 + log_det_error);
  }
  std::string kind() const override { return "Doubling"; }
  double inverse_error, log_det_error;
};

/// z = x, but the inverse moves everything by so much.
struct Moved : Bijection {
  explicit Moved(double by) : by(by) {}
  Mapped forward(const Var& x, const Var&) override { return {x, zero_log_det(x)}; }
  Mapped inverse(const Var& z, const Var&) override { return {z + by, zero_log_det(z)}; }
  std::string kind() const override { return "Moved"; }
  double by;
};

/// z = x, with another log-determinant on the way back.
struct OneWay : Bijection {
  Mapped forward(const Var& x, const Var&) override { return {x, zero_log_det(x)}; }
  Mapped inverse(const Var& z, const Var&) override { return {z, zero_log_det(z) + 0.25}; }
  std::string kind() const override { return "OneWay"; }
};

/// z = x, with a log-determinant of so many nats too much.
struct Claim : Bijection {
  explicit Claim(double nats) : nats(nats) {}
  Mapped forward(const Var& x, const Var&) override { return {x, zero_log_det(x) + nats}; }
  Mapped inverse(const Var& z, const Var&) override { return {z, zero_log_det(z) - nats}; }
  std::string kind() const override { return "Claim"; }
  double nats;
};

FlowDensity two_layers(std::shared_ptr<Transform> second) {
  auto flow = std::make_shared<Compose>();
  flow->add("first", std::make_shared<Doubling>(0, 0));
  flow->add("second", std::move(second));
  return FlowDensity(flow, std::make_shared<StandardNormal>(), 3);
}

Tensor some_rows() {
  Generator gen(1);
  return normal(gen, {7, 3}, DType::F64);
}

/// What 100 equally likely values z_i with cdf(z_i) = (i + 1/2) / 100 are at a distance of.
std::vector<double> quantiles(const Base& base) {
  std::vector<double> values;
  for (int i = 0; i < 100; ++i) {
    double low = -40, high = 40;
    for (int k = 0; k < 200; ++k) {
      const double middle = (low + high) / 2;
      (base.cdf(middle) < (i + .5) / 100 ? low : high) = middle;
    }
    values.push_back(low);
  }
  return values;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(flows_diagnose)

// Published: normal tables; the logistic's closed form. Derivative of the cdf = exp(log_prob).
BOOST_AUTO_TEST_CASE(cdf_of_the_bases) {
  const StandardNormal normal;
  BOOST_CHECK_CLOSE_FRACTION(normal.cdf(1.959963984540054), 0.975, 1e-14);
  BOOST_CHECK_CLOSE_FRACTION(normal.cdf(-10), 7.619853024160527e-24, 1e-12);
  BOOST_CHECK_EQUAL(normal.deviation(), 1);
  const StandardLogistic logistic;
  BOOST_CHECK_CLOSE_FRACTION(logistic.cdf(std::log(3.0)), 0.75, 1e-14);
  BOOST_CHECK_EQUAL(logistic.cdf(-INFINITY), 0);
  BOOST_CHECK_CLOSE_FRACTION(logistic.deviation(), 1.8137993642342178, 1e-14);
  for (const char* name : {"gaussian", "logistic"}) {
    const auto base = base_by_name(name);
    for (const double z : {-3.0, -0.4, 0.0, 1.7}) {
      const double slope = (base->cdf(z + 1e-5) - base->cdf(z - 1e-5)) / 2e-5;
      const double density =
          std::exp(base->log_prob(Tensor::full({1, 1}, z, DType::F64)).value().item());
      BOOST_CHECK_CLOSE_FRACTION(slope, density, 1e-7);
    }
    BOOST_CHECK(std::isnan(base->cdf(std::nan(""))));
  }
}

BOOST_AUTO_TEST_CASE(ks_distance_is_the_definition) {
  for (const char* name : {"gaussian", "logistic"}) {
    const auto base = base_by_name(name);
    auto values = quantiles(*base);
    BOOST_CHECK_CLOSE_FRACTION(ks_distance(values, *base), 0.005, 1e-9);
    BOOST_CHECK_EQUAL(ks_distance({0}, *base), 0.5);
    BOOST_CHECK_EQUAL(ks_distance({0, 0, 0, 0}, *base), 0.5);
    BOOST_CHECK_CLOSE_FRACTION(ks_distance({1e9, 0}, *base), 0.5, 1e-12);
    BOOST_CHECK_EQUAL(ks_distance({-INFINITY}, *base), 1);
    for (double& v : values) v = std::abs(v);  // no negative half
    BOOST_CHECK_CLOSE_FRACTION(ks_distance(values, *base), 0.505, 1e-9);
    values[50] = std::nan("");
    BOOST_CHECK(std::isnan(ks_distance(values, *base)));
    check_error([&] { ks_distance({}, *base); }, {"[ks_distance]", "no values"});
  }
}

BOOST_AUTO_TEST_CASE(a_right_model_passes) {
  Config config = preset("realnvp-2d");
  coupling_flow(config).couplings = 3;
  coupling_flow(config).hidden_units = 8;
  coupling_flow(config).last_init_scale = 1;
  const auto density = make_flow(config, {.dims = 4, .unit_scale = true});
  density->to(DType::F64);
  density->train();
  Generator gen(3);
  const auto rows = diagnose_layers(*density, normal(gen, {20, 4}, DType::F64), {.jacobians = 5});
  BOOST_REQUIRE_GE(rows.size(), 4U);
  BOOST_CHECK_EQUAL(rows.back().name, "whole map");
  double log_det = 0;
  for (const LayerDiagnosis& row : rows) {
    BOOST_TEST_CONTEXT(row.name) {
      BOOST_CHECK_LE(row.round_trip, 1e-12);
      BOOST_CHECK_LE(row.log_det_gap, 1e-12);
      BOOST_CHECK_LE(row.jacobian_gap, 1e-6);
    }
    if (&row != &rows.back()) log_det += row.log_det;
  }
  BOOST_CHECK_CLOSE_FRACTION(rows.back().log_det, log_det, 1e-10);
  BOOST_CHECK(density->training());
}

BOOST_AUTO_TEST_CASE(what_is_wrong_is_seen_where_it_is) {
  struct Row {
    const char* what;
    std::shared_ptr<Transform> layer;
    double round_trip, log_det_gap, jacobian_gap;
  };
  const double claimed = 3 * std::numbers::ln2 + 0.3;
  const Row table[] = {
      {"nothing", std::make_shared<Doubling>(0, 0), 0, 0, 0},
      {"inverse", std::make_shared<Doubling>(0.01, 0), 0.02, 0, 0},
      {"log_det", std::make_shared<Doubling>(0, 0.3), 0, 0, 0.3 / (1 + claimed)},
      {"log_det of inverse", std::make_shared<OneWay>(), 0, 0.25, 0},
      {"NaN", std::make_shared<Doubling>(std::nan(""), 0), std::nan(""), 0, 0},
  };
  const auto expect = [](double value, double expected) {
    if (std::isnan(expected)) {
      BOOST_CHECK(std::isnan(value));
    } else {
      BOOST_CHECK_SMALL(value - expected, 1e-7);
    }
  };
  for (const Row& row : table) {
    BOOST_TEST_CONTEXT(row.what) {
      FlowDensity density = two_layers(row.layer);
      const auto found = diagnose_layers(density, some_rows(), {.jacobians = 2});
      BOOST_REQUIRE_EQUAL(found.size(), 3U);
      BOOST_CHECK_EQUAL(found[0].name, "first");
      expect(found[0].round_trip, 0);
      expect(found[0].log_det_gap, 0);
      expect(found[0].jacobian_gap, 0);
      expect(found[1].round_trip, row.round_trip);
      expect(found[1].log_det_gap, row.log_det_gap);
      expect(found[1].jacobian_gap, row.jacobian_gap);
      expect(found[2].round_trip, row.round_trip);
      expect(found[2].jacobian_gap, row.jacobian_gap);
    }
  }
}

// A column of scale 1e-3 beside one of 1e9 is judged by its own scale, in all rows and in samples.
BOOST_AUTO_TEST_CASE(each_column_has_its_own_scale) {
  const auto flow = std::make_shared<Compose>();
  const auto scaling = std::make_shared<Scaling>(3);
  scaling->parameters()[0].second->set_value(log(Tensor::from<double>({1e-9, 1e3, 1}, {3})));
  flow->add("moved", std::make_shared<Moved>(1e-3));
  flow->add("scaling", scaling);
  FlowDensity density(flow, std::make_shared<StandardNormal>(), 3);
  const Tensor x = Tensor::from<double>({1e9, 1e-3, 0, -1e9, 2e-3, 0}, {2, 3});
  BOOST_CHECK_CLOSE_FRACTION(diagnose_layers(density, x).back().round_trip, 0.5, 1e-9);
}

// Rows that are 0, or nearly, in a column of samples around 1 lose their digits when the mean is
// taken off. That is no fault of the map, and hides none.
BOOST_AUTO_TEST_CASE(rows_that_are_tiny_beside_their_column_do_not_make_a_map_wrong) {
  const std::pair<const char*, Tensor> rows[] = {
      {"all zero", Tensor::zeros({4, 3}, DType::F64)},
      {"one column", Tensor::from<double>({0.3, 1e-30, -0.1, 0.7, -2e-30, 0.4}, {2, 3})},
      {"all tiny", Tensor::full({2, 3}, 1e-30, DType::F64)}};
  Generator gen(4);
  for (const auto& [what, x] : rows) {
    for (const double off : {0.0, 0.25}) {
      BOOST_TEST_CONTEXT(what << ", off by " << off) {
        const auto standardize = std::make_shared<Standardize>(3);
        const Tensor data = normal(gen, {500, 3}, DType::F64) + 0.37;
        standardize->initialize(data);
        const auto flow = std::make_shared<Compose>();
        flow->add("standardize", standardize);
        flow->add("moved", std::make_shared<Moved>(off));
        FlowDensity density(flow, std::make_shared<StandardNormal>(), 3);
        density.to(DType::F64);
        const auto found = diagnose_layers(density, x);
        if (off == 0) {
          BOOST_CHECK_LE(found.back().round_trip, 1e-12);
        } else {
          BOOST_CHECK_GE(found.back().round_trip, 0.1);
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(the_largest_stretch_is_the_largest_log_scale) {
  const auto scaling = std::make_shared<Scaling>(3);
  scaling->parameters()[0].second->set_value(Tensor::from<float>({0.5F, -1.25F, 1}, {3}));
  FlowDensity density(scaling, std::make_shared<StandardNormal>(), 3);
  density.to(DType::F64);
  const auto rows = diagnose_layers(density, some_rows(), {.jacobians = 1});
  BOOST_REQUIRE_EQUAL(rows.size(), 2U);  // a flow that is one layer, and the whole
  BOOST_CHECK_CLOSE_FRACTION(rows[0].largest_stretch, 1.25, 1e-6);
  BOOST_CHECK_CLOSE_FRACTION(rows[0].log_det, 0.25, 1e-12);
}

// A flow that draws noise is none of the whole map's layers, but must be as sound.
BOOST_AUTO_TEST_CASE(the_flow_of_the_noise_is_examined) {
  Generator gen(3);
  const Tensor x = (uniform(gen, {12, 16}) * 256.0).to(DType::U8).to(DType::F64);
  for (const double off : {0.0, 0.01}) {
    const auto net =  // sees the pixels that stay, and the levels of both colours
        std::make_shared<nn::Conv2d>(nn::Conv2dOptions{.in = 3, .out = 2, .padding = {1, 1}}, gen);
    const auto noise = std::make_shared<Compose>(), flow = std::make_shared<Compose>();
    noise->add("coupling",
               std::make_shared<Coupling>(Partition::checkerboard(1), affine_map(), net));
    noise->add("moved", std::make_shared<Moved>(off));
    flow->add("dequantize",
              std::make_shared<VariationalDequantize>(Generator(5), noise, Shape{4, 4, 1}));
    flow->add("scale", std::make_shared<Scale>(1.0 / 256, 0.0));
    FlowDensity density(flow, std::make_shared<StandardNormal>(), 16);
    density.to(DType::F64);
    const auto rows = diagnose_layers(density, x, {.jacobians = 2});
    BOOST_REQUIRE_EQUAL(rows.size(), 3U);
    BOOST_CHECK_EQUAL(rows[0].name, "dequantize.flow");
    BOOST_CHECK_GT(std::abs(rows[0].log_det), 1e-3);
    BOOST_CHECK_EQUAL(rows[2].log_det, rows[1].log_det);
    BOOST_CHECK_LT(rows[1].round_trip, 1e-12);
    for (const LayerDiagnosis& row : {rows[0], rows[2]}) {
      BOOST_CHECK_LT(row.jacobian_gap, 1e-4);
      BOOST_CHECK_EQUAL(row.round_trip > 1e-6, off > 0);
    }
  }
}

BOOST_AUTO_TEST_CASE(noise_is_not_examined_and_left_as_it_was) {
  Config config = preset("nice");
  coupling_flow(config).couplings = 2;
  coupling_flow(config).hidden_units = 10;
  coupling_flow(config).hidden_layers = 1;
  coupling_flow(config).last_init_scale = 1;  // not the identity
  const auto density = make_flow(config, {.dims = 6, .discrete = true});
  Generator gen(2);
  const Tensor x = (uniform(gen, {40, 6}) * 256.0).to(DType::U8);
  density->log_prob(x);
  const std::uint64_t offset = density->generators().at(0)->offset();
  const auto rows = diagnose_layers(*density, x);
  BOOST_CHECK_EQUAL(rows.front().name, "scale");
  BOOST_CHECK_LE(rows.back().round_trip, 1e-5);
  BOOST_CHECK_EQUAL(density->generators().at(0)->offset(), offset);
  check_error([&] { diagnose_layers(*density, x, {.jacobians = 1}); },
              {"[diagnose_layers]", "f64"});
  check_error([&] { diagnose_layers(*density, x.narrow(1, 0, 5)); }, {"(N, 6)", "(40, 5)"});
  check_error([&] { diagnose_latents(*density, x.narrow(0, 0, 0)); }, {"N >= 1"});
  check_error([&] { diagnose_latents(*density, x, 0); }, {"batch size"});
}

// Pixels of two levels, both as likely: with noise they are uniform, and logits of them logistic.
// The middles of the levels, which encode() takes, are two points.
BOOST_AUTO_TEST_CASE(latents_of_levels_are_those_of_dequantised_ones) {
  for (const int levels : {2, 256}) {
    auto flow = std::make_shared<Compose>();
    flow->add("dequantize", std::make_shared<Dequantize>(Generator(7), levels));
    flow->add("scale", std::make_shared<Scale>(1.0 / levels));
    flow->add("logit", std::make_shared<Logit>(1e-6));
    FlowDensity density(flow, base_by_name("logistic"), 4);
    Generator gen(3);
    const Tensor x = (uniform(gen, {5000, 4}) * levels).to(DType::U8);
    const LatentDiagnosis z = diagnose_latents(density, x, 700);
    BOOST_CHECK_LE(z.ks_worst, z.ks_chance);
    BOOST_CHECK_LT(z.ks_chance, 0.03);
    BOOST_CHECK_CLOSE_FRACTION(z.deviation, 1, 0.03);
    BOOST_CHECK_EQUAL(diagnose_latents(density, x, 700).ks_worst, z.ks_worst);
    BOOST_CHECK_NE(diagnose_latents(density, x, 700, 1).ks_worst, z.ks_worst);
    const auto middles = density.encode(x).to(DType::F64).narrow(1, 0, 1).contiguous();
    const double of_middles = ks_distance(middles.to_vector<double>(), density.base());
    BOOST_CHECK_CLOSE_FRACTION(of_middles, levels == 2 ? 0.25 : of_middles, 0.1);
  }
}

BOOST_AUTO_TEST_CASE(densities_integrate_to_one_and_others_do_not) {
  Generator gen(8);
  for (const std::int64_t dims : {1, 2, 3}) {
    const auto scaling = std::make_shared<Scaling>(dims);
    scaling->initialize(normal(gen, {500, dims}) * 3.0);
    const Tensor x = normal(gen, {100, dims}) * 3.0;
    for (const double error : {0.0, 0.2, -0.2}) {
      auto flow = std::make_shared<Compose>();
      flow->add("scaling", scaling);
      flow->add("claim", std::make_shared<Claim>(error));
      FlowDensity density(flow, std::make_shared<StandardNormal>(), dims);
      const Integral all = integrate(density, x);
      BOOST_TEST_CONTEXT(dims << " dimensions, " << error << ": " << all.value) {
        BOOST_CHECK_SMALL(all.value - std::exp(error), all.tolerance);
        BOOST_CHECK_LT(all.tolerance, 0.01);
        BOOST_CHECK_LT(all.points, 400'000);
      }
    }
  }
  // Levels: the reals behind them have no mass outside.
  auto flow = std::make_shared<Compose>();
  flow->add("dequantize", std::make_shared<Dequantize>(Generator(1)));
  flow->add("scale", std::make_shared<Scale>(1.0 / 256));
  flow->add("logit", std::make_shared<Logit>(1e-3));
  flow->add("scaling", std::make_shared<Scaling>(2));
  FlowDensity pixels(flow, base_by_name("logistic"), 2);
  const Integral all = integrate(pixels, Tensor::zeros({1, 2}, DType::U8));
  BOOST_CHECK_SMALL(all.value - 0.998 * 0.998, 0.004);  // a logit of alpha leaves 2 alpha out
  FlowDensity many(std::make_shared<Compose>(), std::make_shared<StandardNormal>(), 4);
  check_error([&] { integrate(many, Tensor::zeros({1, 4})); }, {"at most 3", "has 4"});
}

// One row far away makes the box so wide that the middles of its first cells all miss the mass.
BOOST_AUTO_TEST_CASE(a_peak_between_the_middles_is_found) {
  Generator gen(8);
  for (const std::int64_t dims : {1, 2, 3}) {
    const Tensor scale =
        concat(std::vector<Tensor>{Tensor::full({1, 1}, 1e-5), Tensor::ones({1, 2})}, 1);
    const auto scaling = std::make_shared<Scaling>(dims);
    scaling->initialize(Samples(normal(gen, {500, dims}) * scale.narrow(1, 0, dims)));
    for (const double error : {0.0, 0.2, -0.2}) {
      auto flow = std::make_shared<Compose>();
      flow->add("scaling", scaling);
      flow->add("claim", std::make_shared<Claim>(error));
      FlowDensity density(flow, std::make_shared<StandardNormal>(), dims);
      const Integral all = integrate(density, Tensor::ones({1, dims}));
      BOOST_TEST_CONTEXT(dims << " dimensions, " << error << ": " << all.value << " to within "
                              << all.tolerance << ", " << all.points << " points") {
        // Of a needle in three dimensions so few points find nothing; but it is not called empty.
        if (dims == 3) BOOST_CHECK_GT(all.tolerance, 0.5);
        if (dims < 3) BOOST_CHECK_SMALL(all.value - std::exp(error), 0.005);
        if (dims == 1) BOOST_CHECK_LT(all.tolerance, 0.01);
      }
    }
  }
}

// The box is a tenth wider than data and samples on either side.
BOOST_AUTO_TEST_CASE(the_box_is_wider_than_the_samples) {
  struct Narrow : StandardNormal {  // samples stop before the mass does
    Tensor sample(Generator& gen, std::int64_t n, std::int64_t dims, double t,
                  Device device) override {
      return clamp(StandardNormal::sample(gen, n, dims, t, device), -1.6, 1.6);
    }
  };
  FlowDensity density(std::make_shared<Compose>(), std::make_shared<Narrow>(), 1);
  const Integral all = integrate(density, Tensor::zeros({1, 1}));
  BOOST_CHECK_SMALL(all.value - std::erf(1.92 / std::numbers::sqrt2), 0.002);
}

BOOST_AUTO_TEST_CASE(tables_far_out_and_whole_numbers_integrate_to_one) {
  Generator gen(9);
  const Tensor noise = normal(gen, {400, 2}, DType::F64);
  // Seconds since 1970, 128 of them apart in f32; and counts.
  const Tensor seconds = noise.narrow(1, 0, 1) * 10.0 + 1.7e9;
  const Tensor counts = abs(noise.narrow(1, 1, 1) * 4.0).to(DType::I32).to(DType::F64);
  const Tensor x = concat(std::vector<Tensor>{seconds, counts}, 1);
  Config config = preset("realnvp-2d");
  coupling_flow(config).couplings = 2;
  coupling_flow(config).hidden_units = 4;
  for (const char* types : {"", "n=integer"}) {
    config.data.types = types;
    const auto density = make_flow(config, {.dims = 2, .columns = {"t", "n"}});
    density->transform().initialize(Samples(x));
    const Integral all = integrate(*density, x);
    BOOST_CHECK_MESSAGE(std::abs(all.value - 1) < 0.01 && all.tolerance < 0.02,
                        types << " " << all.value << " to within " << all.tolerance);
  }
}

BOOST_AUTO_TEST_CASE(another_dtype_is_put_back_to_the_bit) {
  auto scaling = std::make_shared<Scaling>(3);
  auto permute = Permute::reverse(3);
  auto standardize = std::make_shared<Standardize>(3);
  auto flow = std::make_shared<Compose>();
  flow->add("scaling", scaling);
  flow->add("permute", permute);
  flow->add("standardize", standardize);
  FlowDensity density(flow, std::make_shared<StandardNormal>(), 3);
  density.parameters()[0].second->set_value(Tensor::from<float>({0.1F, NAN, 1e-40F}, {3}));
  standardize->for_each_buffer([](const std::string&, Tensor& b) { b = b.to(DType::F64) / 3.0; });
  std::vector<const void*> before;
  for (const auto& [name, tensor] : density.state()) before.push_back(tensor.storage().get());
  try {
    const InDtype wide(density, DType::F64);
    for (const auto& [name, tensor] : density.state()) {
      BOOST_CHECK(tensor.dtype() == DType::F64 || name == "permute.order");
    }
    fail("in between");
  } catch (const Error&) {
  }
  std::size_t at = 0;  // the very tensors
  for (const auto& [name, tensor] : density.state()) {
    BOOST_CHECK_MESSAGE(tensor.storage().get() == before[at++], name);
  }
  BOOST_CHECK(density.parameters()[0].second->dtype() == DType::F32);
  BOOST_CHECK(density.parameters()[0].second->requires_grad());
}

BOOST_AUTO_TEST_CASE(latents_against_the_base) {
  const auto latents = [](const std::string& base, const Tensor& x) {
    FlowDensity identity(std::make_shared<Compose>(), base_by_name(base), x.dim(1));
    return diagnose_latents(identity, x, 300);
  };
  Generator gen(4);
  const Tensor right = logistic(gen, {2000, 3}, DType::F64);
  const LatentDiagnosis good = latents("logistic", right);
  BOOST_CHECK_EQUAL(good.count, 2000);
  BOOST_CHECK_SMALL(good.mean, 0.05);
  BOOST_CHECK_CLOSE_FRACTION(good.deviation, 1, 0.05);
  BOOST_CHECK_SMALL(good.tails - 0.002, 0.002);
  BOOST_CHECK_CLOSE_FRACTION(good.ks_chance, std::sqrt(std::log(600.0) / 4000), 1e-12);
  BOOST_CHECK_LE(good.ks_worst, good.ks_chance);
  BOOST_CHECK_LE(good.ks_mean, good.ks_worst);
  // 6000 latents, of which 12 are outside on average; 25 or more, once in 3000 times.
  BOOST_CHECK(good.tails_chance > 25. / 6000 && good.tails_chance < 30. / 6000);
  BOOST_CHECK(!good.wide);
  const LatentDiagnosis away = latents("logistic", right + 5.0);  // the deviation is of the mean
  BOOST_CHECK_SMALL(away.mean - 5 / 1.8137993642342178, 0.05);
  BOOST_CHECK_CLOSE_FRACTION(away.deviation, good.deviation, 1e-9);

  // Logistic latents where normal ones should be: too wide, with heavy tails.
  const LatentDiagnosis wide = latents("gaussian", right);
  BOOST_CHECK_CLOSE_FRACTION(wide.deviation, 1.8137993642342178, 0.05);
  BOOST_CHECK_GT(wide.ks_worst, 2 * wide.ks_chance);
  BOOST_CHECK_GT(wide.tails, 0.05);  // P(|logistic| > 3.09) = 0.087

  Tensor shifted = right.clone();
  shifted.narrow(1, 1, 1).add_(Tensor::ones({1, 1}, DType::F64));
  const LatentDiagnosis one = latents("logistic", shifted);
  BOOST_CHECK_EQUAL(one.ks_dim, 1);
  // sup |F(z - 1) - F(z)| is at z = 1/2: tanh(1/4)
  BOOST_CHECK_SMALL(one.ks_worst - std::tanh(0.25), good.ks_chance);

  // Of 320 latents four are nothing rare; of three rows the distance tells nothing, the width does.
  const LatentDiagnosis few = latents("logistic", right.narrow(0, 0, 160).narrow(1, 0, 2));
  BOOST_CHECK(few.tails_chance > 4. / 320 && few.tails_chance < 8. / 320);
  const LatentDiagnosis three = latents("logistic", right.narrow(0, 0, 3));
  BOOST_CHECK(three.ks_worst < three.ks_chance && !three.wide);
  BOOST_CHECK(latents("logistic", right.narrow(0, 0, 3) * 20.0).wide);
  BOOST_CHECK(latents("logistic", right.narrow(0, 0, 3) + 50.0).wide);

  shifted.narrow(0, 5, 1).fill_(std::nan(""));
  const LatentDiagnosis nan = latents("logistic", shifted);
  BOOST_CHECK(std::isnan(nan.mean) && std::isnan(nan.deviation) && std::isnan(nan.ks_worst));
}

BOOST_AUTO_TEST_SUITE_END()
