// What rows reach under a trained model, beside the simplest densities on the very same rows:
// `eval`, `compare` and `report` tell it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/choice.h"
#include "flows/examine/table_baselines.h"
#include "flows/train/fit.h"

namespace nf::cli {

/// Fitted to the training rows; nothing, with a note, where none has all its numbers.
std::optional<flows::TableBaselines> fit_baselines(const data::Dataset& data,
                                                   const flows::Config& config,
                                                   const Common& common);
/// Writes them into a run, as baselines.safetensors; the run needs no config.json yet.
void save_baselines(const RunFolder& run, const flows::Config& config, const KnownData& known,
                    const flows::TableBaselines& baselines);

/// What one of the simplest densities reaches, in nats of the model's convention, and by how much
/// the model is better on the same rows. NaN: not known.
struct Beside {
  double nats = flows::kNaN;
  flows::MeanAndError difference = {};
};
struct Comparison {
  Beside gaussian, independent;
  /// A line for each that is known, and why one that should be known is not.
  std::vector<std::string> lines = {};

  void add_to(Json& json) const;
};
/// On the rows x, which have these scores of the model, with what is given. Where the run has no
/// baselines that can be used: nothing, and a note.
Comparison compare_with_baselines(const TrainedModel& model, const Tensor& x, const Tensor& given,
                                  const std::vector<double>& scores);

/// The keys that `eval` tells of any rows, but for those of the baselines.
Json json_of(const TrainedModel& model, const flows::Evaluation& e, const std::string& data,
             const std::string& split, std::optional<std::int64_t> trained_on);

/// What a training keeps of rows that it did not train on (heldout.safetensors): their log_prob
/// under the best weights, or under the last where nothing was validated.
struct HeldOut {
  std::string split;  ///< "valid", or "test" without validation rows
  std::vector<double> scores;
  Tensor surprises = {};  ///< f64 (M, D), of the first rows (surprise.h), where there are any
};
/// What a run's file of weights says of its content, to know it again: of the best, or the last.
std::string weights_checksum(const RunFolder& run, bool best);
/// Writes it, with what columns of a table usually surprise by, of the weights that `density` has:
/// the best (`validated`), or the last, of `step`. Returns the scores. What cannot be written is a
/// note: the training is whole without it. With `judged` a note sets them beside the Gaussian of
/// the same columns; where this is better on validation rows, a density of a table becomes it, and
/// so do the run's best weights.
std::vector<double> write_held_out(const RunFolder& run, flows::Density& density,
                                   const data::Split& rows, bool validated, std::int64_t step,
                                   bool judged, const Common& common);
/// Nothing where the file is not there. Throws Error where it is no such file, or of other data or
/// weights than the run's.
std::optional<HeldOut> held_out_of(const TrainedModel& model);

/// flows::score by all processes of this command, each of which has a part of the rows; all get all
/// scores. Collective.
std::vector<double> score_together(flows::Density& density, const Tensor& x,
                                   const flows::EvaluateOptions& options);

/// Throws UsageError where weights of that many draws would change nothing, or give no bound.
void check_importance(const TrainedModel& model, int draws);
/// For the importance-weighted bound of so many draws for each row, in batches that do not take
/// long.
flows::EvaluateOptions importance_weighted(flows::EvaluateOptions options, int draws);

struct Evaluated {
  std::vector<double> scores;  ///< log_prob of each row
  flows::Evaluation mean;
  Comparison beside;
  Json json;  ///< what eval tells of any rows
};
/// Collective.
Evaluated evaluate_rows(const TrainedModel& model, const Rows& rows,
                        const flows::EvaluateOptions& options);

}  // namespace nf::cli
