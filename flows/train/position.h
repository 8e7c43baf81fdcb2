// Where a training stands: the numbers of a saved state beside its tensors.
#pragma once

#include <cstdint>
#include <limits>
#include <string>

#include "nn/safetensors.h"

namespace nf::flows {

inline constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

/// What a saved state says of its training.
enum class TrainingStatus { Running, Interrupted, Finished, Diverged };
/// "running", "interrupted", "finished", "diverged"
const char* name_of(TrainingStatus status);

struct Position {
  TrainingStatus status = TrainingStatus::Running;
  std::int64_t epoch = 0, batch = 0, step = 0;  ///< what is done; `batch` of the epoch begun
  std::int64_t batch_size = 0, samples = 0;     ///< samples of an epoch, of which the last batch
                                                ///< may have fewer
  bool prepared = false;                        ///< initial values were set from the data
  double epoch_nats = 0;                        ///< sum over the samples of the epoch begun
  std::int64_t epoch_samples = 0;               ///< how many these are
  double seconds = 0;
  std::int64_t best_epoch = 0, since_best = 0;  ///< best_epoch = 0: nothing was validated
  double best_valid_nats = kNaN, last_valid_nats = kNaN;
};

nn::Metadata to_metadata(const Position& position);
/// Throws Error for what is missing, no number, or contradicts another of them. `where` begins the
/// message.
Position position_from(const nn::Metadata& metadata, const std::string& where);

}  // namespace nf::flows
