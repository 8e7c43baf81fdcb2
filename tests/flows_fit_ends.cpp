// How a training ends when it does not go well: patience, divergence, weights out of range.
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <filesystem>

#include "flows/bijection.h"
#include "flows/compose.h"
#include "flows/models/coupling_flow.h"
#include "flows/train/fit.h"
#include "nn/safetensors.h"
#include "tensor/ops.h"
#include "tests/data_util.h"
#include "tests/trainings.h"

using namespace nf;
using namespace nf::flows;
using test::build;
using test::moons;
using test::small;
using test::TempFolder;
using test::weights;

BOOST_AUTO_TEST_SUITE(flows_fit_ends)

BOOST_AUTO_TEST_CASE(tables_of_f64_begin_with_every_preprocessing) {
  data::Dataset data;
  data.name = "unit";
  data.dims = 2;
  Generator gen(5);
  data.train.x = uniform(gen, {300, 2}, DType::F64);
  data.valid.x = uniform(gen, {50, 2}, DType::F64);
  for (const char* preprocess : {"none", "logit", "standard"}) {
    for (const char* whitening : {"none", "zca", "triangular"}) {
      Config config = small("realnvp-2d");
      coupling_flow(config).preprocess = preprocess;
      coupling_flow(config).whitening = whitening;
      config.training.steps = 2;
      const auto density = make_density(config, {.dims = 2});
      const FitResult result = fit(*density, data, fit_options(config));
      BOOST_TEST(result.finished, preprocess << " " << whitening);
      BOOST_TEST(std::isfinite(result.best_valid_nats), preprocess << " " << whitening);
    }
  }
}

BOOST_AUTO_TEST_CASE(patience_ends_a_training_that_overfits_and_the_best_weights_stay) {
  data::Dataset data;  // too few points for so large a model
  data.name = "few";
  data.dims = 2;
  Generator gen(5);
  data.train.x = normal(gen, {40, 2});
  data.valid.x = normal(gen, {200, 2});
  Config config = small("realnvp-2d");
  coupling_flow(config).hidden_units = 32;
  config.training.batch_size = 20;
  config.training.steps = 0;
  config.training.epochs = 1000;
  config.training.warmup = 0;
  config.training.lr = 5e-3;
  config.training.schedule = "constant";
  config.training.patience = 30;
  const auto density = build(config, data);
  std::vector<EpochReport> reports;
  const auto collect = [&](const EpochReport& r) { reports.push_back(r); };
  const FitResult result =
      fit(*density, data, fit_options(config), {.on_step = {}, .on_epoch = collect});
  BOOST_CHECK(result.finished && result.stopped_early);
  BOOST_REQUIRE_EQUAL(result.epochs, result.best_epoch + 30);
  BOOST_CHECK_EQUAL(static_cast<std::int64_t>(reports.size()), result.epochs);
  BOOST_CHECK_LT(result.last_valid_nats, result.best_valid_nats - 0.05);
  BOOST_CHECK_EQUAL(evaluate(*density, data.valid.x).nats, result.best_valid_nats);

  // The last ones, where they are wanted.
  FitOptions options = fit_options(config);
  options.keep_best = false;
  const auto last = build(config, data);
  fit(*last, data, options);
  BOOST_CHECK_EQUAL(evaluate(*last, data.valid.x).nats, result.last_valid_nats);

  // Stopped twice on the way, in the middle of the patience: the counter and the best weights are
  // part of the state.
  const TempFolder folder;
  const std::string path = folder.path("state.safetensors");
  FitResult parts;
  const auto other = build(config, data);
  for (const std::int64_t stop :
       {result.best_epoch * 2 + 5, result.best_epoch * 2 + 31, std::int64_t{1} << 40}) {
    Trainer trainer(*other, data, fit_options(config));
    if (std::filesystem::exists(path)) trainer.load(path);
    parts = trainer.run({.on_step = [&](const StepReport& r) { return r.step != stop; }});
    trainer.save(path);
    if (parts.finished) trainer.use_best_weights();
  }
  BOOST_CHECK(parts.stopped_early);
  BOOST_CHECK_EQUAL(parts.epochs, result.epochs);
  BOOST_CHECK_EQUAL(parts.best_epoch, result.best_epoch);
  BOOST_CHECK(weights(*other) == weights(*density));
  // Who does not keep the best weights can read such a state all the same.
  Trainer trainer(*last, data, options);
  trainer.load(path);
  BOOST_CHECK(trainer.done());
  BOOST_CHECK_EQUAL(trainer.run().last_valid_nats, result.last_valid_nats);

  // An epoch that was told when half of it was done is one epoch of the patience.
  const auto halves = build(config, data);
  std::filesystem::remove(path);
  for (const std::int64_t end : {result.best_epoch * 2 + 5, result.best_epoch * 2 + 11,
                                 result.best_epoch * 2 + 31, std::int64_t{0}}) {
    config.training.steps = end;
    Trainer part(*halves, data, fit_options(config));
    if (std::filesystem::exists(path)) part.load(path);
    parts = part.run();
    part.save(path);
  }
  BOOST_CHECK(parts.stopped_early);
  BOOST_CHECK_EQUAL(parts.best_epoch, result.best_epoch);
  BOOST_CHECK_EQUAL(parts.epochs, result.epochs);
}

BOOST_AUTO_TEST_CASE(a_second_training_goes_on_from_what_the_first_learned) {
  const data::Dataset data = moons(200, 50);
  Config config = small("realnvp-2d");
  config.training.steps = 40;
  const auto density = build(config, data);
  fit(*density, data, fit_options(config));
  const std::vector<float> learned = weights(*density);
  FitOptions still = fit_options(config);
  still.steps = 1;
  still.optimizer.lr = 0;
  fit(*density, data, still);
  BOOST_CHECK(weights(*density) == learned);

  // Weights of a saved state are learned, too.
  const TempFolder folder;
  const std::string path = folder.path("state.safetensors");
  const auto other = build(config, data);
  {
    Trainer trainer(*density, data, fit_options(config));
    trainer.prepare();
    trainer.save(path);
    Trainer(*other, data, fit_options(config)).load(path);
  }
  fit(*other, data, still);
  BOOST_CHECK(weights(*other) == learned);
}

// Data that a layer cannot take begin nothing: the next training begins from its own data.
BOOST_AUTO_TEST_CASE(a_training_that_cannot_begin_leaves_no_trace) {
  const data::Dataset data = moons(200, 50);
  data::Dataset constant = data;
  constant.train.x = data.train.x.clone();
  constant.train.x.narrow(1, 0, 1).fill_(3);
  Config config = small("realnvp-2d");
  coupling_flow(config).preprocess = "standard";
  config.training.steps = 5;
  const auto density = build(config, data), fresh = build(config, data);
  BOOST_CHECK_THROW(fit(*density, constant, fit_options(config)), Error);
  BOOST_CHECK(!density->initialized());
  fit(*density, data, fit_options(config));
  fit(*fresh, data, fit_options(config));
  BOOST_CHECK(weights(*density) == weights(*fresh));
}

BOOST_AUTO_TEST_CASE(the_best_can_begin_anew) {
  const data::Dataset data = moons(100, 20);
  Config config = small("realnvp-2d");
  config.training.steps = 0;
  config.training.epochs = 2;
  const auto density = build(config, data);
  Trainer trainer(*density, data, fit_options(config));
  BOOST_CHECK_GT(trainer.run().best_epoch, 0);
  trainer.forget_best();
  BOOST_CHECK_EQUAL(trainer.best_epoch(), 0);
  BOOST_CHECK(std::isnan(trainer.run().best_valid_nats));
  const std::vector<float> last = weights(*density);
  trainer.use_best_weights();
  BOOST_CHECK(weights(*density) == last);
}

BOOST_AUTO_TEST_CASE(divergence_is_named) {
  const data::Dataset data = moons(100, 20);
  Config config = small("realnvp-2d");
  config.training.batch_size = 20;
  config.training.epochs = 20;
  config.training.steps = 0;
  config.training.lr = 1e30;
  config.training.schedule = "constant";
  coupling_flow(config).mixing = "none";  // so that it is a coupling
  const auto density = build(config, data);
  try {
    fit(*density, data, fit_options(config));
    BOOST_ERROR("training with lr = 1e30 did not diverge");
  } catch (const Diverged& error) {
    const std::string what = error.what();
    BOOST_CHECK_EQUAL(what.find("[fit] training diverged at step 2: the loss is "), 0U);
    BOOST_CHECK_MESSAGE(what.find("first non-finite in layer couplings.") != std::string::npos,
                        what);
    BOOST_CHECK(what.find("lower the learning rate") != std::string::npos);
    BOOST_CHECK_EQUAL(what.find('\n'), std::string::npos);
  }
  BOOST_CHECK(!Tape::recording());
  // NaN in the data is found in the first step.
  data::Dataset broken = moons(100, 20);
  broken.train.x.narrow(0, 50, 1).fill_(std::nan(""));
  config.training.lr = 1e-3;
  config.training.batch_size = 100;
  const auto fresh = build(config, broken);
  BOOST_CHECK_THROW(fit(*fresh, broken, fit_options(config)), Diverged);
  // So is NaN in validation alone.
  data::Dataset broken_valid = moons(100, 20);
  broken_valid.valid.x.narrow(0, 5, 1).fill_(std::nan(""));
  const auto other = build(config, broken_valid);
  try {
    fit(*other, broken_valid, fit_options(config));
    BOOST_ERROR("no error");
  } catch (const Diverged& error) {
    BOOST_CHECK(std::string(error.what()).find("validation gives nan nats") != std::string::npos);
  }
}

namespace {

/// y = x + shift + factor * sqrt(root). At root = 0 the value is finite, and the gradient of root
/// is infinite, or NaN when the factor is 0.
struct Root : Bijection {
  Root(double at, double f)
      : shift(add_parameter("shift", Tensor::zeros({2}))),
        root(add_parameter("root", Tensor::full({2}, at))),
        factor(f) {}
  Mapped forward(const Var& x, const Var&) override {
    return {x + shift + sqrt(root) * factor, zero_log_det(x)};
  }
  Mapped inverse(const Var& z, const Var&) override {
    return {z - shift - sqrt(root) * factor, zero_log_det(z)};
  }
  std::string kind() const override { return "Root"; }
  Var& shift;
  Var& root;
  double factor;
};

std::shared_ptr<Density> with_root(double at, double factor) {
  auto layers = std::make_shared<Compose>();
  layers->add("first", std::make_shared<Root>(1, 1));
  layers->add("second", std::make_shared<Root>(at, factor));
  layers->add("third", std::make_shared<Root>(1, 1));
  return std::make_shared<FlowDensity>(layers, std::make_shared<StandardNormal>(), 2);
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_gradient_that_is_not_finite_makes_no_update) {
  data::Dataset data = moons(100, 0);
  for (const double factor : {0.0, 1.0}) {
    for (const double clip : {0.0, 0.5}) {
      const auto density = with_root(0, factor);
      const std::vector<float> before = weights(*density);
      try {
        fit(*density, data, {.epochs = 3, .batch_size = 20, .clip_norm = clip});
        BOOST_ERROR("a gradient that is not finite went by unseen");
      } catch (const Diverged& error) {
        const std::string what = error.what();
        BOOST_CHECK_MESSAGE(
            what.find("[fit] training diverged at step 1: the norm of the gradient is ") == 0,
            what);
        BOOST_CHECK_MESSAGE(
            what.find("first non-finite in the gradient of parameter second.root") !=
                std::string::npos,
            what);
        BOOST_CHECK_EQUAL(error.step(), 1);
      }
      BOOST_CHECK(weights(*density) == before);
    }
  }
}

BOOST_AUTO_TEST_CASE(weights_that_left_the_range_of_numbers_are_never_saved) {
  data::Dataset data = moons(100, 0);
  data.train.x.fill_(100);  // the gradient of shift
  const FitOptions options = {
      .steps = 1, .batch_size = 50, .optimizer = {.rule = UpdateRule::Sgd, .lr = 1e38}};
  const TempFolder folder;
  const std::string path = folder.path("state.safetensors");
  for (const std::int64_t epochs_of_one_step : {0, 1}) {
    const auto density = with_root(1, 1);
    FitOptions one = options;
    if (epochs_of_one_step == 1) one.batch_size = 100;
    Trainer trainer(*density, data, one);
    trainer.save(path);
    const std::string good = test::bytes_of(path);
    int epochs = 0;
    try {
      trainer.run({.on_step = {}, .on_epoch = [&](const EpochReport&) { ++epochs; }});
      BOOST_ERROR("infinite weights went by unseen");
    } catch (const Diverged& error) {
      const std::string what = error.what();
      BOOST_CHECK_MESSAGE(what.find("diverged at step 1: a weight is not finite, first non-finite "
                                    "in parameter first.shift") != std::string::npos,
                          what);
    }
    BOOST_CHECK_EQUAL(epochs, 0);  // no report says that all was well
    BOOST_CHECK_THROW(trainer.save(path), Diverged);
    BOOST_CHECK(test::bytes_of(path) == good);
  }
  // Stopped between two epochs, too.
  const auto density = with_root(1, 1);
  FitOptions more = options;
  more.steps = 10;
  more.batch_size = 10;
  Trainer trainer(*density, data, more);
  BOOST_CHECK_THROW(trainer.run({.on_step = [](const StepReport&) { return false; }}), Diverged);
}

BOOST_AUTO_TEST_SUITE_END()
