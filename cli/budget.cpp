#include "cli/budget.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ctime>

#include "cli/trained_model.h"
#include "flows/models/any_order.h"
#include "flows/train/evaluate.h"
#include "flows/train/fit.h"
#include "tensor/memory.h"
#include "tensor/threads.h"

namespace nf::cli {

namespace {

// Seconds of all processors that this process has used.
double processor_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

}  // namespace

void check_rows(const flows::Density& density, std::int64_t rows, const std::string& what,
                const std::string& advice) {
  if (density.device() != Device::CPU) return;
  const std::int64_t draws = density.bound_draws();  // of latents: most layers see each of them
  std::vector<nn::LayerInfo> layers;
  density.inspect({rows * draws, density.dims()}, "", layers);
  check_memory(nn::kept_bytes(layers), what, advice);
}

void check_batch(const flows::Density& density, const flows::Config& config, std::int64_t rows) {
  const std::int64_t batch = std::min(config.training.batch_size, rows);
  const std::int64_t draws = density.bound_draws();
  std::string advice = "give a smaller --batch-size", what = str("a batch of ", batch);
  if (config.text("memory", "") == "tape") advice += " or --memory invertible";
  if (draws > 1) {
    advice += " or --importance";
    what += str(" with ", draws, " draws for each");
  }
  check_rows(density, batch, what, advice);
}

std::shared_ptr<flows::Density> density_to_train(const flows::Config& config,
                                                 const data::Dataset& data, Device device) {
  auto density = make_density(config, data, device);
  if (auto* table = dynamic_cast<flows::AnyOrder*>(density.get())) table->use_orders(1);
  return density;
}

void settle_budget(const SettingOptions& settings, Device device, flows::Config& config) {
  const bool other_end = settings.given("steps") || settings.given("epochs");
  const bool asked = settings.given("budget");
  if (!asked && (other_end || device != Device::CPU)) config.training.budget = 0;
  check_usage(config.training.budget == 0 || !other_end,
              "--budget says how many steps there are: leave out --steps and --epochs");
}

std::int64_t steps_within_budget(const flows::Config& config, const data::Dataset& data,
                                 const flows::FitOptions& options, Device device,
                                 const Common& common) {
  constexpr std::int64_t kWarmUp = 3, kTimed = 47, kValidated = 500;
  const double budget = 60 * config.training.budget;
  set_precision(device, config.training.precision, Need::Must);
  const auto density = density_to_train(config, data, device);
  check_batch(*density, config, data.train.size());
  flows::FitOptions rehearsal = options;
  rehearsal.epochs = kWarmUp + kTimed;  // the end is not reached, for an epoch has a step
  rehearsal.steps = 0;
  flows::Trainer trainer(*density, data, rehearsal);
  double start = 0;
  std::int64_t steps = 0;
  trainer.run({.on_step =
                   [&](const flows::StepReport&) {
                     if (++steps == kWarmUp) start = processor_seconds();
                     return steps < kWarmUp + kTimed;
                   },
               .on_epoch = {}});
  const double step = (processor_seconds() - start) / static_cast<double>(kTimed);

  double validation = 0;
  if (const std::int64_t rows = std::min(kValidated, data.valid.size()); rows > 0) {
    start = processor_seconds();
    flows::score(*density, data.valid.x.narrow(0, 0, rows),
                 {.given = flows::given_rows(data.valid.given, 0, rows)});
    validation = (processor_seconds() - start) * static_cast<double>(data.valid.size()) /
                 static_cast<double>(rows);
  }
  const auto per_epoch = static_cast<double>((data.train.size() + config.training.batch_size - 1) /
                                             config.training.batch_size);
  // Up to the first step the training itself does again what was done here.
  const double used = 2 * processor_seconds() - static_cast<double>(kTimed) * step;
  const double fit = (budget - used) / (step + validation / per_epoch);
  char text[200];
  std::snprintf(
      text, sizeof text,
      "budget of %g core-minutes: %.3g core-seconds a step, %.3g for the validation after "
      "an epoch: %.0f steps, %.1f epochs, about %.0f minutes by %d thread%s",
      config.training.budget, step, validation, std::max(0.0, std::floor(fit)),
      std::max(0.0, fit) / per_epoch, std::ceil(config.training.budget / num_threads()),
      num_threads(), num_threads() == 1 ? "" : "s");
  NF_CHECK(fit >= 1, "[budget] ", text, "; give more");
  common.note(text);
  return static_cast<std::int64_t>(fit);
}

}  // namespace nf::cli
