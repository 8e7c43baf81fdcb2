// A run folder that was trained, opened by whoever only wants its model: flowcli's commands, and
// other programs by c/nf.h. docs/run-folders.md has the files.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "flows/density.h"
#include "flows/models/config.h"
#include "flows/runs/known_data.h"
#include "nn/safetensors.h"

namespace nf::flows {

/// What config.json says.
struct SavedRun {
  std::string path;
  Config config;
  KnownData known;

  std::string file(const std::string& name) const { return path + "/" + name; }
};
bool holds_config(const std::string& path);
/// Whether a folder has something that only a training of ours writes: a state, weights that say of
/// which model they are, or a log.
bool holds_our_files(const std::string& path);
/// Throws Error with a hint for what is no run folder, or of another version.
SavedRun open_run(const std::string& path);

/// How training stands, as state.safetensors says.
struct RunState {
  std::string status;  ///< "running" (or killed), "interrupted", "finished" or "diverged"
  std::int64_t step = 0;
  std::string data_checksum;
  /// All that the state says of its training; of the CPU that trained last the cpu_choices()
  /// (tensor/cpu_kernels.h), which an older state, or one of a GPU, does not tell.
  nn::Metadata metadata;
  std::int64_t best_epoch = 0;  ///< 0: nothing was validated, there are no best weights
  double best_valid_nats = 0;

  bool usable() const { return step > 0; }
};
/// Of a file of a state.
RunState read_state(const std::string& file);
/// Of a run folder. Throws Error without a state: then this is no run.
RunState state_of(const std::string& path);
/// In a sentence's end, what must be known of weights that are no finished training's; else empty.
std::string warning_of(const std::string& path, const RunState& state);

/// Throws Error where a file's checksum of its training data is not the run's.
void check_data_checksum(const std::string& file, const std::string& theirs,
                         const KnownData& known);
/// Reads a run's weights into its model. Throws Error for a file that is damaged, of another model
/// or of other data, Diverged for numbers that are not finite. Returns the file's metadata.
nn::Metadata load_weights(Density& density, const std::string& path, const KnownData& known);

/// Takes a line that the user should know.
using Note = std::function<void(const std::string&)>;
/// The file of a run's weights: "best" (with a note "last" when nothing was validated) or "last".
/// Throws Error for a run that was not trained yet, and for a file that is lost.
std::string weights_file(const SavedRun& run, const RunState& state, const std::string& which,
                         const Note& note);

enum class Need : std::uint8_t { Must, IfPossible };
/// Makes the device's matrix products as `precision` says ("auto": f32 on the CPU, tf32 on CUDA),
/// or as f32 where the device has none such. Returns what they are then: "f32", "tf32" or "bf16".
/// Throws Error for bf16 that must be and cannot.
std::string set_precision(Device device, const std::string& precision, Need need);

/// A run's model with the weights of `which`: "best" (last when there is no best yet) or "last". In
/// evaluation mode.
struct LoadedRun {
  RunState state;
  data::Dataset shape;  ///< of the data, without rows
  std::shared_ptr<Density> density;
};
/// Reads no data, and leaves the precision of products as it is. A note says when training did not
/// finish. Throws Error for what was not trained yet, Diverged for weights that are not finite.
LoadedRun load_run(const SavedRun& run, const std::string& which, Device device, const Note& note);

}  // namespace nf::flows
