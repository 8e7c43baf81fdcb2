// Training by shards and processes: the number of processes changes no bit.
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <map>
#include <mutex>

#include "flows/models/build.h"
#include "flows/runs/known_data.h"
#include "flows/train/fit.h"
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

/// The training of one process of the group; `stop_at`: a step after which it wants to end.
Trained train_shards(const ShardCase& c, std::int64_t steps, std::int64_t shards,
                     comm::Group* group, const std::string& from = "", const std::string& to = "") {
  const Config config = configured_case(c, steps);
  FitOptions options = fit_options(config);
  options.shards = shards;
  options.group = group;
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
  enum Fault { Throws, IsNaN, Drifts };
  for (const Fault fault : {Throws, IsNaN, Drifts}) {
    std::vector<std::string> said(2);
    with_processes(2, [&](comm::Group& group) {
      FitOptions options = fit_options(config);
      options.shards = 2;
      options.group = &group;
      const auto density = make_density(config, shape_of(c.data));
      const bool fails = fault == Throws && group.rank() == 1;
      MaximumLikelihood right(*density, c.data);
      Failing wrong(*density, c.data);
      Trainer trainer(fails ? wrong : right, options);
      try {
        trainer.run({.on_step =
                         [&](const StepReport& r) {
                           if (r.step == 4 && fault != Throws && group.rank() == 1) {
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
    const char* part = fault == Throws ? "step 1" : fault == IsNaN ? "step 5" : "after step 7";
    BOOST_CHECK_MESSAGE(said[0].find(part) != std::string::npos, said[0]);
  }
}

BOOST_AUTO_TEST_SUITE_END()
