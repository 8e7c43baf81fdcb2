// How many steps a training may have within a budget of processor time.
#pragma once

#include "cli/cli.h"
#include "data/dataset.h"
#include "flows/models/config.h"
#include "flows/train/fit.h"

namespace nf::cli {

/// The number of steps that `config.training.budget` core-minutes of this process allow, validation
/// after each epoch included. A copy of the model is made and trained for 50 steps, which are timed
/// and thrown away; what that costs is taken off the budget. A note says what was found. Throws
/// Error when not even one step fits.
std::int64_t steps_within_budget(const flows::Config& config, const data::Dataset& data,
                                 const flows::FitOptions& options, Device device,
                                 const Common& common);

}  // namespace nf::cli
