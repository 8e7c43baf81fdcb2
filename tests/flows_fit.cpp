// Training: it learns, resumes bit for bit, stops when asked.
#include "flows/train/fit.h"

#include <boost/test/unit_test.hpp>
#include <cmath>

#include "flows/models/coupling_flow.h"
#include "nn/safetensors.h"
#include "tensor/ops.h"
#include "tensor/threads.h"
#include "tests/data_util.h"
#include "tests/datasets.h"
#include "tests/trainings.h"

using namespace nf;
using namespace nf::flows;
using test::build;
using test::check_error;
using test::moons;
using test::small;
using test::TempFolder;
using test::weights;

namespace {

/// Everything that a training tells, but the time.
struct Told {
  std::vector<double> numbers;
  FitCallbacks callbacks(std::int64_t stop_at = -1) {
    return {.on_step =
                [this, stop_at](const StepReport& r) {
                  numbers.insert(numbers.end(), {static_cast<double>(r.epoch),
                                                 static_cast<double>(r.step), r.nats});
                  return r.step != stop_at;
                },
            .on_epoch =
                [this](const EpochReport& r) {
                  numbers.insert(numbers.end(),
                                 {static_cast<double>(r.epoch), static_cast<double>(r.step),
                                  r.train_nats, r.valid_nats, r.valid_bits_per_dim, r.lr,
                                  r.grad_norm, static_cast<double>(r.best)});
                }};
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(flows_fit)

BOOST_AUTO_TEST_CASE(fit_learns_a_density) {
  const data::Dataset data = moons(2000, 500);
  Config config = small("realnvp-2d");
  config.training.steps = 300;
  config.training.batch_size = 250;
  config.training.lr = 5e-3;
  const auto density = build(config, data);
  const double before = evaluate(*density, data.valid.x).nats;
  std::vector<EpochReport> epochs;
  const FitResult result =
      fit(*density, data, fit_options(config),
          {.on_step = {}, .on_epoch = [&](const EpochReport& r) { epochs.push_back(r); }});
  const double after = evaluate(*density, data.valid.x).nats;
  BOOST_CHECK_GT(after, before + 0.4);
  BOOST_CHECK_GT(after, -data.entropy - 0.6);
  BOOST_CHECK_LT(after, -data.entropy + 0.15);  // a density cannot beat the entropy
  BOOST_CHECK(result.finished);
  BOOST_CHECK_EQUAL(result.steps, 300);
  BOOST_REQUIRE_EQUAL(epochs.size(), 38U);  // 37 whole ones of 8 steps, and a half
  BOOST_CHECK_EQUAL(epochs.back().epoch, 38);
  BOOST_CHECK_EQUAL(epochs.back().step, 300);
  double best = -1e9, seconds = 0;
  for (const EpochReport& r : epochs) {
    BOOST_CHECK_EQUAL(r.best, r.valid_nats > best);
    best = std::max(best, r.valid_nats);
    BOOST_CHECK_GE(r.seconds, seconds);
    seconds = r.seconds;
    BOOST_CHECK_GT(r.grad_norm, 0);
    BOOST_CHECK_CLOSE_FRACTION(r.valid_bits_per_dim, -r.valid_nats / (2 * std::log(2.0)), 1e-9);
  }
  BOOST_CHECK_EQUAL(result.best_valid_nats, best);
  BOOST_CHECK_EQUAL(epochs.at(static_cast<std::size_t>(result.best_epoch - 1)).valid_nats, best);
  BOOST_CHECK_EQUAL(result.last_valid_nats, epochs.back().valid_nats);
  BOOST_CHECK_EQUAL(after, best);          // the best weights were left, not the last ones
  BOOST_CHECK_LT(epochs.back().lr, 1e-5);  // the cosine's end
}

BOOST_AUTO_TEST_CASE(an_epoch_is_told_as_the_mean_over_its_samples) {
  const data::Dataset data = moons(25, 0);
  Config config = small("realnvp-2d");
  config.training.batch_size = 10;  // 10, 10, 5
  config.training.steps = 0;
  config.training.epochs = 2;
  config.training.lr = 0;
  const auto density = build(config, data);
  std::vector<double> steps, epochs;
  const FitResult result =
      fit(*density, data, fit_options(config),
          {.on_step =
               [&](const StepReport& r) {
                 BOOST_CHECK_EQUAL(r.total_steps, 6);
                 BOOST_CHECK_EQUAL(r.samples, r.step % 3 == 0 ? 5 : 10);
                 steps.push_back(r.nats);
                 return true;
               },
           .on_epoch =
               [&](const EpochReport& r) {
                 epochs.push_back(r.train_nats);
                 // Without validation samples nothing is known of them, and nothing is best.
                 BOOST_CHECK(std::isnan(r.valid_nats) && std::isnan(r.valid_bits_per_dim));
                 BOOST_CHECK(!r.best);
               }});
  BOOST_CHECK(result.finished && !result.stopped_early);
  BOOST_CHECK_EQUAL(result.best_epoch, 0);
  BOOST_CHECK(std::isnan(result.best_valid_nats) && std::isnan(result.last_valid_nats));
  BOOST_REQUIRE(steps.size() == 6 && epochs.size() == 2);
  for (int e = 0; e < 2; ++e) {
    const double mean = (10 * steps[3 * e] + 10 * steps[3 * e + 1] + 5 * steps[3 * e + 2]) / 25;
    BOOST_CHECK_CLOSE_FRACTION(epochs[e], mean, 1e-12);
    // Nothing was learned, so that is the mean over the training set.
    BOOST_CHECK_CLOSE_FRACTION(mean, evaluate(*density, data.train.x).nats, 1e-5);
  }
}

BOOST_AUTO_TEST_CASE(a_resumed_training_is_the_uninterrupted_one) {
  struct Case {
    std::string what;
    bool discrete;
    std::vector<std::string> settings;
  };
  const Case cases[] = {
      {"nice on bytes", true, {}},
      {"average, clipping, warm-up", true, {"ema=0.9", "clip=0.5", "warmup=9"}},
      {"rmsprop, exponential",
       true,
       {"optimizer=rmsprop", "schedule=exponential", "lr_decay=0.99"}},
      {"sgd, step",
       false,
       {"optimizer=sgd", "lr=0.01", "schedule=step", "lr_every=7", "lr_decay=0.5"}},
      {"adamax, cosine", false, {"optimizer=adamax", "schedule=cosine"}},
      {"adamw", false, {"optimizer=adamw", "weight_decay=0.01"}},
  };
  const TempFolder folder;
  const std::string path = folder.path("state.safetensors");
  for (const Case& c : cases) {
    const data::Dataset data = c.discrete ? test::dependent_bytes(50, 20) : moons(50, 20);
    Config config = small(c.discrete ? "nice" : "realnvp-2d");
    config.training.batch_size = 8;  // 7 batches, the last one short
    config.training.steps = 0;
    config.training.epochs = 3;
    for (const std::string& setting : c.settings) set(config, setting);
    Told whole;
    const auto expected = build(config, data);
    Trainer(*expected, data, fit_options(config)).run(whole.callbacks());
    // Stop in an epoch, at the end of one, after the first step and at the end of all.
    for (const std::int64_t stop : {1, 10, 14, 21}) {
      BOOST_TEST_CONTEXT(c.what << ", stopped after step " << stop) {
        Told told;
        {
          const auto density = build(config, data);
          Trainer trainer(*density, data, fit_options(config));
          const FitResult result = trainer.run(told.callbacks(stop));
          BOOST_CHECK_EQUAL(result.finished, stop == 21);
          BOOST_CHECK_EQUAL(trainer.step(), stop);
          trainer.save(path);
        }
        Config other_weights = config;  // those of the file count
        other_weights.training.seed = 4;
        const auto density = build(other_weights, data);
        Trainer trainer(*density, data, fit_options(config));
        trainer.load(path);
        BOOST_CHECK_EQUAL(trainer.step(), stop);
        BOOST_CHECK_EQUAL(trainer.epoch(), stop / 7);
        const FitResult result = trainer.run(told.callbacks());
        BOOST_CHECK(result.finished);
        BOOST_CHECK(told.numbers == whole.numbers);
        BOOST_CHECK(weights(*density) == weights(*expected));
      }
    }
  }
}

// What was said after the first, partial half of an epoch is replaced by what the whole one says.
BOOST_AUTO_TEST_CASE(a_training_that_ended_in_mid_epoch_goes_on_as_if_it_had_not) {
  const TempFolder folder;
  const std::string path = folder.path("state.safetensors");
  const data::Dataset data = test::dependent_bytes(50, 20);
  Config config = small("nice");
  config.training.batch_size = 8;  // 7 batches
  config.training.steps = 21;
  const auto expected = build(config, data);
  std::vector<EpochReport> whole, parts;
  const auto into = [](std::vector<EpochReport>& reports) {
    return FitCallbacks{.on_step = {},
                        .on_epoch = [&](const EpochReport& r) { reports.push_back(r); }};
  };
  Trainer(*expected, data, fit_options(config)).run(into(whole));
  const auto density = build(config, data);
  for (const std::int64_t end : {10, 21}) {
    config.training.steps = end;
    Trainer trainer(*density, data, fit_options(config));
    if (end == 21) trainer.load(path);
    BOOST_CHECK(trainer.run(into(parts)).finished);
    trainer.save(path);
  }
  BOOST_REQUIRE_EQUAL(parts.size(), 4U);
  BOOST_CHECK_EQUAL(parts[1].epoch, 2);
  BOOST_CHECK_EQUAL(parts[1].step, 10);
  parts.erase(parts.begin() + 1);
  for (std::size_t i = 0; i < 3; ++i) {
    BOOST_CHECK_EQUAL(parts[i].epoch, whole[i].epoch);
    BOOST_CHECK_EQUAL(parts[i].step, whole[i].step);
    BOOST_CHECK_EQUAL(parts[i].train_nats, whole[i].train_nats);
    BOOST_CHECK_EQUAL(parts[i].valid_nats, whole[i].valid_nats);
  }
  BOOST_CHECK(weights(*density) == weights(*expected));
}

BOOST_AUTO_TEST_CASE(a_state_says_how_its_training_ended) {
  const TempFolder folder;
  const std::string path = folder.path("state.safetensors");
  const data::Dataset data = moons(50, 20);
  Config config = small("realnvp-2d");
  config.training.steps = 3;
  const auto density = build(config, data);
  Trainer trainer(*density, data, fit_options(config));
  trainer.run();
  const auto metadata = [&] { return nn::load_safetensors(path).metadata; };
  trainer.save(path);
  BOOST_CHECK_EQUAL(metadata().at("status"), "running");
  BOOST_CHECK_EQUAL(metadata().at("step"), "3");
  trainer.save(path, TrainingStatus::Finished, {{"data_checksum", "12ab"}, {"step", "99"}});
  BOOST_CHECK_EQUAL(metadata().at("status"), "finished");
  BOOST_CHECK_EQUAL(metadata().at("data_checksum"), "12ab");
  BOOST_CHECK_EQUAL(metadata().at("step"), "3");  // its own entries stay true
  const std::string before = test::bytes_of(path);
  mark_state(path, TrainingStatus::Diverged, {{"diverged_step", "4"}});
  BOOST_CHECK_EQUAL(metadata().at("status"), "diverged");
  BOOST_CHECK_EQUAL(metadata().at("diverged_step"), "4");
  BOOST_CHECK_EQUAL(metadata().at("data_checksum"), "12ab");
  trainer.load(path);  // all else is as it was
  trainer.save(path, TrainingStatus::Finished, {{"data_checksum", "12ab"}});
  BOOST_CHECK(test::bytes_of(path) == before);
}

BOOST_AUTO_TEST_CASE(a_stopped_trainer_may_go_on_itself) {
  const data::Dataset data = test::dependent_bytes(50, 20);
  Config config = small("nice");
  config.training.batch_size = 8;
  config.training.epochs = 2;
  config.training.ema = 0.9;
  Told whole, parts;
  const auto a = build(config, data), b = build(config, data);
  fit(*a, data, fit_options(config), whole.callbacks());
  Trainer trainer(*b, data, fit_options(config));
  BOOST_CHECK(!trainer.run(parts.callbacks(3)).finished);
  BOOST_CHECK(!trainer.run(parts.callbacks(9)).finished);
  BOOST_CHECK(trainer.run(parts.callbacks()).finished);
  BOOST_CHECK(parts.numbers == whole.numbers);
  const FitResult again = trainer.run(parts.callbacks());  // nothing left to do
  BOOST_CHECK(again.finished && again.steps == 14);
  BOOST_CHECK(parts.numbers == whole.numbers);
}

BOOST_AUTO_TEST_CASE(averaged_weights_are_what_is_evaluated_and_saved) {
  const data::Dataset data = moons(100, 40);
  Config config = small("realnvp-2d");
  config.training.batch_size = 20;
  config.training.steps = 20;
  config.training.ema = 0.8;
  const auto density = build(config, data);
  Trainer trainer(*density, data, fit_options(config));
  double told = 0;
  trainer.run({.on_step = {}, .on_epoch = [&](const EpochReport& r) { told = r.valid_nats; }});
  const std::vector<float> last = weights(*density);
  std::vector<float> averaged;
  trainer.with_evaluated_weights([&] {
    averaged = weights(*density);
    BOOST_CHECK_EQUAL(evaluate(*density, data.valid.x).nats, told);
  });
  BOOST_CHECK(averaged != last);
  BOOST_CHECK(weights(*density) == last);
  BOOST_CHECK_THROW(trainer.with_evaluated_weights([] { fail("on purpose"); }), Error);
  BOOST_CHECK(weights(*density) == last);

  const TempFolder folder;
  const std::string path = folder.path("weights.safetensors");
  trainer.save_weights(path);
  BOOST_CHECK(weights(*density) == last);
  const auto loaded = build(config, data);
  loaded->load_state(nn::load_safetensors(path).tensors);
  BOOST_CHECK(weights(*loaded) == averaged);
}

BOOST_AUTO_TEST_CASE(scales_and_their_averages_start_from_the_data) {
  const data::Dataset data = test::dependent_bytes(200, 50);
  Config config = small("nice");
  config.training.steps = 1;
  config.training.ema = 0.99;
  for (const bool from_data : {true, false}) {
    coupling_flow(config).data_init = from_data;
    const auto density = build(config, data);
    Trainer trainer(*density, data, fit_options(config));
    trainer.run();
    trainer.with_evaluated_weights([&] {
      const double spread = std::sqrt(mean(variance(density->encode(data.train.x), {0})).item());
      BOOST_CHECK_MESSAGE(from_data ? std::abs(spread - 1) < 0.1 : spread < 0.5, spread);
    });
  }
}

// A file of which one half is unlike the other: the scales must be of both.
BOOST_AUTO_TEST_CASE(scales_start_from_rows_of_the_whole_file) {
  data::Dataset data = moons(6000, 10);
  data.train.x.narrow(0, 3000, 3000).copy_(data.train.x.narrow(0, 3000, 3000) * 100.0F);
  Config config = small("nice");
  coupling_flow(config).preprocess = "none";
  const auto density = build(config, data);
  Trainer trainer(*density, data, {.epochs = 1, .batch_size = 100});
  trainer.prepare();
  const Tensor z = density->encode(data.train.x);
  BOOST_CHECK_CLOSE_FRACTION(mean(variance(z, {0})).item(), 1, 0.1);
}

// Time stamps: the density is that of the same data near 0.
BOOST_AUTO_TEST_CASE(where_a_table_lies_does_not_change_its_density) {
  Generator gen(2);
  const Tensor near = normal(gen, {2000, 2}, DType::F64) * 100.0;
  std::vector<double> nats;
  for (const double at : {0.0, 1.7e9}) {
    data::Dataset data;
    data.name = "table";
    data.dims = 2;
    data.train.x = near.narrow(0, 0, 1500) + at;
    data.valid.x = near.narrow(0, 1500, 500) + at;
    const auto density = build(small("realnvp-2d"), data);
    const FitResult result = fit(*density, data, {.epochs = 2, .batch_size = 100});
    nats.push_back(result.best_valid_nats);
    const Tensor x = data.valid.x;
    BOOST_CHECK_SMALL(max(abs(density->decode(density->encode(x)) - x)).item(), 1e-3);
  }
  BOOST_CHECK_SMALL(nats[0] - nats[1], 1e-3);
  BOOST_CHECK_SMALL(nats[0] + 2 * (0.5 * std::log(2 * M_PI * M_E) + std::log(100)), 0.2);
}

BOOST_AUTO_TEST_CASE(whole_numbers_have_a_bound_when_they_are_known_as_such) {
  Generator gen(3);
  data::Dataset data;
  data.name = "counts";
  data.dims = 2;
  data.train.x = (uniform(gen, {2000, 2}, DType::F64) * 4.0).to(DType::I32).to(DType::F64);
  data.valid.x = data.train.x.narrow(0, 0, 500);
  Config config = small("realnvp-2d");
  config.data.types = "1=integer,2=integer";
  const auto density = build(config, data);
  BOOST_TEST(density->bound());
  const FitResult result = fit(*density, data, {.epochs = 10, .batch_size = 100});
  BOOST_TEST(result.best_valid_nats < -2 * std::log(4) + 0.05);  // of 16 equally likely cells
  BOOST_TEST(result.best_valid_nats > -2 * std::log(4) - 0.5);
  BOOST_CHECK_EQUAL(max(abs(density->decode(density->encode(data.valid.x)) - data.valid.x)).item(),
                    0);
  const auto drawn = density->sample(gen, 100).to_vector<double>();
  for (const double value : drawn) BOOST_CHECK_EQUAL(value, std::floor(value));
}

BOOST_AUTO_TEST_CASE(states_of_something_else_are_refused) {
  const TempFolder folder;
  const std::string path = folder.path("state.safetensors"), path_weights = folder.path("weights");
  const data::Dataset data = test::dependent_bytes(50, 20);
  Config config = small("nice");
  config.training.batch_size = 8;
  config.training.epochs = 1;
  const auto density = build(config, data);
  Trainer trainer(*density, data, fit_options(config));
  trainer.run();
  trainer.save(path);
  trainer.save_weights(path_weights);

  const auto load = [&](const std::vector<std::string>& settings, const data::Dataset& onto,
                        const std::string& from) {
    Config changed = config;
    for (const std::string& setting : settings) set(changed, setting);
    const auto other = build(changed, onto);
    const std::vector<float> before = weights(*other);
    Trainer loading(*other, onto, fit_options(changed));
    try {
      loading.load(from);
    } catch (const Error&) {
      BOOST_CHECK(weights(*other) == before);  // a refused file changes nothing
      BOOST_CHECK_EQUAL(loading.step(), 0);
      throw;
    }
  };
  BOOST_CHECK_NO_THROW(load({}, data, path));
  check_error([&] { load({"couplings=5"}, data, path); }, {"[resume]", "couplings = 4, not 5"});
  check_error([&] { load({"couplings=3"}, data, path); }, {"[resume]", "couplings = 4, not 3"});
  // As many numbers of the same names, and another function of them.
  check_error([&] { load({"activation=tanh"}, data, path); },
              {"[resume]", path, "activation = \"relu\", not \"tanh\""});
  check_error([&] { load({"seed=5"}, data, path); }, {"[resume]", path, "seed 3, not 5"});
  check_error([&] { load({"hidden_units=8"}, data, path); },
              {"[load]", "couplings.0.net.0.weight"});
  check_error([&] { load({"batch_size=10"}, data, path); }, {"[resume]", path, "batch"});
  check_error([&] { load({"batch_size=9"}, test::dependent_bytes(60, 20), path); },
              {"[resume]", path});
  check_error([&] { load({}, test::dependent_bytes(51, 20), path); }, {"[resume]", path});
  check_error([&] { load({"ema=0.9"}, data, path); }, {"[load]", "ema."});
  check_error([&] { load({}, data, path_weights); },
              {"[resume]", path_weights, "not a training state"});
  check_error([&] { load({}, data, folder.path("none")); }, {folder.path("none")});
  const std::string whole = test::bytes_of(path);
  const std::string cut = folder.write("cut", whole.substr(0, whole.size() / 2));
  check_error([&] { load({}, data, cut); }, {cut});
  // Numbers of the state that make no sense.
  for (const auto& [key, value] : std::initializer_list<std::pair<const char*, const char*>>{
           {"step", "-1"},
           {"step", "1.5"},
           {"step", "abc"},
           {"batch", "7"},
           {"batch", "1e300"},
           {"epoch", "nan"},
           {"epoch_nats", ""},
           {"generator.dequantize.noise", "-3 2 0"},
           {"generator.dequantize.noise", "3 2"},
           {"generator.dequantize.noise", "3 2 0 1"},
           {"generator.other.noise", "3 2 0"},
           {"seconds", "soon"}}) {
    nn::SafetensorsFile file = nn::load_safetensors(path);
    file.metadata[key] = value;
    const std::string damaged = folder.path("damaged");
    nn::save_safetensors(damaged, {file.tensors.begin(), file.tensors.end()}, file.metadata);
    check_error([&] { load({}, data, damaged); }, {"[resume]", damaged, key});
  }
}

BOOST_AUTO_TEST_CASE(data_that_does_not_fit_is_refused) {
  const data::Dataset data = moons(10, 5);
  Config config = small("realnvp-2d");
  const auto density = make_flow(config, {.dims = 3});
  check_error([&] { Trainer(*density, data, {}); }, {"[fit]", "3 dimensions", "has 2"});
  const auto fitting = build(config, data);
  check_error([&] { Trainer(*fitting, data, {.epochs = 0}); }, {"[fit]", "epochs or steps"});
  check_error([&] { Trainer(*fitting, data, {.batch_size = 0}); }, {"[batches]"});
  data::Dataset empty = data;
  empty.train = {};
  check_error([&] { Trainer(*fitting, empty, {}); }, {"[batches]"});
}

BOOST_AUTO_TEST_CASE(threads_change_rounding_only) {
  const data::Dataset data = test::dependent_bytes(400, 100);
  Config config = small("nice");
  coupling_flow(config).hidden_units = 150;
  config.training.batch_size = 200;
  config.training.epochs = 5;
  const int before = num_threads();
  double nats[2];
  for (const int threads : {1, 2}) {
    set_num_threads(threads);
    const auto density = build(config, data);
    fit(*density, data, fit_options(config));
    nats[threads - 1] = evaluate(*density, data.valid.x).nats;
  }
  set_num_threads(before);
  BOOST_CHECK_SMALL(nats[0] - nats[1], 2e-3);
}

BOOST_AUTO_TEST_SUITE_END()
