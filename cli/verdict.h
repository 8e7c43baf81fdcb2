// What is to be thought of a run, in one word and in sentences: `check` and `report` say it.
#pragma once

#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "flows/models/config.h"
#include "flows/train/fit.h"

namespace nf::cli {

enum class Verdict { Ok, Underfit, Overfit, Unsound, Untrained, Diverged };
/// "ok", "underfit", "overfit", "unsound", "untrained" or "diverged".
const char* name_of(Verdict verdict);

/// The epochs that validation judges: those from FitOptions::best_from on, or the last one alone
/// where none came so far.
std::vector<flows::EpochReport> judged(std::vector<flows::EpochReport> log,
                                       const flows::Config& config);

/// What it is judged by.
struct Evidence {
  std::string status = {};                   ///< of the run's state
  std::int64_t step = 0;                     ///< updates done
  std::int64_t dims = 1;                     ///< D
  std::vector<flows::EpochReport> log = {};  ///< judged()
  bool own = true;                           ///< latents are of the run's own data
  bool sound = true;                         ///< the map inverts, its log-determinants are right
  double ks_heldout = NAN, ks_train = NAN;   ///< worst Kolmogorov-Smirnov distance of a dimension,
                                             ///< NaN: not known
  double chance_heldout = 0, chance_train = 0;    ///< what they are by chance
  bool wide_heldout = false, wide_train = false;  ///< latents are much too wide for the base
};

/// Validation has passed its best for good; nothing when it has not.
///
/// That is, the median of the epochs since (of the last five at most) is below the best by more
/// than a hundredth of a nat for each dimension and by more than four times what it usually rises
/// by between two epochs since then; after ten epochs without a better one, a tenth of a nat for
/// each dimension is enough, however much it jumps. Meanwhile the training rows became ever more
/// likely.
struct Overfitting {
  std::int64_t best_epoch = 0, last_epoch = 0;
  double best_nats = 0, last_nats = 0;  ///< of validation
};
std::optional<Overfitting> overfitting(const std::vector<flows::EpochReport>& log,
                                       std::int64_t dims);

struct Judgement {
  Verdict verdict = Verdict::Ok;
  std::string reason;  ///< a sentence, with what to do
};
Judgement judge(const Evidence& evidence);

/// A KS distance that is plain to see in a histogram, and is not chance; of so few rows that any
/// distance may be chance, latents that are much too wide.
bool far_from_base(double ks, double chance, bool wide);

}  // namespace nf::cli
