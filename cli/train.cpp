// flowcli train and flowcli resume.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>

#include "cli/budget.h"
#include "cli/cli.h"
#include "cli/column_table.h"
#include "cli/drift.h"
#include "cli/ensemble.h"
#include "cli/evaluation.h"
#include "cli/given.h"
#include "cli/interrupt.h"
#include "cli/lines.h"
#include "cli/progress.h"
#include "cli/settings.h"
#include "cli/train.h"
#include "cli/trained_model.h"
#include "cli/verdict.h"
#include "data/columns.h"
#include "flows/models/table_training.h"
#include "flows/train/targets.h"
#include "tensor/cpu_kernels.h"
#include "tensor/fault.h"
#include "tensor/memory.h"
#include "tensor/text.h"

namespace nf::cli {

namespace {

// Samples in pictures are drawn from the same latents throughout a run, so that they can be
// compared.
constexpr std::uint64_t kPictureStream = 0x70696373;

std::string printed(const char* format, auto... values) {
  char text[256];
  std::snprintf(text, sizeof text, format, values...);
  return text;
}

class Training {
 public:
  static flows::FitOptions fit_options(const flows::Config& config, bool graph) {
    flows::FitOptions options = flows::fit_options(config);
    options.graph = graph;
    options.keep_best = false;  // they are in a file
    return options;
  }

  /// Whether a training is new, and so may begin with the weights of another.
  enum class Start { New, Resumed };

  /// Everything that can fail because of settings or data happens here, before a folder is made.
  Training(flows::Config config, data::Dataset data, const Common& common, Device device,
           bool graph, Start start)
      : common_(common),
        config_(std::move(config)),
        device_(device),
        precision_(set_precision(device, config_.training.precision,
                                 start == Start::New ? Need::Must : Need::IfPossible)),
        data_(checked(std::move(data), config_)),
        density_(first_density(start)),
        target_(objective_of_target(*density_, config_, data_)),
        trainer_(target_ ? flows::Trainer(*target_, fit_options(config_, /*graph=*/false))
                         : flows::Trainer(*density_, data_, fit_options(config_, graph))) {
    if (config_.training.precision == "bf16" && precision_ != "bf16") {
      common_.note(
          "note: products of this run are bf16, which is not to be had here; it goes on in " +
          precision_);
    }
    if (device != Device::CPU) config_.training.precision = precision_;  // what auto meant
  }

  /// A new training in this folder. The folder is a run once its config.json is there: then there
  /// is something to resume from.
  void begin(const std::string& out, bool overwrite) {
    trainer_.prepare();
    for (const flows::Field& field : config_.fields()) {
      const std::string value = field.text();
      NF_CHECK(is_utf8(value), "[train] ", field.key, " = '", printable(value),
               "' is no UTF-8, which config.json cannot hold; rename it, or give a link to it");
    }
    const KnownData known = known_data(data_, config_);
    std::optional<flows::TableBaselines> baselines;  // of rows
    if (!target_) baselines = fit_baselines(data_, config_, common_);
    run_ = RunFolder::create(out, config_, overwrite);
    save(flows::TrainingStatus::Running);
    if (baselines) save_baselines(run_, config_, known, *baselines);
    pack_data(run_, data_);
    run_.save_config(config_, known);
    tell_columns(data_, config_.data.types, common_,
                 flows::model_by_name(config_.model).of_tables());
    tell_copies(data_, density_->whole_columns(), common_);
  }

  /// Goes on with a locked run, with its data where they are now; `later`: to an end that was asked
  /// for, which must be ahead.
  void resume(const RunFolder& run, bool later) {
    run_ = run;
    trainer_.load(run_.file("state.safetensors"));
    check_usage(!later || trainer_.step() < trainer_.total_steps(),
                "[resume] the run stands at step ", trainer_.step(), ", epoch ", trainer_.epoch(),
                "; give a later end");
    check_best(later);
    KnownData known = run_.known();
    if (config_.data.source != run_.config().data.source)
      known.path = absolute_source(config_.data.source);
    run_.save_config(config_, known);
    // A training that ended in mid-epoch has told that epoch; one that goes on tells it as a whole.
    const std::int64_t epochs = trainer_.epoch() + (trainer_.done() ? 1 : 0);
    tell_damaged(run_,
                 run_.truncate_log(trainer_.step(), epochs, trainer_.best_epoch(),
                                   trainer_.best_valid_nats()),
                 common_);
    log_ = run_.read_log();
    save(flows::TrainingStatus::Running);
  }

  void run() {
    try {
      train();
    } catch (const flows::Diverged& error) {
      mark_diverged(error.step());
      throw;
    }
  }

 private:
  void train() {
    ignore_closed_pipes();
    describe();
    Progress progress(common_.quiet, trainer_.step());
    std::int64_t samples = 0;
    const flows::FitResult result = trainer_.run(
        {.on_step =
             [&](const flows::StepReport& report) {
               // Until there is something to save, a signal may end the program at once.
               if (samples == 0) catch_interrupts();
               samples += report.samples;
               progress.step(report.step, report.total_steps, str("epoch ", report.epoch),
                             printed("%.4g nats  %.0f samples/s", report.nats,
                                     static_cast<double>(samples) / progress.seconds()));
               return !interrupted();
             },
         .on_epoch =
             [&](const flows::EpochReport& report) {
               progress.clear();
               finish_epoch(report);
             }});
    progress.clear();
    if (!trainer_.graph_note().empty()) {
      common_.note("steps were not recorded as a graph: " + trainer_.graph_note());
    }
    // It is finished when all is there that belongs to a finished run.
    save(result.finished ? flows::TrainingStatus::Running : flows::TrainingStatus::Interrupted);
    save_held_out();
    if (!result.finished) {
      common_.note(str("interrupted after step ", result.steps,
                       "; the run is saved. Go on with: "
                       "flowcli resume ",
                       run_.path()));
      report(result);
      throw Interrupted();
    }
    draw("final");
    save(flows::TrainingStatus::Finished);
    describe_end(result);
    if (!target_) return report(result);
    report_target(run_.path(), common_, device_);
  }

  /// Whether the best weights are those that the state tells of: at the end of the training it
  /// would be too late. Where they are lost, the best begins anew; a file that is there is never
  /// written over for being damaged. `later`: the training goes on to another end.
  void check_best(bool later) {
    if (trainer_.best_epoch() == 0) return;
    const std::string best = run_.file("best.safetensors");
    const std::string which = str("epoch ", trainer_.best_epoch());
    if (!std::filesystem::exists(best)) {
      NF_CHECK(!trainer_.done(), "[resume] ", run_.path(), " has lost its best weights (", best,
               ", of ", which, "), and nothing is left to train; put the file back, give a later ",
               "end (--epochs), or use the run with --weights last");
      common_.note(str("note: ", run_.path(), " has lost its best weights (", best, ", of ", which,
                       "): the best begins anew from here"));
      trainer_.forget_best();
      return;
    }
    const std::string way_out =
        "; put the file back, or move it away: then the best begins anew from here";
    try {
      const nn::Metadata said = load_weights(*make_density(config_, data_), best, run_.known());
      const auto step = said.find("step"), nats = said.find("valid_nats");
      if (step == said.end()) return;  // of the first runs of this version
      if (nats != said.end() && std::atoll(step->second.c_str()) > trainer_.step()) {
        // Written after the state; a training to the same end comes there again, and writes it
        // anew.
        if (!later) return;
        common_.note(str("note: ", best, " is later than the state, which a training to another ",
                         "end does not come to again: the best begins anew from here"));
        trainer_.forget_best();
        return;
      }
      NF_CHECK(nats != said.end() &&
                   std::strtod(nats->second.c_str(), nullptr) == trainer_.best_valid_nats(),
               "[resume] ", best, " are not the weights of ", which,
               ", which were the best of this training");
    } catch (const Error& error) {
      fail(error.what() + way_out);
    }
  }

  /// The weights on the disk stay: they are those of the last checkpoint.
  void mark_diverged(std::int64_t step) const {
    try {
      flows::mark_state(run_.file("state.safetensors"), flows::TrainingStatus::Diverged,
                        {{"diverged_step", str(step)}});
    } catch (const Error& error) {
      common_.note(error.what());  // that it diverged is what must be told
    }
  }

  bool overfits() const { return overfitting(log_, data_.dims).has_value(); }

  void describe_end(const flows::FitResult& result) const {
    if (result.stopped_early) {
      common_.note(str("stopped early: ", config_.training.patience,
                       " epochs without a better validation result; to go on: flowcli resume ",
                       run_.path(), " --patience N (0: no end)"));
    }
    common_.note("finished: " + run_.path());
    if (result.best_epoch == 0) {
      common_.note("no validation samples: no weights are the best, the last ones are taken");
      return;
    }
    const double nats = result.best_valid_nats;
    const std::string which = run_.best_name(log_, result.best_epoch, nats);
    common_.note(printed("best: %s, %.*f nats%s%s", which.c_str(), std::abs(nats) < 100 ? 4 : 2,
                         nats, of_draws(density_->bound_draws()).c_str(),
                         overfits() ? "; it overfits since" : ""));
  }

  void describe() const {
    std::int64_t parameters = density_->parameter_count();
    const std::string of = target_ ? str(data_.train.size(), " draws in an epoch")
                                   : str(data_.train.size(), " / ", data_.valid.size(), " / ",
                                         data_.test.size(), " samples");
    common_.note(str(config_.model, ": ", parameters, " parameters; ", data_.name, ": ", of, " of ",
                     data_.dims, " dimensions; ", density_->convention().text));
    for (const std::string& note : data_.notes) common_.note(note);
    if (std::isfinite(data_.entropy)) {
      common_.note(
          printed("entropy of the data: %.4f nats (no model's -nats can be below)", data_.entropy));
    }
    if (data_.images() && !data::has_picture(data_)) {
      common_.note(
          str("images of ", data_.channels, " channels have no picture: samples are not drawn"));
    }
    const std::string kernels = device_ == Device::CPU ? str(" (", cpu_kernels(), ")") : "";
    common_.note(str("on ", name(device_), kernels, ", matrix products in ", precision_));
    common_.note(str("run folder: ", run_.path(),
                     trainer_.step() > 0 ? str(", resuming at step ", trainer_.step()) : ""));
    if (!run_.locked()) {
      common_.note(str("note: the file system of ", run_.path(),
                       " knows no locks; see to it that nobody else trains this run"));
    }
  }

  void finish_epoch(const flows::EpochReport& r) {
    common_.note(epoch_line(r, (trainer_.total_steps() - 1) / steps_per_epoch() + 1));
    if (config_.text("memory", "") == "invertible") tell_drift(*density_, data_.train, common_);
    run_.append_log(r);
    log_.push_back(r);
    if (r.best) {
      save_weights("best.safetensors", {{"epoch", str(r.epoch)},
                                        {"step", str(r.step)},
                                        {"valid_nats", printed("%.17g", r.valid_nats)}});
    }
    if (config_.output.sample_every > 0 && r.epoch % config_.output.sample_every == 0) {
      draw(printed("epoch-%04lld", static_cast<long long>(r.epoch)));
    }
    // Last: a training that was killed before goes back and makes all of the above again. The best
    // weights and the state tell of the same epoch.
    if (r.best || r.epoch % config_.output.save_every == 0) save(flows::TrainingStatus::Running);
  }

  std::int64_t steps_per_epoch() const {
    return (data_.train.size() + config_.training.batch_size - 1) / config_.training.batch_size;
  }

  void save(flows::TrainingStatus status) {
    nn::Metadata said = {{"data_checksum", data_.checksum}};
    if (device_ == Device::CPU) said.merge(cpu_choices());
    trainer_.save(run_.file("state.safetensors"), status, said);
    fault_point("save-between", run_.path());
    save_weights("last.safetensors", {{"step", str(trainer_.step())}});
  }

  void save_weights(const std::string& name, nn::Metadata said) {
    said["data_checksum"] = data_.checksum;
    trainer_.save_weights(run_.file(name), said);
  }

  /// Log densities of the validation rows under the best weights, f64 (N), in nats of log_prob, in
  /// the order of the split: what scores of new rows are compared with. Where nothing was validated
  /// they are of the test rows, under the last weights.
  void save_held_out() {
    const std::string best = run_.file("best.safetensors");
    const bool validated = data_.valid.size() > 0;
    const data::Split& rows = validated ? data_.valid : data_.test;
    if (rows.size() == 0 || (validated && !std::filesystem::exists(best))) return;
    const auto density = make_density(config_, data_, device_);
    load_weights(*density, validated ? best : run_.file("last.safetensors"), run_.known());
    const std::vector<double> scores =
        write_held_out(run_, *density, rows, validated, trainer_.step(), common_);
    if (!flows::model_by_name(config_.model).of_tables()) return;
    const std::string beside = beside_gaussian(run_, *density, rows, scores);
    if (!beside.empty()) common_.note(beside);
  }

  /// Samples and the curve. A picture that cannot be made is no reason to end a training.
  void draw(const std::string& name) {
    try {
      if (data::has_picture(data_)) draw_samples(run_.file("samples/" + name + ".png"));
      atomic_write(run_.file("curve.svg"), run_.curve(log_));
    } catch (const Error& error) {
      common_.note(str("no picture: ", error.what()));
    }
    density_->train();
  }

  void draw_samples(const std::string& path) {
    Generator gen(static_cast<std::uint64_t>(config_.training.seed), kPictureStream);
    density_->eval();
    trainer_.with_evaluated_weights([&] {
      const Tensor samples =
          density_->sample(gen, config_.output.samples, config_.output.temperature,
                           given_of_pictures(data_, config_.output.samples));
      write_samples_png(path, samples, data_, target_ ? Tensor() : data_.valid.x);
    });
  }

  void report(const flows::FitResult& result) const {
    const bool validated = result.best_epoch > 0;
    common_.result({{"run", run_.path()},
                    {"finished", result.finished},
                    {"stopped_early", result.stopped_early},
                    {"epochs", result.epochs},
                    {"steps", result.steps},
                    {"best_epoch", validated ? Json(result.best_epoch) : Json()},
                    {"best_valid_nats", number(result.best_valid_nats)},
                    {"overfits", overfits()}},
                   "");
  }

  /// Parameters, gradients and two moments, before any of them is made; on the CPU they are most of
  /// what a training takes.
  static data::Dataset checked(data::Dataset data, const flows::Config& config) {
    const double count = flows::parameter_count(config, shape_of(data));
    check_memory(4 * sizeof(float) * count, str("training ", digits(count), " parameters"),
                 str("make the model smaller: ", flows::model_by_name(config.model).sizes()));
    return data;
  }

  /// With its weights before the trainer takes it: averages begin where they are.
  std::shared_ptr<flows::Density> first_density(Start start) const {
    auto density = density_to_train(config_, data_, device_);
    check_batch(*density, config_, data_.train.size());
    if (start == Start::New && !config_.output.from.empty()) {
      begin_from(*density, config_, data_, common_);
    }
    return density;
  }

  RunFolder run_;
  std::vector<flows::EpochReport> log_;  // what log.jsonl holds
  const Common& common_;
  flows::Config config_;
  Device device_;
  std::string precision_;
  data::Dataset data_;
  std::shared_ptr<flows::Density> density_;
  std::unique_ptr<flows::ReverseKl> target_;  // where there are no data
  flows::Trainer trainer_;
};

}  // namespace

void train_new(const flows::Config& config, data::Dataset data, const Common& common, Device device,
               const std::string& out, bool overwrite) {
  Training training(config, std::move(data), common, device, /*graph=*/true, Training::Start::New);
  training.begin(out, overwrite);
  training.run();
}

void add_train(CLI::App& app) {
  struct Options {
    Common common;
    SettingOptions settings;
    std::string model, out;
    bool overwrite = false, no_graph = false;
    std::int64_t ensemble = 1;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("train", "Train a model");
  command->add_option("MODEL", options->model, "A model, or a configuration (.json)")
      ->required()
      ->type_name(model_type());
  command->add_option("--out", options->out, "Run folder (default: runs/MODEL-DATA)");
  command->add_flag("--overwrite", options->overwrite, "Replace the run in that folder");
  command->add_flag("--no-graph", options->no_graph, kNoGraphHelp);
  add_ensemble(*command, options->ensemble);
  options->common.add_to(*command);
  options->settings.add_to(*command);
  command->footer(models_help() + kTrainExamples);
  command->callback([options] {
    const Device device = options->common.apply();
    check_usage(!flows::is_target(options->settings.option_text("data")),
                "a target is not data to train on; see flowcli fit-target");
    auto [config, data] = options->settings.configure(options->model, load_data);
    options->settings.check_precision(config, device);
    data::check_varies(data, config.data.types,
                       config.text("preprocess", "standard") == "standard");
    settle_budget(options->settings, device, config);
    if (options->ensemble > 1) {
      const RunFolder run = RunFolder::create(options->out, config, options->overwrite);
      return train_ensemble(run, options->ensemble, config, data, options->common, device);
    }
    if (config.training.budget > 0) {
      config.training.steps = steps_within_budget(
          config, data, Training::fit_options(config, !options->no_graph), device, options->common);
      if (!options->settings.given("patience"))
        flows::be_patient(config.training, data.train.size());
    }
    Training training(config, std::move(data), options->common, device, !options->no_graph,
                      Training::Start::New);
    training.begin(options->out, options->overwrite);
    training.run();
  });
}

void add_resume(CLI::App& app) {
  struct Options {
    Common common;
    std::string run, data;
    std::int64_t epochs = 0, steps = 0, patience = -1;
    bool no_graph = false;
  };
  auto options = std::make_shared<Options>();
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
  options->common.add_to(*command);
  command->footer(
      "Examples:\n  flowcli resume runs/mnist\n  flowcli resume runs/mnist --epochs 200\n"
      "  flowcli resume runs/mnist --data path/to/mnist\n");
  command->callback([options] {
    const Device device = options->common.apply();
    RunFolder run = RunFolder::open(options->run);
    run.lock();
    if (is_ensemble(run)) {
      const bool other = options->epochs > 0 || options->steps > 0 || options->patience >= 0;
      return resume_ensemble(run, other || !options->data.empty(), options->common, device);
    }
    const RunState state = run.state();
    check_data_checksum(run.file("state.safetensors"), state.data_checksum, run.known());
    if (state.status == "diverged") {
      options->common.note(flows::warning_of(run.path(), state) + "; it may diverge there again");
    }
    nlohmann::json end = nlohmann::json::object();
    if (options->epochs > 0) end = {{"epochs", options->epochs}, {"steps", 0}};
    if (options->steps > 0) end["steps"] = options->steps;
    if (options->patience >= 0) end["patience"] = options->patience;
    flows::Config config = flows::from_json(end, run.config(), "[resume] ");
    if (!options->data.empty()) config.data.source = options->data;
    Training training(config, load_run_data(run, options->data), options->common, device,
                      !options->no_graph, Training::Start::Resumed);
    if (device == Device::CPU) note_other_rounding(state, options->common);
    training.resume(run, options->epochs > 0 || options->steps > 0);
    training.run();
  });
}

}  // namespace nf::cli
