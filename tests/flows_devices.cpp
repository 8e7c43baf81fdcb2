// Training, evaluation and sampling on every device against the CPU.
#include <boost/test/unit_test.hpp>
#include <cmath>

#include "flows/base.h"
#include "flows/bijection.h"
#include "flows/compose.h"
#include "flows/layers/coupling.h"
#include "flows/layers/dequantize.h"
#include "flows/maps/affine.h"
#include "flows/models/build.h"
#include "flows/models/coupling_flow.h"
#include "flows/train/fit.h"
#include "nn/nets/mlp.h"
#include "tests/data_util.h"
#include "tests/datasets.h"
#include "tests/devices.h"
#include "tests/trainings.h"

BOOST_AUTO_TEST_SUITE(flows_devices)

using namespace nf;
using namespace nf::flows;
using namespace nf::test;

namespace {

Config small_nice() {
  Config config = preset("nice");
  coupling_flow(config).couplings = 2;
  coupling_flow(config).hidden_units = 12;
  coupling_flow(config).hidden_layers = 2;
  config.training.batch_size = 20;
  config.training.steps = 50;
  return config;
}

struct Trained {
  std::shared_ptr<Density> density;
  std::vector<EpochReport> epochs;
  std::string note;
};

/// Trains, in two parts with a checkpoint between them if `pause` is positive.
Trained train(const Config& config, const data::Dataset& data, Device device, bool graph = true,
              std::int64_t pause = 0) {
  Trained out;
  const TempFolder folder;
  FitOptions options = fit_options(config);
  options.graph = graph;
  for (const std::int64_t stop : {pause, std::int64_t{1} << 40}) {
    if (stop == 0) continue;
    out.density = make_density(config, {.dims = data.dims,
                                        .discrete = data.discrete,
                                        .channels = data.channels,
                                        .height = data.height,
                                        .width = data.width});
    out.density->to(device);
    Trainer trainer(*out.density, data, options);
    if (stop > pause && pause > 0) trainer.load(folder.path("state"));
    trainer.run({.on_step = [&](const StepReport& r) { return r.step < stop; },
                 .on_epoch = [&](const EpochReport& r) { out.epochs.push_back(r); }});
    trainer.save(folder.path("state"));
    out.note = trainer.graph_note();
  }
  return out;
}

/// Empty when all weights are the same to `tolerance`.
std::string weights_differ(const Trained& a, const Trained& b, double tolerance) {
  const auto left = a.density->state(), right = b.density->state();
  for (std::size_t i = 0; i < left.size(); ++i) {
    const std::string what = difference(left[i].second, right[i].second, tolerance);
    if (!what.empty()) return left[i].first + ": " + what;
  }
  return "";
}

/// What a step may have to do, as settings.
const std::vector<std::vector<std::string>> kSettings = {
    {},
    {"clip=50", "ema=0.9"},
    {"optimizer=adamw", "weight_decay=0.1", "schedule=cosine", "warmup=5"},
    {"coupling=affine", "activation=silu", "preprocess=logit", "prior=gaussian"},
    {"whitening=triangular", "whitening_last=true", "optimizer=sgd", "lr=1e-5"},
    {"mixing=linear", "clip=0.3", "partition=halves"},
    {"preprocess=cdf", "whitening=zca", "activation=elu"}};

}  // namespace

BOOST_AUTO_TEST_CASE(training_tells_the_same_on_every_device) {
  const data::Dataset data = dependent_bytes(190, 40);  // epochs end with a short batch
  for (const Device device : other_devices()) {
    for (const auto& settings : kSettings) {
      Config config = small_nice();
      for (const std::string& setting : settings) set(config, setting);
      const Trained here = train(config, data, Device::CPU), there = train(config, data, device);
      BOOST_REQUIRE_EQUAL(here.epochs.size(), there.epochs.size());
      for (std::size_t i = 0; i < here.epochs.size(); ++i) {
        const EpochReport &a = here.epochs[i], &b = there.epochs[i];
        BOOST_CHECK_EQUAL(a.step, b.step);
        BOOST_CHECK_CLOSE_FRACTION(a.train_nats, b.train_nats, 1e-3);
        BOOST_CHECK_CLOSE_FRACTION(a.valid_nats, b.valid_nats, 1e-3);
        BOOST_CHECK_CLOSE_FRACTION(a.grad_norm, b.grad_norm, 1e-2);
      }
      BOOST_CHECK_EQUAL(there.note, "");  // the steps were recorded
    }
  }
}

BOOST_AUTO_TEST_CASE(recorded_steps_are_the_steps) {
  const data::Dataset data = dependent_bytes(190, 40);
  for (const Device device : other_devices()) {
    for (const auto& settings : kSettings) {
      Config config = small_nice();
      config.training.steps = 25;  // 2 epochs and a half
      for (const std::string& setting : settings) set(config, setting);
      const Trained replayed = train(config, data, device),
                    plain = train(config, data, device, false);
      BOOST_CHECK_EQUAL(weights_differ(replayed, plain, 0), "");
      BOOST_CHECK_EQUAL(replayed.epochs.back().train_nats, plain.epochs.back().train_nats);
      const Trained resumed = train(config, data, device, true, 13);
      BOOST_CHECK_EQUAL(weights_differ(resumed, plain, 0), "");
    }
  }
}

BOOST_AUTO_TEST_CASE(moved_images_are_the_same_on_every_device) {
  const data::Dataset data = dependent_bytes(190, 40, 4);
  Config config = small_nice();
  set(config, "flip=true");
  set(config, "shift=1");
  config.training.steps = 25;
  for (const Device device : other_devices()) {
    const Trained here = train(config, data, Device::CPU), there = train(config, data, device),
                  plain = train(config, data, device, false),
                  resumed = train(config, data, device, true, 13);
    BOOST_CHECK_EQUAL(there.note, "");
    BOOST_CHECK_EQUAL(weights_differ(there, plain, 0), "");
    BOOST_CHECK_EQUAL(weights_differ(resumed, plain, 0), "");
    BOOST_CHECK_CLOSE_FRACTION(here.epochs[0].train_nats, there.epochs[0].train_nats, 1e-3);
  }
}

BOOST_AUTO_TEST_CASE(steps_of_every_preset_are_recorded) {
  const data::Dataset bytes = dependent_bytes(190, 40), images = dependent_bytes(190, 40, 4);
  data::Dataset reals = bytes;
  reals.discrete = false;
  reals.train.x = bytes.train.x.to(DType::F32);
  reals.valid.x = bytes.valid.x.to(DType::F32);
  for (const Device device : other_devices()) {
    for (const std::string& name : preset_names()) {
      const data::Dataset& data = preset(name).data.source == "moons" ? reals
                                  : model_by_name(name).of_images()   ? images
                                                                      : bytes;
      if (name == "nade") continue;  // tests/nn_causal.cpp compares it
      Config config = preset(name);
      test::set_where_known(config, {{"couplings", 2},
                                     {"maps", 6},
                                     {"layers", 2},
                                     {"hidden_units", 12},
                                     {"hidden_layers", 2},
                                     {"steps_per_level", 2},
                                     {"blocks", 1},
                                     {"width", 6}});
      config.training.batch_size = 20;
      config.training.steps = 25;
      const std::string more[] = {"", name == "realnvp" ? "norm=batch" : "",
                                  name == "glow" ? "dequantize=variational" : ""};
      for (const std::string& setting : more) {
        if (setting.empty() && &setting != more) continue;
        if (!setting.empty()) set(config, setting);
        const Trained replayed = train(config, data, device),
                      plain = train(config, data, device, false);
        BOOST_CHECK_EQUAL(replayed.note, "");
        BOOST_CHECK_EQUAL(weights_differ(replayed, plain, 0), "");
      }
    }
  }
}

namespace {

/// A layer of somebody's own, x + shift on a coupling of listed dimensions.
struct Custom : Compose {
  explicit Custom(bool peek) : peek_(peek) {
    Generator gen(1);
    add("coupling", std::make_shared<Coupling>(
                        Partition::indices(6, {3, 0}), additive_map(),
                        nn::mlp({.in = 4, .out = 2, .hidden_units = 7, .hidden_layers = 1}, gen)));
  }
  Mapped forward(const Var& x, const Var& context) override {
    if (peek_) max(x.value()).item();
    return Compose::forward(x, context);
  }
  Mapped forward_rows(const Tensor& data, const Tensor& rows, const Var& context) override {
    return forward(index_select(data, 0, rows), context);
  }
  bool peek_;
};

}  // namespace

BOOST_AUTO_TEST_CASE(steps_of_layers_of_ones_own) {
  const data::Dataset data = dependent_bytes(190, 40);
  for (const Device device : other_devices()) {
    for (const bool peek : {false, true}) {
      std::vector<Tensor> trained;
      for (const bool graph : {true, false}) {
        auto flow = std::make_shared<Compose>();
        flow->add("dequantize", std::make_shared<Dequantize>(Generator(1)));
        flow->add("custom", std::make_shared<Custom>(peek));
        FlowDensity density(flow, base_by_name("gaussian"), data.dims);
        density.to(device);
        FitOptions options = fit_options(small_nice());
        options.graph = graph;
        Trainer trainer(density, data, options);
        trainer.run({});
        trained.push_back(density.parameters()[0].second->value());
        // What looks at a value cannot be recorded; it is done one by one.
        const bool noted = trainer.graph_note().find("[graph]") != std::string::npos;
        BOOST_CHECK_EQUAL(noted, peek && graph);
      }
      BOOST_CHECK_EQUAL(difference(trained[0], trained[1], 0), "");
    }
  }
}

// Draws of the model are made on its device, where the samples are for which they are placed.
BOOST_AUTO_TEST_CASE(reverse_kl_tells_the_same_on_every_device) {
  const auto log_target = [](const Var& x) { return sum_squares(x - 1.0, {1}) * -2.0; };
  Config config = preset("realnvp-2d");
  coupling_flow(config).couplings = 2;
  coupling_flow(config).hidden_units = 8;
  coupling_flow(config).preprocess = "none";
  const auto trained = [&](Device device, bool graph) {
    Trained out;
    out.density = make_flow(config, {.dims = 2});
    out.density->to(device);
    ReverseKl objective(*out.density, log_target, {.samples_per_epoch = 110, .evaluated = 1100});
    Trainer trainer(objective, {.epochs = 5, .batch_size = 50, .graph = graph});
    trainer.run({.on_epoch = [&](const EpochReport& r) { out.epochs.push_back(r); }});
    out.note = trainer.graph_note();
    return out;
  };
  for (const Device device : other_devices()) {
    const Trained here = trained(Device::CPU, false), there = trained(device, true),
                  plain = trained(device, false);
    BOOST_REQUIRE_EQUAL(there.epochs.size(), here.epochs.size());
    for (std::size_t i = 0; i < here.epochs.size(); ++i) {
      BOOST_CHECK_CLOSE_FRACTION(here.epochs[i].train_nats, there.epochs[i].train_nats, 1e-3);
      BOOST_CHECK_CLOSE_FRACTION(here.epochs[i].valid_nats, there.epochs[i].valid_nats, 1e-3);
    }
    BOOST_CHECK_EQUAL(there.note, "");
    BOOST_CHECK_EQUAL(weights_differ(there, plain, 0), "");
  }
}

BOOST_AUTO_TEST_CASE(divergence_is_seen_behind_the_device) {
  const data::Dataset data = dependent_bytes(2000, 1);
  Config config = small_nice();
  config.training.steps = 80;
  for (const Device device : other_devices()) {
    const auto density = make_flow(config, {.dims = data.dims, .discrete = true});
    density->to(device);
    Trainer trainer(*density, data, fit_options(config));
    const auto poison = [&](const StepReport& r) {
      if (r.step == 40) {
        for (auto& [name, p] : density->parameters()) {
          if (name == "couplings.1.net.0.weight") p->mutable_value().fill_(std::nan(""));
        }
      }
      return true;
    };
    try {
      trainer.run({.on_step = poison, .on_epoch = {}});
      BOOST_ERROR("NaN went by unseen");
    } catch (const Diverged& error) {
      const std::string what = error.what();
      BOOST_CHECK_MESSAGE(what.find("couplings.1.net.0.weight") != std::string::npos, what);
    }
    // Not one weight beside it has been touched by a step that had no finite loss.
    for (auto& [name, p] : density->parameters()) {
      if (name != "couplings.1.net.0.weight") BOOST_CHECK_MESSAGE(all_finite(p->value()), name);
    }
  }
}

namespace {

/// x + shift + 0 * sqrt(root): at root = 0 only a gradient is NaN.
struct Root : Bijection {
  Root()
      : shift(add_parameter("shift", Tensor::zeros({6}))),
        root(add_parameter("root", Tensor::ones({6}))) {}
  Mapped forward(const Var& x, const Var&) override {
    return {x + shift + sqrt(root) * 0.0, zero_log_det(x)};
  }
  Mapped inverse(const Var& z, const Var&) override {
    return {z - shift - sqrt(root) * 0.0, zero_log_det(z)};
  }
  std::string kind() const override { return "Root"; }
  Var& shift;
  Var& root;
};

}  // namespace

// The device is looked at in every 32nd step; from the first NaN on nothing is updated until then.
BOOST_AUTO_TEST_CASE(a_gradient_that_is_nan_stops_all_updates_behind_the_device) {
  const data::Dataset bytes = dependent_bytes(2000, 1);
  data::Dataset data = bytes;
  data.discrete = false;
  data.train.x = bytes.train.x.to(DType::F32) / 100.0;
  data.valid = {};
  for (const Device device : other_devices()) {
    for (const double clip : {0.0, 0.5}) {
      const auto root = std::make_shared<Root>();
      FlowDensity density(root, std::make_shared<StandardNormal>(), 6);
      density.to(device);
      std::vector<float> before;
      const auto poison = [&](const StepReport& r) {
        if (r.step == 40) {
          before = root->shift.value().to_vector<float>();
          root->root.mutable_value().fill_(0);
        }
        return true;
      };
      Trainer trainer(density, data, {.steps = 80, .batch_size = 20, .clip_norm = clip});
      try {
        trainer.run({.on_step = poison, .on_epoch = {}});
        BOOST_ERROR("a NaN gradient went by unseen");
      } catch (const Diverged& error) {
        const std::string what = error.what();
        BOOST_CHECK_MESSAGE(what.find("gradient of parameter root") != std::string::npos, what);
        BOOST_CHECK_GT(error.step(), 40);
      }
      BOOST_CHECK(root->shift.value().to_vector<float>() == before);
      BOOST_CHECK(before[0] != 0);
    }
  }
}

BOOST_AUTO_TEST_CASE(evaluation_and_samples_are_the_cpus) {
  const data::Dataset data = dependent_bytes(190, 40);
  for (const Device device : other_devices()) {
    const Trained here = train(small_nice(), data, Device::CPU);
    const Evaluation a = evaluate(*here.density, data.valid.x, {.noise_draws = 2});
    Generator one(3), two(3);
    const Tensor samples = here.density->sample(one, 10);
    here.density->to(device);
    const Evaluation b = evaluate(*here.density, data.valid.x, {.noise_draws = 2});
    BOOST_CHECK_CLOSE_FRACTION(a.nats, b.nats, 1e-5);
    BOOST_CHECK_CLOSE_FRACTION(a.nats_se, b.nats_se, 1e-3);
    const Tensor there = here.density->sample(two, 10);
    BOOST_CHECK(there.device() == device);
    BOOST_CHECK_LE(max(abs(there.to(Device::CPU) - samples)).item(), 1);  // a level, at an edge
  }
}

BOOST_AUTO_TEST_SUITE_END()
