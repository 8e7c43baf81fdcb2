// Noise that a flow draws, given the levels: its density, the bound that it makes, and what holds
// of every noise.
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <map>

#include "autograd/gradcheck.h"
#include "flows/compose.h"
#include "flows/layers/coupling.h"
#include "flows/layers/reshape.h"
#include "flows/layers/scaling.h"
#include "flows/layers/variational_dequantize.h"
#include "flows/maps/affine.h"
#include "flows/train/fit.h"
#include "nn/layers/conv2d.h"
#include "nn/nets/mlp.h"
#include "tensor/linalg.h"
#include "tensor/threads.h"
#include "tests/data_util.h"
#include "tests/datasets.h"
#include "tests/devices.h"
#include "tests/trainings.h"

using namespace nf;
using namespace nf::flows;
using namespace nf::test;

namespace {

constexpr int kLevels = 4;

/// Two couplings of samples (`sample`...), one after the other way, with networks drawn so that
/// noise is far from uniform, or (spread 0) as zeros.
std::shared_ptr<Compose> noise_flow(const Shape& sample, double spread = 0.25) {
  auto flow = std::make_shared<Compose>();
  Generator gen(3);
  for (const bool swap : {false, true}) {
    const std::int64_t dims = sample.dim(-1);
    const bool image = sample.rank() == 3;
    const Partition partition =
        image ? Partition::checkerboard(dims, swap) : Partition::halves(dims, swap);
    const std::int64_t in = partition.passive() + (image ? 2 : 1) * dims,
                       out = 2 * partition.active();
    std::shared_ptr<nn::Layer> net;
    if (image) {
      net = std::make_shared<nn::Conv2d>(nn::Conv2dOptions{.in = in, .out = out, .padding = {1, 1}},
                                         gen);
    } else {
      net = nn::mlp({.in = in,
                     .out = out,
                     .hidden_units = 6,
                     .hidden_layers = 1,
                     .activation = nn::activation_by_name("tanh")},
                    gen);
    }
    net->for_each_parameter([&](const std::string&, Var& p) {
      p.set_value(spread * normal(gen, p.shape(), p.dtype()));
    });
    flow->add(str("couplings.", swap), std::make_shared<Coupling>(partition, affine_map(), net));
  }
  return flow;
}

const std::vector<Shape>& samples() {
  static const std::vector<Shape> all = {{2}, {5}, {2, 2, 1}, {2, 4, 2}};
  return all;
}

/// Rows of levels (n, D), f64.
Tensor some_levels(std::int64_t n, const Shape& sample) {
  Generator gen(9);
  return (uniform(gen, {n, sample.numel()}, DType::F64) * kLevels).to(DType::U8).to(DType::F64);
}

/// ln of the logistic's density, summed over a row.
double log_logistic(const std::vector<double>& z) {
  double sum = 0;
  for (const double v : z) sum += -v - 2 * std::log1p(std::exp(-v));
  return sum;
}

/// f of each number, f64.
Tensor each(const Tensor& x, double (*f)(double)) {
  std::vector<double> values = x.to_vector<double>();
  for (double& v : values) v = f(v);
  return Tensor::from(values, x.shape());
}

/// 2 x / (K - 1) - 1 in the shape of samples.
Tensor condition(const Tensor& x, const Shape& sample) {
  return (x * (2.0 / (kLevels - 1)) - 1.0).reshape(sample.with_inserted(0, x.dim(0)));
}

/// ln q(u|x) of one row u in (0, 1), by the flow's inverse.
double log_density(Transform& flow, const Tensor& u, const Tensor& x, const Shape& sample) {
  const Tensor z = each(u, [](double v) { return std::log(v / (1 - v)); });
  const auto [e, log_det] =
      flow.inverse(z.reshape(sample.with_inserted(0, 1)), condition(x, sample));
  double inverse_slope = 0;
  for (const double v : u.to_vector<double>()) inverse_slope -= std::log(v * (1 - v));
  return log_logistic(e.value().to_vector<double>()) + log_det.value().item() + inverse_slope;
}

DataShape pictures(const data::Dataset& data) {
  return {.dims = data.dims,
          .discrete = true,
          .channels = data.channels,
          .height = data.height,
          .width = data.width};
}

/// A small model of images with noise that a flow draws, away from where it begins.
Config small_images(const std::string& model) {
  Config config = preset(model);
  test::set_where_known(
      config, {{"width", 5}, {"steps_per_level", 1}, {"blocks", 1}, {"dequantize_width", 4}});
  set(config, "dequantize=variational");
  config.training.seed = 3;
  config.training.batch_size = 8;
  return config;
}

void move_parameters(nn::Module& module, double by) {
  Generator gen(8);
  module.for_each_parameter([&](const std::string&, Var& p) {
    p.set_value(p.value() + by * normal(gen, p.shape(), p.dtype(), p.device()));
  });
}

}  // namespace

BOOST_AUTO_TEST_SUITE(flows_variational)

// u as a function of e, whose Jacobian is that of the noise; and q by the way back.
BOOST_AUTO_TEST_CASE(log_det_is_that_of_the_density_of_the_noise) {
  for (const Shape& sample : samples()) {
    const auto flow = noise_flow(sample);
    VariationalDequantize layer(Generator(4, 5), flow, sample, kLevels);
    layer.to(DType::F64);
    const Tensor x = some_levels(3, sample);
    for (std::int64_t i = 0; i < 3; ++i) {
      const Tensor row = x.narrow(0, i, 1), number = Tensor::arange(i + 1, DType::I32);
      const Placed placed(layer.generators(), number.narrow(0, i, 1), 7);
      const auto [z, log_det] = layer.forward(row);
      Generator same(4, 5);
      same.place(number.narrow(0, i, 1), 7);
      const Tensor e = logistic(same, row.shape(), DType::F64);
      const auto noise = [&](const Tensor& at) {
        const Tensor out =
            flow->forward(at.reshape(sample.with_inserted(0, 1)), condition(row, sample))
                .value.value();
        return each(out, [](double v) { return 1 / (1 + std::exp(-v)); }).reshape(row.shape());
      };
      const Tensor u = noise(e);
      BOOST_CHECK_SMALL(max(abs(z.value() - row - u)).item(), 1e-12);
      std::vector<Tensor> columns;
      for (std::int64_t j = 0; j < row.dim(1); ++j) {
        Tensor above = e.clone(), below = e.clone();
        above.mutable_data<double>()[j] += 1e-5;
        below.mutable_data<double>()[j] -= 1e-5;
        columns.push_back((noise(above) - noise(below)) / 2e-5);
      }
      const double expected =
          slogdet(concat(columns, 0)).logdet.item() - log_logistic(e.to_vector<double>());
      BOOST_CHECK_SMALL(log_det.value().item() - expected, 1e-6);
      BOOST_CHECK_SMALL(log_det.value().item() + log_density(*flow, u, row, sample), 1e-8);
      BOOST_CHECK_GT(std::abs(expected), 0.01);
    }
  }
}

// A sum over a grid of v, u = sigmoid(v), which is dense where the density may be large: at the
// edges of the square.
BOOST_AUTO_TEST_CASE(the_density_of_the_noise_integrates_to_one) {
  constexpr int kSide = 121;
  constexpr double kEnd = 28, kStep = 2 * kEnd / (kSide - 1);
  const Shape sample = {2};
  const auto flow = noise_flow(sample, 0.3);
  flow->to(DType::F64);
  std::vector<double> u, du;
  for (int i = 0; i < kSide; ++i) {
    u.push_back(1 / (1 + std::exp(kEnd - i * kStep)));
    du.push_back(u.back() * (1 - u.back()) * kStep);
  }
  for (const double level : {0.0, 3.0}) {
    const Tensor x = Tensor::from<double>({level, 1}, {1, 2});
    double sum = 0;
    for (std::size_t i = 0; i < kSide; ++i) {
      for (std::size_t j = 0; j < kSide; ++j) {
        const Tensor at = Tensor::from<double>({u[i], u[j]}, {1, 2});
        sum += std::exp(log_density(*flow, at, x, sample)) * du[i] * du[j];
      }
    }
    BOOST_CHECK_CLOSE_FRACTION(sum, 1, 1e-4);
  }
}

// Logistics over unit levels: the probability of a level is a product of differences of
// distribution functions.
BOOST_AUTO_TEST_CASE(it_makes_a_lower_bound_whose_importance_weights_come_to_the_truth) {
  auto flow = std::make_shared<Compose>();
  flow->add("dequantize",
            std::make_shared<VariationalDequantize>(Generator(1), noise_flow({2}), Shape{2}, 4));
  flow->add("scale", std::make_shared<Scale>(2.5, -5));
  FlowDensity density(flow, base_by_name("logistic"), 2);
  BOOST_CHECK(density.bound() && density.levels() == 4);
  std::vector<float> rows;
  for (int i = 0; i < 16; ++i) {
    rows.insert(rows.end(), {static_cast<float>(i / 4), static_cast<float>(i % 4)});
  }
  const Tensor x = Tensor::from(rows, {16, 2}).to(DType::U8);
  const auto mean = score(density, x, {.noise_draws = 4000}),
             many = score(density, x, {.noise_draws = 4000, .importance = true});
  for (std::size_t i = 0; i < 16; ++i) {
    double truth = 0;
    for (const float level : {rows[2 * i], rows[2 * i + 1]}) {
      const double low = 2.5 * level - 5, high = low + 2.5;
      truth += std::log(1 / (1 + std::exp(-high)) - 1 / (1 + std::exp(-low)));
    }
    BOOST_TEST(mean[i] < truth - 0.05, i << ": " << mean[i] << " for " << truth);
    BOOST_TEST(std::abs(many[i] - truth) < 0.1, i << ": " << many[i] << " for " << truth);
  }
}

BOOST_AUTO_TEST_CASE(it_begins_as_uniform_noise) {
  const data::Dataset data = dependent_bytes(60, 20, 4);
  for (const char* model : {"image-plus", "glow", "realnvp"}) {
    const auto density = make_flow(small_images(model), pictures(data));
    density->initialize(data.train.x);
    auto& whole = dynamic_cast<Compose&>(density->transform());
    const auto [z, log_det] = whole.parts()[0].second->forward(data.train.x);
    BOOST_CHECK_EQUAL(max(abs(log_det.value())).item(), 0);
  }
  VariationalDequantize layer(Generator(5), noise_flow({4, 4, 1}, 0), Shape{4, 4, 1});
  const auto [z, log_det] = layer.forward(Tensor::full({2000, 16}, 9, DType::U8));
  BOOST_CHECK_EQUAL(max(abs(log_det.value())).item(), 0);
  std::vector<int> count(10);
  for (const float value : z.value().to_vector<float>()) {
    BOOST_REQUIRE(value >= 9 && value < 10);
    ++count[static_cast<std::size_t>((value - 9) * 10)];
  }
  for (const int n : count) BOOST_CHECK_CLOSE_FRACTION(n, 3200.0, 0.05);
}

// Weights so large that the noise is near both ends all the time.
BOOST_AUTO_TEST_CASE(no_noise_makes_the_next_level) {
  double lowest = 1, highest = 0;
  for (const double spread : {40.0, -40.0}) {
    VariationalDequantize layer(Generator(5), noise_flow({2, 2, 1}, spread), Shape{2, 2, 1});
    for (const double level : {0.0, 100.0, 255.0}) {
      const Tensor x = Tensor::full({500, 4}, level, DType::U8);
      const auto [z, log_det] = layer.forward(x);
      BOOST_CHECK_LT(max(z.value()).item(), level + 1);
      BOOST_CHECK_GE(min(z.value()).item(), level);
      BOOST_CHECK(all_finite(log_det.value()));
      CHECK_SAME(layer.inverse(z).value.value(), x.to(DType::F32), 0, level);
      if (level < 255) continue;  // where f32 has the fewest digits for the noise
      lowest = std::min(lowest, min(z.value()).item() - level);
      highest = std::max(highest, max(z.value()).item() - level);
    }
  }
  BOOST_CHECK_EQUAL(lowest, 0);
  BOOST_CHECK_EQUAL(highest, 1 - 0x1p-16);
}

// At a number that much of the noise becomes, a density could be as high as it likes.
BOOST_AUTO_TEST_CASE(models_spread_their_noise_over_several_floats) {
  constexpr std::int64_t kDraws = 4000;
  const data::Dataset data = dependent_bytes(8, 0, 4);
  for (const int steps : {1, 2, 3, 4, 9}) {
    Config config = small_images("glow");
    set(config, str("dequantize_steps=", steps));
    const auto density = make_flow(config, pictures(data));
    Generator gen(6);
    density->for_each_parameter([&](const std::string& name, Var& p) {
      // The networks' answers, each far beyond its bound.
      if (!name.starts_with("dequantize.flow.") || !name.ends_with("last.bias")) return;
      p.set_value(normal(gen, p.shape()) * 1e6);
    });
    auto& whole = dynamic_cast<Compose&>(density->transform());
    const Tensor x = Tensor::full({kDraws, data.dims}, 255, DType::U8);
    const Tensor z = whole.parts()[0].second->forward(x).value.value();
    for (std::int64_t pixel = 0; pixel < data.dims; ++pixel) {
      std::map<float, int> count;
      for (const float value : z.narrow(1, pixel, 1).to_vector<float>()) ++count[value];
      int most = 0;
      for (const auto& [value, n] : count) most = std::max(most, n);
      BOOST_CHECK_MESSAGE(most < 0.13 * kDraws, steps << ": " << most);
    }
  }
}

BOOST_AUTO_TEST_CASE(gradients_reach_the_flow_of_the_noise) {
  for (const Shape& sample : samples()) {
    const auto layer =
        std::make_shared<VariationalDequantize>(Generator(4), noise_flow(sample, 0.3), sample, 4);
    auto flow = std::make_shared<Compose>();
    flow->add("dequantize", layer);
    flow->add("scaling", std::make_shared<Scaling>(sample.numel()));
    FlowDensity density(flow, base_by_name("logistic"), sample.numel());
    density.to(DType::F64);
    const Tensor x = some_levels(3, sample);
    std::vector<Var*> parameters;
    std::vector<Tensor> inputs;
    layer->for_each_parameter([&](const std::string&, Var& p) {
      parameters.push_back(&p);
      inputs.push_back(p.value().clone());
    });
    BOOST_CHECK_GE(inputs.size(), 4U);
    const auto log_prob = [&](const std::vector<Var>& in) -> std::vector<Var> {
      const Placed placed(density.generators(), {}, 2);
      std::vector<Var> kept;
      for (std::size_t i = 0; i < in.size(); ++i) {
        kept.push_back(std::exchange(*parameters[i], in[i]));
      }
      const Var out = density.log_prob(x);
      for (std::size_t i = 0; i < in.size(); ++i) *parameters[i] = kept[i];
      return {out};
    };
    const GradCheck result = gradcheck(log_prob, inputs, {.tolerance = 1e-6});
    BOOST_CHECK_MESSAGE(result.ok, sample << ": " << result.message);
  }
}

// With --memory invertible the flow of the noise keeps no values either.
BOOST_AUTO_TEST_CASE(values_computed_anew_give_the_same_gradients) {
  const data::Dataset data = dependent_bytes(20, 0, 8);
  std::vector<Tensor> plain;
  for (const char* memory : {"memory=tape", "memory=invertible"}) {
    Config config = small_images("glow");
    set(config, memory);
    const auto density = make_flow(config, pictures(data));
    density->initialize(data.train.x);
    move_parameters(*density, 0.05);
    const Placed placed(density->generators(), {}, 1);
    Tape tape;
    tape.backward(mean(density->log_prob(data.train.x)));
    std::vector<Tensor> found;
    density->for_each_parameter([&](const std::string& name, Var& p) {
      BOOST_CHECK_MESSAGE(max(abs(p.grad())).item() > 0, name);
      found.push_back(p.grad());
    });
    if (plain.empty()) plain = found;
    for (std::size_t i = 0; i < found.size(); ++i) {
      CHECK_SAME(found[i], plain[i], 2e-4 * (1 + max(abs(plain[i])).item()), i);
    }
  }
}

BOOST_AUTO_TEST_CASE(a_row_has_the_same_score_in_any_batch_on_any_threads) {
  const data::Dataset data = dependent_bytes(30, 0, 8);
  const auto density = make_flow(small_images("image-plus"), pictures(data));
  density->initialize(data.train.x);
  move_parameters(*density, 0.1);
  for (const bool importance : {false, true}) {
    const EvaluateOptions all{.batch_size = 30, .noise_draws = 3, .importance = importance};
    const std::vector<double> expected = score(*density, data.train.x, all);
    const int before = num_threads();
    for (const int threads : {1, 3}) {
      set_num_threads(threads);
      for (const std::int64_t batch_size : {1, 7, 30}) {
        EvaluateOptions some = all;
        some.batch_size = batch_size;
        BOOST_CHECK(score(*density, data.train.x, some) == expected);
      }
      EvaluateOptions one = all;
      one.samples = Tensor::from<std::int32_t>({11}, {1});
      BOOST_CHECK_EQUAL(score(*density, data.train.x.narrow(0, 11, 1), one)[0], expected[11]);
    }
    set_num_threads(before);
    EvaluateOptions other = all;
    other.seed = 1;
    BOOST_CHECK(score(*density, data.train.x, other) != expected);
  }
}

BOOST_AUTO_TEST_CASE(a_resumed_training_draws_on) {
  const TempFolder folder;
  const std::string path = folder.path("state.safetensors");
  const data::Dataset data = dependent_bytes(20, 10, 4);
  Config config = small_images("image-plus");
  config.training.steps = 7;
  const auto whole = make_flow(config, pictures(data));
  Trainer(*whole, data, fit_options(config)).run();
  {
    const auto density = make_flow(config, pictures(data));
    Trainer trainer(*density, data, fit_options(config));
    trainer.run({.on_step = [](const StepReport& r) { return r.step < 4; }, .on_epoch = {}});
    trainer.save(path);
    BOOST_CHECK(nn::load_safetensors(path).metadata.contains("generator.dequantize.noise"));
  }
  const auto density = make_flow(config, pictures(data));
  Trainer trainer(*density, data, fit_options(config));
  trainer.load(path);
  trainer.run();
  BOOST_CHECK(weights(*density) == weights(*whole));
}

// The networks begin normalised by the first rows, with the image beside the noise.
BOOST_AUTO_TEST_CASE(networks_of_the_noise_begin_from_the_data) {
  const data::Dataset data = dependent_bytes(300, 0, 4);
  const auto shape = pictures(data);
  const auto biases = [&](const Tensor& rows) {
    const auto density = make_flow(small_images("realnvp"), shape);
    density->initialize(rows);
    std::vector<float> all;
    density->for_each_parameter([&](const std::string& name, Var& p) {
      if (!name.starts_with("dequantize.flow.") || !name.ends_with("first.bias")) return;
      for (const float v : p.value().to_vector<float>()) all.push_back(v);
    });
    return all;
  };
  const std::vector<float> first = biases(data.train.x);
  BOOST_CHECK_EQUAL(first.size(), 16U);
  BOOST_CHECK(first == biases(data.train.x));
  BOOST_CHECK(first != biases(Tensor::full(data.train.x.shape(), 255, DType::U8)));
}

BOOST_AUTO_TEST_CASE(what_holds_of_levels_with_noise_holds_here) {
  const data::Dataset data = dependent_bytes(20, 0, 8);
  DataShape shape = pictures(data);
  shape.given = {"label"};
  shape.given_classes = 3;
  const auto density = make_flow(small_images("image-plus"), shape);
  move_parameters(*density, 0.1);
  density->eval();
  const Tensor& x = data.train.x;
  std::vector<float> labels;
  for (int i = 0; i < 20; ++i) labels.push_back(static_cast<float>(i % 3));
  const Tensor given = Tensor::from(labels, {20, 1});
  CHECK_SAME(density->decode(density->encode(x, given), given).to(DType::U8), x, 0, "decode");
  const auto before = score(*density, x, {.given = given}),
             after = score(*density, x, {.given = given.zeros_like()});
  for (std::size_t i = 0; i < 20; ++i) BOOST_CHECK_EQUAL(before[i] != after[i], labels[i] != 0);
  const auto continuous = density->continuous();
  BOOST_CHECK(!continuous->bound() && continuous->levels() == 0);
  BOOST_CHECK(density->convention().text.find(", variational dequantisation;") !=
              std::string::npos);
  Generator gen(1);
  const Tensor drawn = density->sample(gen, 20, 1, given);
  CHECK_SAME(drawn, drawn.to(DType::U8).to(DType::F32), 0, "samples are levels");
}

BOOST_AUTO_TEST_CASE(flows_that_cannot_draw_noise_are_refused) {
  auto noisy = std::make_shared<Compose>();
  noisy->add("dequantize", std::make_shared<Dequantize>(Generator(1)));
  check_error([&] { VariationalDequantize(Generator(2), noisy, Shape{2}); },
              {"[VariationalDequantize]", "no bijection"});
  check_error(
      [] {
        VariationalDequantize(Generator(2), std::make_shared<Squeeze>(), Shape{2, 2, 1});
      },
      {"[VariationalDequantize]", "(1, 1, 1, 4) of (1, 2, 2, 1)"});
  VariationalDequantize layer(Generator(2), noise_flow({2, 2, 1}), Shape{2, 2, 1});
  check_error(
      [&] {
        layer.forward(Tensor::zeros({3, 5}));
      },
      {"[VariationalDequantize] expected (N, ..., 4), got (3, 5)"});
}

BOOST_AUTO_TEST_SUITE_END()
