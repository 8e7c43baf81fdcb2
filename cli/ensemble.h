// Ensembles: several trainings with different seeds as one run (flows/runs/ensemble_run.h).
#pragma once

#include <cstdint>
#include <string>

#include "cli/evaluation.h"
#include "cli/run_folder.h"

namespace nf::cli {

/// --ensemble K.
void add_ensemble(CLI::App& app, std::int64_t& members);
bool is_ensemble(const RunFolder& run);

/// Makes an ensemble of K members of a folder that was made for it. Facts and baselines are of
/// `data`, which is let go of. Trains the members one after the other, each a process of its own,
/// and tells what they reach together. Throws Interrupted after a signal, when all is saved; Error
/// where a member could not be trained.
void train_ensemble(RunFolder run, std::int64_t members, const flows::Config& config,
                    data::Dataset& data, const Common& common, Device device);
/// The same for those members that are not finished. Throws UsageError for `other` ends than the
/// one that they have.
void resume_ensemble(const RunFolder& run, bool other, const Common& common, Device device);

/// What each member of an ensemble reaches on the rows that it was evaluated on, in `json` and in a
/// line: their mean and standard deviation, and the gain of the mixture. Empty for other models.
std::string add_members(const TrainedModel& model, const Rows& rows,
                        const flows::EvaluateOptions& options, const flows::Evaluation& together,
                        Json& json);

}  // namespace nf::cli
