// flowcli train and flowcli resume.
#include <bit>
#include <memory>
#include <optional>

#include "cli/budget.h"
#include "cli/cli.h"
#include "cli/column_table.h"
#include "cli/ensemble.h"
#include "cli/given.h"
#include "cli/processes.h"
#include "cli/settings.h"
#include "cli/train.h"
#include "cli/trained_model.h"
#include "comm/shards.h"
#include "data/columns.h"
#include "flows/models/table_training.h"
#include "flows/train/targets.h"

namespace nf::cli {

void settle_shards(flows::Config& config) {
  const int size = processes().size();
  std::int64_t& shards = config.training.shards;
  if (shards == 0) shards = comm::default_shards(size);
  check_usage(std::has_single_bit(static_cast<std::uint64_t>(shards)), "shards = ", shards,
              " is no power of two: 1, 2, 4, ...");
  check_usage(shards >= size, "shards = ", shards, " are too few for ", size,
              " processes; start at most ", shards);
  check_usage(shards > 1 || config.training.exchange == "f32",
              "exchange = ", config.training.exchange,
              " changes nothing: one shard has nothing to exchange; give ",
              "--shards or --processes above 1");
}

namespace {

struct TrainOptions {
  Common common;
  ProcessOptions processes;
  SettingOptions settings;
  std::string model, out;
  bool overwrite = false, no_graph = false;
  std::int64_t ensemble = 1;
};

/// What is to be trained on what.
SettingOptions::Job job_of(const TrainOptions& options, Device device) {
  fault_point_of_rank("data");
  const int size = processes().size();
  check_usage(!flows::is_target(options.settings.option_text("data")),
              "a target is not data to train on; see flowcli fit-target");
  SettingOptions::Job job = options.settings.configure(options.model, load_data);
  flows::Config& config = job.config;
  options.settings.check_precision(config, device);
  data::check_varies(job.data, config.data.types,
                     config.text("preprocess", "standard") == "standard");
  settle_budget(options.settings, device, config);
  check_usage(size == 1 || (options.ensemble == 1 && config.training.budget == 0),
              "--ensemble and --budget are for one process, and there are ", size);
  settle_shards(config);
  if (options.ensemble == 1 && config.training.budget > 0) {
    RunFolder::check_free(options.out, options.overwrite);  // before steps are timed
    config.training.steps = steps_within_budget(
        config, job.data, training_options(config, !options.no_graph), device, options.common);
    if (!options.settings.given("patience")) {
      flows::be_patient(config.training, job.data.train.size());
    }
  }
  return job;
}

}  // namespace

void add_train(CLI::App& app) {
  auto options = std::make_shared<TrainOptions>();
  CLI::App* command = app.add_subcommand("train", "Train a model");
  command->add_option("MODEL", options->model, "A model, or a configuration (.json)")
      ->required()
      ->type_name(model_type());
  command->add_option("--out", options->out, "Run folder (default: runs/MODEL-DATA)");
  command->add_flag("--overwrite", options->overwrite, "Replace the run in that folder");
  command->add_flag("--no-graph", options->no_graph, kNoGraphHelp);
  add_ensemble(*command, options->ensemble);
  options->processes.add_to(*command);
  options->common.add_to(*command);
  options->settings.add_to(*command);
  command->footer(models_help() + kTrainExamples);
  command->callback([options] {
    options->processes.start();
    const Device device = options->common.apply();
    std::optional<SettingOptions::Job> job;
    in_all([&] { job = job_of(*options, device); });
    auto& [config, data] = *job;
    if (options->ensemble > 1) {
      const RunFolder run = RunFolder::create(options->out, config, options->overwrite);
      return train_ensemble(run, options->ensemble, config, data, options->common, device);
    }
    train_new(config, std::move(data), options->common, device, options->out, options->overwrite,
              !options->no_graph);
  });
}

namespace {

struct ResumeOptions {
  Common common;
  ProcessOptions processes;
  std::string run, data;
  std::int64_t epochs = 0, steps = 0, patience = -1;
  bool no_graph = false;
};

SettingOptions::Job job_of_run(const ResumeOptions& options, const RunFolder& run, Device device) {
  const RunState state = run.state();
  check_data_checksum(run.file("state.safetensors"), state.data_checksum, run.known());
  if (state.status == "diverged") {
    options.common.note(flows::warning_of(run.path(), state) + "; it may diverge there again");
  }
  if (device == Device::CPU) note_other_rounding(state, options.common);
  nlohmann::json end = nlohmann::json::object();
  if (options.epochs > 0) end = {{"epochs", options.epochs}, {"steps", 0}};
  if (options.steps > 0) end["steps"] = options.steps;
  if (options.patience >= 0) end["patience"] = options.patience;
  flows::Config config = flows::from_json(end, run.config(), "[resume] ");
  if (!options.data.empty()) config.data.source = options.data;
  settle_shards(config);
  return {config, load_run_data(run, options.data)};
}

}  // namespace

void add_resume(CLI::App& app) {
  auto options = std::make_shared<ResumeOptions>();
  CLI::App* command = app.add_subcommand("resume", "Continue a run where it stopped, bit for bit");
  command->add_option("RUN", options->run, "Run folder")->required();
  command->add_option("--data", options->data, "Where the run's data are now")
      ->type_name(source_type());
  command->add_option("--epochs", options->epochs, "New end of training, in epochs")
      ->check(whole(1, 1'000'000'000));
  command->add_option("--steps", options->steps, "New end of training, in steps")
      ->check(whole(1, 1'000'000'000'000'000));
  command
      ->add_option("--patience", options->patience,
                   "New number of epochs to wait for a better validation result (0: no end)")
      ->check(whole(0, 1'000'000'000));
  command->add_flag("--no-graph", options->no_graph, kNoGraphHelp);
  options->processes.add_to(*command);
  options->common.add_to(*command);
  command->footer(
      "Examples:\n  flowcli resume runs/mnist\n  flowcli resume runs/mnist --epochs 200\n"
      "  flowcli resume runs/mnist --data path/to/mnist\n");
  command->callback([options] {
    options->processes.start();
    const Device device = options->common.apply();
    const bool later = options->epochs > 0 || options->steps > 0;
    RunFolder run;
    in_all([&] {
      run = RunFolder::open(options->run);
      if (processes().first()) run.lock();
    });
    if (is_ensemble(run)) {
      check_usage(processes().size() == 1, "an ensemble is trained by one process");
      const bool other = later || options->patience >= 0;
      return resume_ensemble(run, other || !options->data.empty(), options->common, device);
    }
    std::optional<SettingOptions::Job> job;
    in_all([&] { job = job_of_run(*options, run, device); });
    train_on(run, job->config, std::move(job->data), options->common, device, later,
             !options->no_graph);
  });
}

}  // namespace nf::cli
