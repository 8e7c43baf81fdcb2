// A run folder: what training leaves on disk, and how the other commands find it again. It is
// complete: it works on another machine and without its data.
//
//   config.json          every setting, and what was known of the data; written last
//   log.jsonl, log.csv   one line per epoch, as JSON and as a table
//   best.safetensors     weights with the best validation result
//   last.safetensors     the newest weights
//   state.safetensors    everything that resume needs, in one file; how training stands
//   heldout.safetensors  log densities of the validation rows
//   baselines.safetensors  what is simpler than any model, fitted to the training rows
//   samples/             pictures; curve.svg: nats over epochs
//   .lock                held by the process that trains
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/cli.h"
#include "flows/models/config.h"
#include "flows/runs/saved_run.h"
#include "flows/train/fit.h"
#include "tensor/files.h"

namespace nf::cli {

// A run as flows/runs has it, of which the commands speak all the time.
using flows::absolute_source;
using flows::built_in;
using flows::checksum_of;
using flows::KnownData;
using flows::Need;
using flows::RunState;
using flows::set_precision;
using flows::shape_of;
using flows::source_exists;
using flows::source_place;

/// The pictures of a folder in one file, where a run keeps them.
inline constexpr const char* kPackedData = "data.npz";

class RunFolder {
 public:
  /// A folder for a new run, made, locked and empty of what is ours; without a config.json it is
  /// no run yet. `path` empty: runs/<model>-<data>, numbered when taken. Throws when it holds a run
  /// that was trained, unless `overwrite`; when it holds something else; while it is trained.
  static RunFolder create(const std::string& path, const flows::Config& config, bool overwrite);
  /// Throws what create() would throw of what is there.
  static void check_free(const std::string& path, bool overwrite);
  /// An existing one; throws with a hint when it is none.
  static RunFolder open(const std::string& path);

  const std::string& path() const { return path_; }
  std::string file(const std::string& name) const { return path_ + "/" + name; }
  const flows::SavedRun& saved() const { return *saved_; }
  const flows::Config& config() const { return saved_->config; }
  const KnownData& known() const { return saved_->known; }
  void save_config(const flows::Config& config, const KnownData& known);

  /// Keeps other writers out as long as a copy of this object lives. Throws Error while somebody
  /// else does.
  void lock();
  /// Whether others are kept out: a file system may know no locks.
  bool locked() const { return lock_ && lock_->held(); }
  /// Throws Error without a state: then this is no run.
  RunState state() const { return flows::state_of(path_); }

  void append_log(const flows::EpochReport& report) const;
  /// The reports so far; damaged lines are left out.
  std::vector<flows::EpochReport> read_log() const;
  /// The reports of the training that `state` is of; nothing where its best epoch is not among
  /// them, because the log was lost or is another's.
  std::optional<std::vector<flows::EpochReport>> log_of(const RunState& state) const;
  /// Drops what a resumed run will write again: reports after `step`, and of epochs after the first
  /// `epochs`, of which one ended in its middle. That of the best weights stays all the same, for
  /// they are kept. Damaged lines go, too: returns their numbers, from 1.
  std::vector<std::int64_t> truncate_log(std::int64_t step, std::int64_t epochs,
                                         std::int64_t best_epoch, double best_nats) const;
  /// Epochs done at a report: 1.5 in the middle of the second.
  double epochs_of(const flows::EpochReport& report) const;
  /// "epoch 2", or "epoch 2 as far as step 30" where that epoch was told before its end.
  std::string best_name(const std::vector<flows::EpochReport>& log, std::int64_t best_epoch,
                        double best_nats) const;
  /// Nats over epochs, as SVG.
  std::string curve(const std::vector<flows::EpochReport>& log) const;

 private:
  std::string path_;
  std::optional<flows::SavedRun> saved_;  // there once it is opened, or its config.json written
  std::optional<FileLock> lock_;
};

/// A note of lines of the run's log.jsonl that are damaged and left out, where there are any.
void tell_damaged(const RunFolder& run, const std::vector<std::int64_t>& lines,
                  const Common& common);

/// "nice on mnist": over pictures, which travel further than the folders that they were made in.
std::string title_of(const flows::Config& config);

}  // namespace nf::cli
