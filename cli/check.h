// The examination of a trained model, which `check` prints and `report` shows.
#pragma once

#include <string>
#include <vector>

#include "cli/lines.h"
#include "cli/trained_model.h"
#include "cli/verdict.h"
#include "flows/examine/diagnose.h"
#include "flows/examine/integral.h"

namespace nf::cli {

struct CheckOptions {
  bool own = true;               ///< the rows are of the data that the run was trained with
  bool drawn = false;            ///< the rows are the model's own draws: the map alone is judged
  std::int64_t samples = 10000;  ///< whose latents are looked at
  std::int64_t layer_samples = 200;  ///< that go through the layers one by one
  std::int64_t jacobians = -1;       ///< samples; -1: as many as are quick in so many dimensions
  std::uint64_t seed = 0;            ///< of the noise
};

/// What a run's log says; nothing when it is lost.
using EpochLog = std::optional<std::vector<flows::EpochReport>>;

struct Checkup {
  std::string precision;                       ///< of matrix products in f32
  std::vector<flows::LayerDiagnosis> working;  ///< in f32, on the model's device
  std::vector<flows::LayerDiagnosis> exact;    ///< in f64, with Jacobians
  flows::LatentDiagnosis latents;
  std::optional<flows::LatentDiagnosis> train_latents;  ///< of training rows, for comparison
  std::optional<flows::Integral> integral;              ///< up to 3 dimensions
  std::int64_t jacobians = 0;
  Verdict verdict = Verdict::Ok;
  std::vector<std::string> findings;  ///< sentences, the verdict's reason first
  std::int64_t scored = 0;            ///< rows beside draws, where nothing maps them back
  std::string fault;                  ///< what is wrong with the map; empty: it is sound
  bool nan = false;                   ///< that is, numbers are NaN

  std::string table(std::size_t width = kColumns) const;  ///< of the layers
  std::string latents_text() const;
  Json json() const;
};

/// Of a density without latents, or whose latents do not say all of a row: whether its draws have
/// the log densities that rows have. Else
/// of the first rows of x (N, D), beside those of the training rows `train` where they are known
/// and others; the model is unchanged. `log`: RunFolder::log_of.
Checkup examine(const TrainedModel& model, const EpochLog& log, const data::Split& rows,
                const data::Split& train, const CheckOptions& options);

/// What to compare with the rows of `split` of the run's own data: its training rows. Undefined
/// where they are the same, and for other data, which tell nothing of how the training went.
data::Split training_rows(const data::Dataset& data, bool own, const std::string& split);

}  // namespace nf::cli
