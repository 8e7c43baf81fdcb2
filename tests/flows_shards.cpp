// Training by shards and processes: the number of processes changes no bit.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <map>
#include <mutex>

#include "autograd/watch.h"
#include "flows/models/build.h"
#include "flows/runs/known_data.h"
#include "flows/train/fit.h"
#include "flows/train/gradient_sum.h"
#include "tensor/ops.h"
#include "tests/data_util.h"
#include "tests/datasets.h"
#include "tests/processes.h"
#include "tests/trainings.h"

using namespace nf;
using namespace nf::flows;
using namespace nf::test;

namespace {

struct ShardCase {
  std::string model;
  data::Dataset data;
  std::vector<std::string> settings;
};

data::Dataset some_bits() {
  data::Dataset data = dependent_bytes(50, 20);
  data.levels = 2;
  for (data::Split* part : {&data.train, &data.valid}) {
    part->x = greater(part->x.to(DType::F32), Tensor::scalar(128)).to(DType::U8);
  }
  return data;
}

/// An epoch of 50 has batches of 8, and one of 2: less than 4 shards.
std::vector<ShardCase> shard_cases() {
  return {
      {"nice", dependent_bytes(50, 21), {"couplings=4", "hidden_units=16", "hidden_layers=1"}},
      {"nice", dependent_bytes(50, 21), {"couplings=2", "hidden_units=8", "ema=0.9", "clip=0.1"}},
      {"realnvp", dependent_bytes(50, 21, 4), {"norm=batch", "width=4", "blocks=1"}},
      {"realnvp",
       dependent_bytes(50, 21, 4),
       {"norm=batch", "width=4", "blocks=1", "norm_lag=0.7"}},
      {"glow", dependent_bytes(50, 21, 4), {"steps_per_level=2", "width=4"}},
      {"glow", dependent_bytes(50, 21, 4), {"steps_per_level=2", "width=4", "memory=invertible"}},
      {"realnvp",
       dependent_bytes(50, 21, 4),
       {"norm=batch", "width=4", "blocks=1", "exchange=bf16"}},
      {"maf", moons(50, 21), {"hidden_units=8"}},
      {"vae", some_bits(), {"latents=2", "hidden_units=8", "posterior_width=8", "bits=1"}},
  };
}

Config configured_case(const ShardCase& c, std::int64_t steps) {
  Config config = preset(c.model, shape_of(c.data));
  for (const std::string& setting : c.settings) set(config, setting);
  config.training.batch_size = 8;
  config.training.steps = steps;
  config.training.seed = 3;
  return config;
}

struct Trained {
  std::string checksum;
  std::vector<double> numbers;  // of all reports
  bool operator==(const Trained&) const = default;
};

/// The training of one process of the group, which exchanges gradients while it computes others.
Trained train_shards(const ShardCase& c, std::int64_t steps, std::int64_t shards,
                     comm::Group* group, const std::string& from = "", const std::string& to = "") {
  const Config config = configured_case(c, steps);
  FitOptions options = fit_options(config);
  options.shards = shards;
  options.group = group;
  options.bucket = 100;
  const auto density = make_density(config, shape_of(c.data));
  Trainer trainer(*density, c.data, options);
  if (!from.empty()) trainer.load(from);
  Trained trained;
  trainer.run({.on_step =
                   [&](const StepReport& r) {
                     trained.numbers.push_back(r.nats);
                     trained.numbers.push_back(static_cast<double>(r.samples));
                     return true;
                   },
               .on_epoch =
                   [&](const EpochReport& r) {
                     for (const double x : {r.train_nats, r.valid_nats, r.grad_norm})
                       trained.numbers.push_back(x);
                   }});
  if (!to.empty() && (!group || group->first())) trainer.save(to);
  trained.checksum = trainer.parameters_checksum();
  return trained;
}

/// Likelihood that cannot be computed.
class Failing : public MaximumLikelihood {
 public:
  using MaximumLikelihood::MaximumLikelihood;
  Var losses(const data::Batch&, const data::Split&) override { fail("[test] no losses here"); }
};

/// Likelihood whose backward fails at its very end, when all gradients are complete.
class FailingLate : public MaximumLikelihood {
 public:
  using MaximumLikelihood::MaximumLikelihood;
  Var losses(const data::Batch& batch, const data::Split& split) override {
    const Var first =
        Tape::current()->record("fails", Tensor::zeros({batch.rows.dim(0)}),
                                [](const Tensor&) { fail("[test] no gradient here"); });
    return MaximumLikelihood::losses(batch, split) + first;
  }
};

/// What every process of a group of `size` has.
Trained train_by(int size, const ShardCase& c, std::int64_t steps, std::int64_t shards,
                 const std::string& from = "", const std::string& to = "") {
  std::vector<Trained> all(static_cast<std::size_t>(size));
  with_processes(size, [&](comm::Group& group) {
    all[static_cast<std::size_t>(group.rank())] = train_shards(c, steps, shards, &group, from, to);
  });
  for (const Trained& one : all) BOOST_CHECK(one == all[0]);
  return all[0];
}

}  // namespace

BOOST_AUTO_TEST_SUITE(flows_shards)

BOOST_AUTO_TEST_CASE(the_number_of_processes_changes_no_bit) {
  for (const ShardCase& c : shard_cases()) {
    BOOST_TEST_CONTEXT(c.model) {
      const Trained alone = train_shards(c, 16, 4, nullptr);  // two epochs and two steps
      BOOST_CHECK_EQUAL(alone.numbers.size(), 2 * 16 + 3 * 3U);
      for (const int size : {1, 2, 3, 4}) {
        BOOST_TEST_CONTEXT(size) { BOOST_CHECK(train_by(size, c, 16, 4) == alone); }
      }
    }
  }
}

// What is complete of a gradient is exchanged while backward runs: no model may add to it later.
BOOST_AUTO_TEST_CASE(gradients_of_every_preset_are_taken_when_they_are_complete) {
  const data::Dataset bytes = dependent_bytes(40, 20), images = dependent_bytes(40, 20, 4);
  for (const std::string& name : preset_names()) {
    const bool of_images = model_by_name(name).of_images();
    ShardCase c = {name,
                   preset(name).data.source == "moons" ? moons(40, 20)
                   : of_images                         ? images
                                                       : bytes,
                   {}};
    if (name == "nade") {
      c.data = some_bits();
      c.settings = {"bits=1"};
    }
    Config config = configured_case(c, 2);
    set_where_known(config, {{"couplings", 2},
                             {"maps", 2},
                             {"layers", 2},
                             {"blocks", 1},
                             {"hidden_units", 8},
                             {"hidden_layers", 1},
                             {"steps_per_level", 1},
                             {"width", 4}});
    BOOST_TEST_CONTEXT(name) {
      std::vector<std::string> checksums(2);
      for (const int size : {1, 2}) {
        with_processes(size, [&](comm::Group& group) {
          FitOptions options = fit_options(config);
          options.shards = 2;
          options.group = &group;
          options.bucket = 50;
          const auto density = make_density(config, shape_of(c.data));
          Trainer trainer(*density, c.data, options);
          trainer.run();
          if (size == 1 || !group.first()) {
            checksums[static_cast<std::size_t>(size - 1)] = trainer.parameters_checksum();
            return;
          }
          const Trainer::Communication& told = trainer.communication();
          NF_CHECK(told.exchanged > 0 && told.waited > 0, "no exchange");
        });
      }
      BOOST_TEST(checksums[0] == checksums[1]);
    }
  }
}

// Else nothing would be exchanged beside backward, and no result would show it.
BOOST_AUTO_TEST_CASE(gradients_are_complete_one_after_another) {
  const ShardCase c = shard_cases()[0];
  const auto density = make_density(configured_case(c, 1), shape_of(c.data));
  GradientSum gradients(*density);
  comm::Sum sum = gradients.begin();
  std::vector<std::int64_t> complete;
  Tape tape;
  const Var loss = nf::sum(density->log_prob(Var(c.data.train.x.narrow(0, 0, 8).to(DType::F32))));
  const BackwardWatch watch([&] { complete.push_back(gradients.take_complete(sum)); });
  tape.backward(loss);
  BOOST_TEST(std::is_sorted(complete.rbegin(), complete.rend()));
  BOOST_TEST(complete.front() > complete[complete.size() / 2]);
  BOOST_TEST(complete[complete.size() / 2] > complete.back());
  BOOST_TEST(complete.back() < sum.values.numel() / 10);
}

BOOST_AUTO_TEST_CASE(rounded_gradients_train_otherwise) {
  ShardCase c = shard_cases()[0];
  const Trained exact = train_shards(c, 4, 2, nullptr);
  c.settings.push_back("exchange=bf16");
  const Trained rounded = train_shards(c, 4, 2, nullptr);
  BOOST_TEST(rounded.checksum != exact.checksum);
  BOOST_TEST(rounded.numbers.back() != exact.numbers.back());
  BOOST_TEST(rounded.numbers[0] == exact.numbers[0]);
  BOOST_TEST(rounded.numbers[2] == exact.numbers[2], boost::test_tools::tolerance(1e-2));
}

// But for batch norm, whose statistics are a shard's, shards are another order of additions.
BOOST_AUTO_TEST_CASE(the_number_of_shards_changes_the_rounding_alone) {
  for (const ShardCase& c : shard_cases()) {
    if (c.model == "realnvp" || c.model == "maf") continue;
    BOOST_TEST_CONTEXT(c.model) {
      const Trained one = train_shards(c, 20, 1, nullptr), eight = train_shards(c, 20, 8, nullptr);
      BOOST_REQUIRE_EQUAL(one.numbers.size(), eight.numbers.size());
      for (std::size_t i = 0; i < one.numbers.size(); ++i) {
        BOOST_CHECK_CLOSE_FRACTION(one.numbers[i], eight.numbers[i], 1e-4);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(a_training_is_resumed_by_another_number_of_processes) {
  const TempFolder folder;
  const std::string path = folder.path("state.safetensors");
  for (const std::size_t row : {0U, 2U, 3U}) {
    const ShardCase c = shard_cases()[row];
    const Trained whole = train_shards(c, 16, 4, nullptr);
    for (const auto& [first, second] : {std::pair{4, 1}, {1, 2}, {2, 3}}) {
      train_by(first, c, 10, 4, "", path);
      BOOST_CHECK_EQUAL(train_by(second, c, 16, 4, path).checksum, whole.checksum);
    }
  }
}

BOOST_AUTO_TEST_CASE(whoever_wants_to_stop_stops_all_at_the_same_step) {
  const ShardCase c = shard_cases()[0];
  const Config config = configured_case(c, 100);
  for (const int who : {0, 1}) {
    with_processes(2, [&](comm::Group& group) {
      FitOptions options = fit_options(config);
      options.shards = 2;
      options.group = &group;
      const auto density = make_density(config, shape_of(c.data));
      Trainer trainer(*density, c.data, options);
      const FitResult result = trainer.run(
          {.on_step = [&](const StepReport& r) { return r.step != 5 || group.rank() != who; },
           .on_epoch = {}});
      NF_CHECK(!result.finished && result.steps == 6, "stopped after ", result.steps);
    });
  }
}

BOOST_AUTO_TEST_CASE(what_fails_in_one_process_ends_all_and_is_named) {
  const ShardCase c = shard_cases()[0];
  const Config config = configured_case(c, 100);
  enum Fault { Throws, ThrowsLate, IsNaN, Drifts };
  for (const Fault fault : {Throws, ThrowsLate, IsNaN, Drifts}) {
    std::vector<std::string> said(2);
    with_processes(2, [&](comm::Group& group) {
      FitOptions options = fit_options(config);
      options.shards = 2;
      options.group = &group;
      options.bucket = 50;
      const auto density = make_density(config, shape_of(c.data));
      MaximumLikelihood right(*density, c.data);
      Failing wrong(*density, c.data);
      FailingLate late(*density, c.data);
      Objective* of[] = {&wrong, &late, &right, &right};
      Trainer trainer(group.first() ? right : *of[fault], options);
      try {
        trainer.run({.on_step =
                         [&](const StepReport& r) {
                           if (r.step == 4 && fault >= IsNaN && group.rank() == 1) {
                             Var& p = *density->parameters()[0].second;
                             p.mutable_value().fill_(fault == IsNaN ? kNaN : 0.01);
                           }
                           return true;
                         },
                     .on_epoch = {}});
      } catch (const Error& error) {
        said[static_cast<std::size_t>(group.rank())] = error.what();
      }
    });
    BOOST_CHECK_EQUAL(said[0], said[1]);
    BOOST_CHECK_MESSAGE(said[0].find("rank 1 of 2") != std::string::npos, said[0]);
    const char* parts[] = {"step 1: [test] no losses", "step 1: [test] no gradient", "step 5",
                           "after step 7"};
    const char* part = parts[fault];
    BOOST_CHECK_MESSAGE(said[0].find(part) != std::string::npos, said[0]);
  }
}

// Also beside the computing, where a thread of its own notices it.
BOOST_AUTO_TEST_CASE(who_is_gone_is_told_by_those_that_train_on) {
  const ShardCase c = shard_cases()[0];
  FitOptions options = fit_options(configured_case(c, 100));
  options.shards = 2;
  for (const std::int64_t bucket : {0, 50}) {
    with_processes(2, [&](comm::Group& group) {
      FitOptions own = options;
      own.bucket = bucket;
      own.group = &group;
      const auto density = make_density(configured_case(c, 100), shape_of(c.data));
      Trainer trainer(*density, c.data, own);
      const auto train = [&] {
        trainer.run({.on_step =
                         [&](const StepReport& r) {
                           NF_CHECK(group.first() || r.step < 4, "[test] the end");
                           return true;
                         },
                     .on_epoch = {}});
      };
      if (group.first()) {
        check_error(train, {"rank 1 of 2", "is gone", "step 5"});
      } else {
        check_error(train, {"the end"});
      }
    });
  }
}

BOOST_AUTO_TEST_SUITE_END()
