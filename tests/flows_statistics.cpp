// Batch norm in training: statistics of the training rows before every evaluation, saved with the
// weights, and the same after a resumption.
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "flows/examine/check.h"
#include "flows/layers/batch_norm.h"
#include "flows/models/build.h"
#include "flows/train/fit.h"
#include "nn/layers/norm.h"
#include "tests/data_util.h"
#include "tests/datasets.h"
#include "tests/devices.h"
#include "tests/trainings.h"

BOOST_AUTO_TEST_SUITE(flows_statistics)

using namespace nf;
using namespace nf::flows;
using namespace nf::test;

namespace {

/// Images of 4 x 4 pixels; as real numbers, which have no noise.
data::Dataset small_images(bool discrete) {
  data::Dataset data = dependent_bytes(50, 20, 4);
  if (discrete) return data;
  data.discrete = false;
  data.train.x = data.train.x.to(DType::F32) / 64 - 2.0;
  data.valid.x = data.valid.x.to(DType::F32) / 64 - 2.0;
  return data;
}

DataShape shape_of(const data::Dataset& data) {
  return {.dims = data.dims,
          .discrete = data.discrete,
          .unit_scale = !data.discrete,
          .channels = data.channels,
          .height = data.height,
          .width = data.width};
}

Config with_batch_norm(const data::Dataset& data, const std::vector<std::string>& settings) {
  Config config = preset("realnvp", shape_of(data));
  for (const char* small : {"norm=batch", "width=4", "blocks=1", "batch_size=8", "epochs=3"}) {
    set(config, small);
  }
  for (const std::string& setting : settings) set(config, setting);
  return config;
}

/// The layer's own, not copies.
std::map<std::string, Tensor> buffers_of(BatchNorm& layer) {
  const nn::StateDict all = layer.state();
  return {all.begin(), all.end()};
}

std::map<std::string, Tensor> copy_of_state(Density& density) {
  std::map<std::string, Tensor> copy;
  for (const auto& [name, tensor] : density.state()) copy.emplace(name, tensor.clone());
  return copy;
}

void check_same(Density& a, Density& b) {
  const auto expected = copy_of_state(b);
  for (const auto& [name, tensor] : a.state()) CHECK_SAME(tensor, expected.at(name), 0, name);
}

}  // namespace

// All 50 rows pass as one batch; so evaluation says of them what train mode says of them together.
BOOST_AUTO_TEST_CASE(evaluation_has_the_statistics_of_the_training_rows) {
  const data::Dataset data = small_images(false);
  for (const std::string& ema : {std::string("ema=0"), std::string("ema=0.9")}) {
    const Config config = with_batch_norm(data, {ema});
    const auto density = make_flow(config, shape_of(data));
    const FitResult result = fit(*density, data, fit_options(config));
    BOOST_CHECK_EQUAL(result.best_valid_nats, evaluate(*density, data.valid.x).nats);
    const double evaluated = evaluate(*density, data.train.x).nats;
    density->train();
    const NoGrad no_grad;
    const double together = mean(density->log_prob(data.train.x)).value().item();
    BOOST_CHECK_CLOSE_FRACTION(evaluated, together, 1e-4);
    // Of one half of the rows they are others.
    const double half = mean(density->log_prob(data.train.x.narrow(0, 0, 25))).value().item();
    BOOST_CHECK_GT(std::abs(half - together), 1e-2);
  }
}

// 499 rows are two batches of 249, not one of 250: what does not fill one more is not lost.
BOOST_AUTO_TEST_CASE(statistics_are_of_all_rows_but_a_few) {
  constexpr std::int64_t kRows = 499;
  data::Dataset data;
  data.dims = 2;
  Generator gen(1);
  data.train.x = normal(gen, {kRows, 2}, DType::F64);
  auto flow = std::make_shared<Compose>();
  flow->add("norm", std::make_shared<BatchNorm>(Partition::halves(2, false)));
  FlowDensity density(flow, base_by_name("gaussian"), 2);
  density.to(DType::F64);
  density.train();
  MaximumLikelihood(density, data, {}).measure_statistics();
  const double whole = mean(data.train.x.narrow(1, 1, 1)).item();  // the half that changes
  double measured = 0;
  for (const auto& [name, tensor] : density.state()) {
    if (name.ends_with("running_mean")) measured = max(tensor).item();
  }
  // One row more or less moves the mean by 1/499 of its distance.
  BOOST_CHECK_SMALL(measured - whole, 4.0 / kRows);
}

BOOST_AUTO_TEST_CASE(a_resumed_training_has_the_same_statistics) {
  const TempFolder folder;
  const std::string path = folder.path("state");
  const data::Dataset data = small_images(true);
  for (const std::vector<std::string>& settings :
       {std::vector<std::string>{}, {"ema=0.8", "masked=true"}, {"ema=0.8", "norm_lag=0.7"}}) {
    const Config config = with_batch_norm(data, settings);
    const auto expected = make_flow(config, shape_of(data));
    Trainer whole(*expected, data, fit_options(config));
    whole.run();
    for (const std::int64_t stop : {1, 7, 10}) {  // an epoch has 7 steps
      const auto density = make_flow(config, shape_of(data));
      Trainer trainer(*density, data, fit_options(config));
      trainer.run({.on_step = [&](const StepReport& r) { return r.step < stop; }, .on_epoch = {}});
      trainer.save(path);
      Config other_weights = config;
      other_weights.training.seed = 4;
      const auto again = make_flow(other_weights, shape_of(data));
      Trainer resumed(*again, data, fit_options(config));
      resumed.load(path);
      check_same(*again, *density);
      resumed.run();
      check_same(*again, *expected);
      BOOST_CHECK_EQUAL(resumed.best_valid_nats(), whole.best_valid_nats());
      resumed.use_best_weights();
      BOOST_CHECK_EQUAL(evaluate(*again, data.valid.x).nats, whole.best_valid_nats());
    }
  }
}

// check_bijection catches a layer of a batch that is not the map of its statistics.
BOOST_AUTO_TEST_CASE(wrong_statistics_are_caught) {
  struct Wrong : BatchNorm {
    explicit Wrong(int what) : BatchNorm(Partition::halves(4)), what(what) {}
    Mapped forward(const Var& x, const Var& context) override {
      const auto [z, log_det] = BatchNorm::forward(x, context);
      if (what == 1 && training()) return {z, log_det * 0.5};
      if (what == 2 && training()) return {z.detach(), log_det};
      return {z, log_det};
    }
    int what;
  };
  for (const int what : {0, 1, 2}) {
    const BijectionCase test{.name = "wrong",
                             .make = [=](Generator&) { return std::make_shared<Wrong>(what); },
                             .input =
                                 [](Generator& gen) {
                                   return normal(gen, {6, 4}, DType::F64);
                                 },
                             .of_batch = true};
    BOOST_CHECK_EQUAL(check_bijection(test).empty(), what == 0);
  }
  BijectionCase unsaid{.name = "unsaid",
                       .make = [](Generator&) { return std::make_shared<Wrong>(0); },
                       .input =
                           [](Generator& gen) {
                             return normal(gen, {6, 4}, DType::F64);
                           }};
  BOOST_CHECK(!check_bijection(unsaid).empty());
}

// Where the averages have arrived at what a batch has, train mode with a lag is the map of
// evaluation mode with the statistics of that batch, and so is all that check_bijection says of
// train mode.
BOOST_AUTO_TEST_CASE(a_lag_keeps_what_a_batch_norm_promises) {
  struct Arrived : BatchNorm {
    Arrived(Partition changed, double lag) : BatchNorm(std::move(changed), lag) {}
    Mapped forward(const Var& x, const Var& context) override {
      const Mapped out = BatchNorm::forward(x, context);
      if (nn::StatisticsPass::current()) {
        auto buffers = buffers_of(*this);
        for (const char* what : {"mean", "var"}) {
          buffers.at(str("lagged_", what)).copy_(buffers.at(str("running_", what)));
        }
      }
      return out;
    }
  };
  for (const bool masked : {false, true}) {
    const Partition board = Partition::checkerboard(2, false, masked);
    const BijectionCase test{
        .name = board.text() + ", lagging",
        .make = [=](Generator&) { return std::make_shared<Arrived>(board, 0.6); },
        .input =
            [](Generator& gen) {
              return normal(gen, {3, 4, 2, 2}, DType::F64);
            },
        .of_batch = true};
    for (const std::string& failure : check_bijection(test)) BOOST_ERROR(failure);
  }
}

// Before they have: value and log_det are those of evaluation mode with the moved averages.
BOOST_AUTO_TEST_CASE(a_lagging_map_is_that_of_its_averages) {
  BatchNorm layer(Partition::halves(4), 0.6);
  layer.to(DType::F64);
  Generator gen(3);
  const Tensor x = normal(gen, {5, 4}, DType::F64) * 2.0 + 1.0;
  Mapped trained;
  {
    Tape tape;
    trained = layer.forward(x);
  }
  auto buffers = buffers_of(layer);
  buffers.at("running_mean").copy_(buffers.at("lagged_mean"));
  buffers.at("running_var").copy_(buffers.at("lagged_var"));
  layer.eval();
  const Mapped expected = layer.forward(x);
  CHECK_SAME(trained.value.value(), expected.value.value(), 1e-12, "value");
  CHECK_SAME(trained.log_det.value(), expected.log_det.value(), 1e-12, "log_det");
  BOOST_CHECK_GT(max(abs(buffers.at("lagged_mean"))).item(), 0.1);
}

// What is recovered on the way back is normalised by what the batch was normalised by.
BOOST_AUTO_TEST_CASE(batch_norm_in_memory_that_does_not_grow) {
  const data::Dataset data = small_images(false);
  for (const char* lag : {"norm_lag=0", "norm_lag=0.7"}) {
    std::vector<Tensor> gradients[2];
    std::map<std::string, Tensor> states[2];
    for (const bool invertible : {false, true}) {
      const Config config =
          with_batch_norm(data, {lag, invertible ? "memory=invertible" : "memory=tape"});
      const auto density = make_flow(config, shape_of(data));
      density->to(DType::F64);
      for (const std::int64_t first : {0, 25}) {
        density->clear_grads();
        Tape tape;
        tape.backward(mean(density->log_prob(data.train.x.narrow(0, first, 25).to(DType::F64))));
      }
      density->for_each_parameter([&](const std::string&, Var& p) {
        gradients[invertible].push_back(p.grad().defined() ? p.grad() : p.value().zeros_like());
      });
      states[invertible] = copy_of_state(*density);
    }
    for (std::size_t i = 0; i < gradients[0].size(); ++i) {
      CHECK_SAME(gradients[1][i], gradients[0][i], 1e-6 * (1 + max(abs(gradients[0][i])).item()),
                 lag, ", gradient ", i);
    }
    for (const auto& [name, tensor] : states[0]) {
      CHECK_SAME(states[1].at(name), tensor, 1e-8, lag, ", ", name);
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()
