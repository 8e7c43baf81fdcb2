// A training from its settings to its run folder; the commands are in train_commands.cpp.
#include <unistd.h>

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
#include "cli/processes.h"
#include "cli/progress.h"
#include "cli/settings.h"
#include "cli/train.h"
#include "cli/trained_model.h"
#include "cli/verdict.h"
#include "data/columns.h"
#include "flows/models/table_training.h"
#include "flows/train/targets.h"
#include "tensor/clock.h"
#include "tensor/cpu_kernels.h"
#include "tensor/fault.h"
#include "tensor/memory.h"
#include "tensor/text.h"
#include "tensor/threads.h"

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
    options.group = &processes();
    options.communicator = communicator();
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
    check_texts();
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
    check_same_data();
    in_all([&] { trainer_.prepare(); });
    on_first([&] { make_folder(out, overwrite); });
    tell_run_folder(run_.path());
  }

  /// Goes on with a locked run, with its data where they are now; `later`: to an end that was asked
  /// for, which must be ahead.
  void resume(const RunFolder& run, bool later) {
    run_ = run;
    in_all([&] { load(later); });
    check_same_data();
    on_first([&] { open_folder(); });
    tell_run_folder(run_.path());
  }

  void run() {
    try {
      train();
    } catch (const flows::Diverged& error) {
      if (processes().first()) mark_diverged(error.step());
      throw;
    }
  }

 private:
  void check_texts() const {
    for (const flows::Field& field : config_.fields()) {
      const std::string value = field.text();
      NF_CHECK(is_utf8(value), "[train] ", field.key, " = '", printable(value),
               "' is no UTF-8, which config.json cannot hold; rename it, or give a link to it");
    }
  }

  void make_folder(const std::string& out, bool overwrite) {
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

  void load(bool later) {
    trainer_.load(run_.file("state.safetensors"));
    check_usage(!later || trainer_.step() < trainer_.total_steps(),
                "[resume] the run stands at step ", trainer_.step(), ", epoch ", trainer_.epoch(),
                "; give a later end");
    check_best(later);
  }

  /// What a run that was resumed before would write again goes.
  void open_folder() {
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

  /// The same rows in every process, as far as a checksum tells, and the same settings.
  void check_same_data() const {
    check_same_in_all(data_.checksum, "reads other data than rank 0");
    check_same_in_all(flows::to_json(config_).dump(), "has other settings than rank 0");
  }

  void train() {
    ignore_closed_pipes();
    describe();
    Progress progress(common_.silent(), trainer_.step());
    std::int64_t samples = 0;
    saved_ = seconds_now();
    const flows::FitResult result = trainer_.run(
        {.on_step =
             [&](const flows::StepReport& report) {
               // Until there is something to save, a signal may end the program at once.
               if (samples == 0) catch_interrupts();
               samples += report.samples;
               fault_point_of_rank("step");
               progress.step(report.step, report.total_steps, str("epoch ", report.epoch),
                             printed("%.4g nats  %.0f samples/s", report.nats,
                                     static_cast<double>(samples) / progress.seconds()));
               return !interrupted();
             },
         .on_epoch =
             [&](const flows::EpochReport& report) {
               progress.clear();
               on_first([&] { finish_epoch(report); });
             },
         .wants_checkpoint = [&] { return checkpoint_due(); },
         .on_checkpoint = [&] { on_first([&] { save(flows::TrainingStatus::Running); }); }});
    progress.clear();
    on_first([&] { end(result); });
    if (!result.finished) throw Interrupted();
  }

  void end(const flows::FitResult& result) {
    if (!trainer_.graph_note().empty()) {
      common_.note("steps were not recorded as a graph: " + trainer_.graph_note());
    }
    parameters_ = trainer_.parameters_checksum();
    // It is finished when all is there that belongs to a finished run.
    save(result.finished ? flows::TrainingStatus::Running : flows::TrainingStatus::Interrupted);
    save_held_out();
    if (!result.finished) {
      common_.note(str("interrupted after step ", result.steps,
                       "; the run is saved. Go on with: "
                       "flowcli resume ",
                       run_.path()));
      return report(result);
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

  std::int64_t best_from() const { return fit_options(config_, false).best_from; }
  bool takes_last() const { return !flows::why_last_weights(config_).empty(); }
  bool overfits() const { return overfitting(judged(log_, config_), data_.dims).has_value(); }

  void describe_end(const flows::FitResult& result) const {
    if (result.stopped_early) {
      common_.note(str("stopped early: ", config_.training.patience,
                       " epochs without a better validation result; to go on: flowcli resume ",
                       run_.path(), " --patience N (0: no end)"));
    }
    common_.note("finished: " + run_.path());
    common_.note("parameters: " + parameters_);
    if (best_from() > result.steps && !takes_last()) {
      common_.note("note: it ended within the warm-up of the KL term: the last weights are taken");
    }
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
    if (best_from() > 0) {
      common_.note(takes_last() ? flows::why_last_weights(config_)
                                : str("the best weights are looked for from step ", best_from(),
                                      " on, behind the warm-up of the KL term"));
    }
    const std::string kernels = device_ == Device::CPU ? str(" (", cpu_kernels(), ")") : "";
    common_.note(str("on ", name(device_), kernels, ", matrix products in ", precision_));
    if (processes().size() > 1) {
      common_.note(str(processes().size(), " processes of ", num_threads(), " threads, batches in ",
                       config_.training.shards, " shards",
                       config_.training.exchange == "bf16" ? ", gradients in bf16" : ""));
      if (const std::string how = how_gradients_are_added(); !how.empty()) common_.note(how);
    }
    common_.note(str("run folder: ", run_.path(),
                     trainer_.step() > 0 ? str(", resuming at step ", trainer_.step()) : ""));
    if (!run_.locked()) {
      common_.note(str("note: the file system of ", run_.path(),
                       " knows no locks; see to it that nobody else trains this run"));
    }
  }

  void finish_epoch(const flows::EpochReport& r) {
    const std::int64_t epochs = (trainer_.total_steps() - 1) / steps_per_epoch() + 1;
    common_.note(epoch_line(r, epochs, isatty(STDERR_FILENO) ? kColumns : kAnyWidth));
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

  /// An epoch of a large model takes hours; what a cut of the power takes is less.
  bool checkpoint_due() const {
    const double minutes = config_.output.save_minutes;
    return processes().first() && minutes > 0 && seconds_now() - saved_ > 60 * minutes;
  }

  void save(flows::TrainingStatus status) {
    nn::Metadata said = {{"data_checksum", data_.checksum}};
    if (device_ == Device::CPU) said.merge(cpu_choices());
    trainer_.save(run_.file("state.safetensors"), status, said);
    fault_point("save-between", run_.path());
    save_weights("last.safetensors", {{"step", str(trainer_.step())}});
    saved_ = seconds_now();
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
    const bool of_tables = flows::model_by_name(config_.model).of_tables();
    write_held_out(run_, *density, rows, validated, trainer_.step(), of_tables, common_);
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
                    {"parameters", parameters_},
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
  std::string parameters_;  // their checksum at the end
  double saved_ = 0;        // when
};

}  // namespace

flows::FitOptions training_options(const flows::Config& config, bool graph) {
  return Training::fit_options(config, graph);
}

namespace {

/// What cannot be trained in one process is trained in none.
std::unique_ptr<Training> training_of(const flows::Config& config, data::Dataset data,
                                      const Common& common, Device device, bool graph,
                                      Training::Start start) {
  std::unique_ptr<Training> training;
  join_devices_of_processes(device, flows::fit_options(config).wire);
  in_all([&] {
    training = std::make_unique<Training>(config, std::move(data), common, device, graph, start);
  });
  return training;
}

}  // namespace

void train_new(const flows::Config& config, data::Dataset data, const Common& common, Device device,
               const std::string& out, bool overwrite, bool graph) {
  const auto training =
      training_of(config, std::move(data), common, device, graph, Training::Start::New);
  training->begin(out, overwrite);
  training->run();
}

void train_on(const RunFolder& run, const flows::Config& config, data::Dataset data,
              const Common& common, Device device, bool later, bool graph) {
  const auto training =
      training_of(config, std::move(data), common, device, graph, Training::Start::Resumed);
  training->resume(run, later);
  training->run();
}

}  // namespace nf::cli
