// Densities of x given labels or columns: contexts, training, and a density without latents.
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <filesystem>
#include <numbers>

#include "data/given.h"
#include "flows/examine/diagnose.h"
#include "flows/layers/conditions.h"
#include "flows/layers/elementwise.h"
#include "flows/layers/scaling.h"
#include "flows/maps/affine.h"
#include "nn/layers/linear.h"
#include "tests/data_util.h"
#include "tests/devices.h"
#include "tests/trainings.h"

using namespace nf;
using namespace nf::test;

BOOST_AUTO_TEST_SUITE(flows_conditional)

namespace {

constexpr double kSpread = 0.2;

/// y (N, D) around 2 c - 1, 0.2 wide, c (N, 1) uniform: ln p(y|c) is known.
data::Split line(std::int64_t n, std::int64_t dims, std::uint64_t stream) {
  Generator gen(5, stream);
  data::Split rows;
  rows.given = uniform(gen, {n, 1}, DType::F64);
  rows.x = affine(rows.given, 2, -1) + kSpread * normal(gen, {n, dims}, DType::F64);
  return rows;
}

data::Dataset lines(std::int64_t dims) {
  data::Dataset data;
  data.name = "lines";
  data.dims = dims;
  data.given = {"c"};
  data.train = line(2000, dims, 1);
  data.valid = line(1000, dims, 2);
  return data;
}

DataShape shape_of(const data::Dataset& data) {
  return {.dims = data.dims,
          .discrete = data.discrete,
          .rows = data.train.size(),
          .given = data.given,
          .given_classes = data.given_classes};
}

Config short_training() {
  Config config = small("realnvp-2d");
  config.training.steps = 400;
  config.training.batch_size = 100;
  coupling_flow(config).preprocess = "standard";
  return config;
}

/// Bytes of which the labels say half of what there is to know.
data::Dataset labelled_bytes() {
  Generator gen(6);
  data::Dataset data;
  data.name = "labelled";
  data.dims = 4;
  data.discrete = true;
  data.given = {"label"};
  data.given_classes = 3;
  for (data::Split* part : {&data.train, &data.valid}) {
    part->given = (uniform(gen, {60, 1}) * 3).to(DType::I32);
    part->x = (uniform(gen, {60, 4}) * 80 + part->given.to(DType::F32) * 80).to(DType::U8);
  }
  return data;
}

}  // namespace

BOOST_AUTO_TEST_CASE(labels_become_ones_or_learned_numbers) {
  Generator gen(1);
  LabelCondition plain(3, 0, gen), learned(3, 2, gen);
  const Tensor labels = Tensor::from<std::int32_t>({2, 0}, {2, 1});
  BOOST_TEST(plain.context(labels).value().to_vector<float>() ==
             (std::vector<float>{0, 0, 1, 1, 0, 0}));
  const Tensor table = learned.parameters()[0].second->value();
  const Tensor rows = index_select(table, 0, Tensor::from<std::int32_t>({2, 0}, {2}));
  BOOST_TEST(learned.context(labels).value().to_vector<float>() == rows.to_vector<float>());
  for (const int wrong : {3, -1}) {
    check_error(
        [&] {
          plain.context(Tensor::from<std::int32_t>({0, wrong}, {2, 1}));
        },
        {"[LabelCondition]", str(wrong), "0 to 2"});
  }
}

BOOST_AUTO_TEST_CASE(columns_are_standardised_and_constant_ones_do_no_harm) {
  ColumnCondition condition({"time", "one"});
  const Tensor given = Tensor::from<double>({1.7e9, 1, 1.7e9 + 2, 1}, {2, 2});
  condition.initialize(given);
  const auto context = condition.context(given).value().to_vector<float>();
  BOOST_TEST(context == (std::vector<float>{-1, 0, 1, 0}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(what_is_asked_for_is_taken_out_of_the_rows) {
  BOOST_TEST(data::parse_given("label").labels);
  using Parts = std::vector<std::string>;
  BOOST_TEST(data::between_commas("\"a, b\"=1,c=\"d, \"\"e\"\"\",5\" f,") ==
             (Parts{"\"a, b\"=1", "c=\"d, \"\"e\"\"\"", "5\" f", ""}));
  BOOST_TEST(data::between_commas("a=\"b,c") == (Parts{"a=\"b", "c"}));
  BOOST_TEST(data::parse_given("column:label, b").columns ==
             (std::vector<std::string>{"label", "b"}));
  const std::pair<const char*, const char*> wrong[] = {
      {"label,a", "cannot be given together"}, {"a,,b", "empty name"}, {"a,a", "stands twice"}};
  for (const auto& [text, says] : wrong) {
    check_error([&, text = text] { data::parse_given(text); }, {"[given]", says});
  }
  data::Dataset table;
  table.name = "t";
  table.dims = 3;
  table.columns = {"a", "b", "c"};
  table.train.x = Tensor::from<double>({1, 2, 3, 4, 5, 6}, {2, 3});
  check_error([&] { take_given(table, data::parse_given("d")); }, {"no column 'd'"});
  check_error([&] { take_given(table, data::parse_given("label")); }, {"has no labels"});
  check_error([&] { take_given(table, data::parse_given("a,b,c")); }, {"is left to be modelled"});
  take_given(table, data::parse_given("c,a"));
  BOOST_TEST(table.columns == std::vector<std::string>{"b"});
  BOOST_TEST(table.train.x.to_vector<double>() == (std::vector<double>{2, 5}));
  BOOST_TEST(table.train.given.to_vector<double>() == (std::vector<double>{3, 1, 6, 4}));
}

// In one dimension and in two, the exact density is reached to within a few hundredths of a nat.
BOOST_AUTO_TEST_CASE(a_known_conditional_density_is_learned) {
  const double entropy = std::log(kSpread) + 0.5 * std::log(2 * std::numbers::pi * std::numbers::e);
  for (const std::int64_t dims : {1, 2}) {
    for (const bool prior : {true, false}) {
      const data::Dataset data = lines(dims);
      Config config = short_training();
      coupling_flow(config).conditional_prior = prior;
      const auto density = make_flow(config, shape_of(data));
      fit(*density, data, fit_options(config));
      const double nats = evaluate(*density, data.valid.x, {.given = data.valid.given}).nats;
      BOOST_TEST(-nats / static_cast<double>(dims) - entropy < 0.06, dims << ' ' << nats);
      BOOST_TEST(-nats / static_cast<double>(dims) - entropy > -0.06, dims << ' ' << nats);
      // Another condition is another density: the rows are far from it.
      const Tensor wrong = affine(data.valid.given, -1, 1);
      BOOST_TEST(evaluate(*density, data.valid.x, {.given = wrong}).nats < nats - 1);
    }
  }
}

BOOST_AUTO_TEST_CASE(one_row_given_is_a_density_of_its_own) {
  const data::Dataset data = lines(2);
  Config config = short_training();
  config.training.steps = 20;
  const auto density = make_flow(config, shape_of(data));
  fit(*density, data, fit_options(config));
  const Tensor one = Tensor::from<double>({0.25}, {1, 1});
  const auto fixed = density->conditioned_on(one);
  const Tensor all = one.broadcast_to({5, 1}).contiguous(), x = data.train.x.narrow(0, 0, 5);
  BOOST_TEST(fixed->log_prob(x).value().to_vector<float>() ==
             density->log_prob(x, all).value().to_vector<float>());
  Generator a(1), b(1);
  BOOST_TEST(fixed->sample(a, 5).to_vector<double>() ==
             density->sample(b, 5, 1, all).to_vector<double>());
  BOOST_TEST(max(abs(density->decode(density->encode(x, all), all) - x)).item() < 1e-5);
  check_error([&] { density->log_prob(x); }, {"[density]", "conditional", "1 number"});
  check_error([&] { density->log_prob(x, one); }, {"[density]", "(5, 1)"});
  BOOST_TEST(!density->find_nonfinite(x, all).has_value());
}

// Eager and recorded steps, on every device, from labels with an embedding.
BOOST_AUTO_TEST_CASE(labels_train_alike_on_every_device) {
  const data::Dataset data = labelled_bytes();
  Config config = small("nice");
  config.training.batch_size = 20;
  config.training.epochs = 4;
  coupling_flow(config).embedding = 2;
  std::vector<std::vector<float>> trained;
  const auto train_on = [&](Device device, bool graph) {
    const auto density = make_flow(config, shape_of(data));
    density->to(device);
    FitOptions options = fit_options(config);
    options.graph = graph;
    options.keep_best = false;
    fit(*density, data, options);
    density->to(Device::CPU);
    trained.push_back(weights(*density));
  };
  train_on(Device::CPU, false);
  for (const Device device : other_devices()) {
    for (const bool graph : {true, false}) train_on(device, graph);
  }
  for (const std::vector<float>& other : trained) {
    BOOST_TEST_REQUIRE(other.size() == trained[0].size());
    for (std::size_t i = 0; i < other.size(); ++i) {
      BOOST_TEST(std::abs(other[i] - trained[0][i]) < 2e-3, i << ": " << other[i]);
    }
  }
}

namespace {

/// Levels 0 and 1 of D independent dimensions: no latents.
class Coins : public Density {
 public:
  explicit Coins(std::int64_t dims)
      : Density(dims, {}), logit_(add_parameter("logit", Tensor::zeros({dims}))) {}
  Var log_prob(const Var& x, const Var&) override {
    const Tensor one = x.value().to(DType::F32);
    return sum(Var(one) * logit_ - softplus(logit_), {1});
  }
  Tensor sample(Generator& gen, std::int64_t n, double, const Var&) override {
    const Tensor p = sigmoid(logit_.value());
    return less(uniform(gen, {n, dims()}), p).to(DType::U8);
  }
  bool bound() const override { return false; }
  int levels() const override { return 2; }
  std::string kind() const override { return "Coins"; }

 private:
  Var& logit_;
};

}  // namespace

BOOST_AUTO_TEST_CASE(a_density_without_latents_is_trained_evaluated_and_drawn_from) {
  Generator gen(9);
  data::Dataset data;
  data.dims = 2;
  data.train.x = bernoulli(gen, 0.25, {4000, 2}).to(DType::U8);
  data.valid.x = bernoulli(gen, 0.25, {4000, 2}).to(DType::U8);
  Coins coins(2);
  fit(coins, data, {.epochs = 20, .batch_size = 100, .optimizer = {.lr = 1e-2}});
  const double entropy = -2 * (0.25 * std::log(0.25) + 0.75 * std::log(0.75));
  BOOST_TEST(std::abs(evaluate(coins, data.valid.x).nats + entropy) < 0.05);
  BOOST_TEST(std::abs(mean(coins.sample(gen, 4000, 1, {}).to(DType::F64)).item() - 0.25) < 0.03);
  check_error([&] { as_flow(coins, "encode"); }, {"[encode] Coins has no latents"});
  check_error([&] { coins.draw(gen, 3); }, {"[draw] Coins"});
}

namespace {

/// A model that knows nothing of conditions.
class Unconditional : public CouplingFlow {
 public:
  std::string name() const override { return "unconditional"; }
  std::string help() const override { return "of a test"; }
  bool conditional() const override { return false; }
  Config preset(const DataShape&, const std::string&) const override {
    return {name(), std::make_unique<CouplingFlowSettings>()};
  }
};

}  // namespace

BOOST_AUTO_TEST_CASE(a_model_that_would_not_look_at_what_is_given_refuses_it) {
  add_model(std::make_shared<Unconditional>());
  const Config config = preset("unconditional");
  check_error([&] { make_flow(config, {.dims = 2, .given = {"c"}}); },
              {"[given] unconditional is no conditional model"});
  BOOST_CHECK_NO_THROW(make_flow(config, {.dims = 2}));
}

// --- reverse KL ---------------------------------------------------------------------------------

namespace {

/// ln of 3 N(x; 1, 1/2) in each of two dimensions, without its constant: Z = 9.
Var log_target(const Var& x) {
  const double constant =
      2 * (std::log(3.0) - std::log(0.5) - 0.5 * std::log(2 * std::numbers::pi));
  return affine(sum_squares(x - 1.0, {1}), -2, constant);
}

std::shared_ptr<FlowDensity> gaussian_flow() {
  Config config = small("realnvp-2d");
  coupling_flow(config).preprocess = "none";
  coupling_flow(config).scaling = true;
  return make_flow(config, {.dims = 2});
}

FitOptions reverse_options() {
  return {.epochs = 25, .batch_size = 50, .optimizer = {.lr = 2e-2}, .keep_best = false, .seed = 2};
}

}  // namespace

BOOST_AUTO_TEST_CASE(reverse_kl_finds_the_constant_of_a_known_target) {
  const auto density = gaussian_flow();
  ReverseKl objective(*density, log_target, {.samples_per_epoch = 2000, .evaluated = 2000});
  Trainer trainer(objective, reverse_options());
  const FitResult result = trainer.run();
  BOOST_TEST(result.last_valid_nats < std::log(9.0) + 1e-3);
  BOOST_TEST(result.last_valid_nats > std::log(9.0) - 0.05);
}

BOOST_AUTO_TEST_CASE(draws_have_the_log_prob_of_the_density) {
  const auto density = gaussian_flow();
  Generator gen(3);
  const auto [x, log_prob] = density->draw(gen, 50);
  BOOST_TEST(max(abs(density->log_prob(x.value()).value() - log_prob.value())).item() < 1e-4);
}

BOOST_AUTO_TEST_CASE(reverse_kl_resumes_bit_for_bit) {
  const std::string state =
      (std::filesystem::temp_directory_path() / str("nf-reverse-", ::getpid())).string();
  const auto whole = gaussian_flow(), half = gaussian_flow(), rest = gaussian_flow();
  const auto objective = [](FlowDensity& density) {
    return ReverseKl(density, log_target, {.samples_per_epoch = 500, .evaluated = 100});
  };
  ReverseKl a = objective(*whole), b = objective(*half), c = objective(*rest);
  Trainer all(a, reverse_options()), first(b, reverse_options()), second(c, reverse_options());
  all.run();
  first.run({.on_step = [&](const StepReport& step) { return step.step < 17; }});
  first.save(state);
  second.load(state);
  std::filesystem::remove(state);
  second.run();
  BOOST_TEST(weights(*whole) == weights(*rest));
}

BOOST_AUTO_TEST_CASE(a_target_that_is_not_finite_is_named) {
  const auto density = gaussian_flow();
  const auto nowhere = [](const Var& x) { return log(sum_squares(x, {1}) * -1.0); };
  ReverseKl objective(*density, nowhere, {.samples_per_epoch = 100, .evaluated = 100});
  Trainer trainer(objective, reverse_options());
  check_error([&] { trainer.run(); }, {"diverged at step 1", "the log density of the target"});
}

namespace {

/// x - 3 c and x + 2 c, c the standardised column that is given.
std::shared_ptr<Elementwise> shifted_by_given() {
  Generator gen(1);
  auto net = std::make_shared<nn::Linear>(nn::LinearOptions{.in = 1, .out = 2}, gen);
  net->parameters()[0].second->mutable_value().copy_(Tensor::from<float>({-3, 2}, {2, 1}));
  return std::make_shared<Elementwise>(additive_map(), net);
}

/// Rows and, far from 0, the numbers given with them, which grow from row to row.
data::Split rising(std::int64_t n) {
  Generator gen(8);
  return {.x = normal(gen, {n, 2}) * 0.01,
          .given = Tensor::arange(n, DType::F64).reshape({n, 1}) + 1e6};
}

}  // namespace

BOOST_AUTO_TEST_CASE(initial_values_are_those_of_rows_with_what_is_given) {
  auto flow = std::make_shared<Compose>();
  flow->add("shift", shifted_by_given());
  flow->add("scaling", std::make_shared<Scaling>(2));
  FlowDensity density(flow, std::make_shared<StandardNormal>(), 2, {},
                      std::make_shared<ColumnCondition>(std::vector<std::string>{"c"}));
  const data::Split rows = rising(2000);  // more than go through a layer at a time
  const auto part = [](const Tensor& t) {
    return [t](std::int64_t first, std::int64_t count) { return t.narrow(0, first, count); };
  };
  density.initialize({rows.x.dim(0), part(rows.x), {}, part(rows.given)});
  for (const double v :
       variance(density.encode(rows.x, rows.given), {0}).to(DType::F64).to_vector<double>()) {
    BOOST_TEST(std::abs(v - 1) < 1e-3);
  }
}

BOOST_AUTO_TEST_CASE(every_batch_has_what_is_given_with_its_rows) {
  FlowDensity density(shifted_by_given(), std::make_shared<StandardNormal>(), 2, {},
                      std::make_shared<ColumnCondition>(std::vector<std::string>{"c"}));
  data::Split rows = rising(50);
  density.condition()->initialize(rows.given);
  rows.x = density.decode(rows.x * 100.0, rows.given);  // of latents near the standard normal
  const auto latents = [&](std::int64_t batch) {
    const LatentDiagnosis d = diagnose_latents(density, rows.x, batch, 0, rows.given);
    return std::vector<double>{d.mean, d.deviation, d.largest};
  };
  BOOST_TEST(latents(7) == latents(50), boost::test_tools::tolerance(1e-6));
  BOOST_TEST(latents(50)[1] < 1.3);
  const auto scores = [&](std::int64_t batch) {
    return score(density, rows.x, {.batch_size = batch, .given = rows.given});
  };
  BOOST_TEST(scores(7) == scores(50), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(what_is_given_is_named_where_it_is_not_finite) {
  FlowDensity density(shifted_by_given(), std::make_shared<StandardNormal>(), 2, {},
                      std::make_shared<ColumnCondition>(std::vector<std::string>{"c"}));
  const Tensor x = Tensor::zeros({3, 2}), given = Tensor::from<double>({1, NAN, 2}, {3, 1});
  BOOST_TEST(density.find_nonfinite(x, given).value_or("") == "what is given");
  BOOST_TEST(density.find_nonfinite_inverse(x, given).value_or("") == "what is given");
  BOOST_TEST(!density.find_nonfinite(x, Tensor::zeros({3, 1}, DType::F64)).has_value());
}

BOOST_AUTO_TEST_CASE(a_density_of_the_same_layers_has_their_mode) {
  FlowDensity density(shifted_by_given(), std::make_shared<StandardNormal>(), 2, {},
                      std::make_shared<ColumnCondition>(std::vector<std::string>{"c"}));
  for (const bool training : {false, true}) {
    density.train(training);
    for (const auto& other :
         {density.continuous(), density.conditioned_on(Tensor::zeros({1, 1}, DType::F64))}) {
      { const Examination examination(*other); }
      BOOST_TEST(density.transform().training() == training);
      BOOST_TEST(density.training() == training);
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()
