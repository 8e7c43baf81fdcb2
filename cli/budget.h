// What a training takes: memory for a step, and how many steps fit into a budget of processor time.
#pragma once

#include "cli/cli.h"
#include "cli/settings.h"
#include "data/dataset.h"
#include "flows/models/config.h"
#include "flows/train/fit.h"

namespace nf::cli {

/// Throws Error where what a step keeps of so many rows does not fit into memory; on a GPU its own
/// allocator says so. `what` they are and what to do are for the message.
void check_rows(const flows::Density& density, std::int64_t rows, const std::string& what,
                const std::string& advice);

/// The same of a batch of `config`, of so many rows of training.
void check_batch(const flows::Density& density, const flows::Config& config, std::int64_t rows);

/// The model as it is trained. A table's is validated after each epoch by one of its orders, since
/// all of them would take longer than the epoch; what is told of the trained model is by all.
std::shared_ptr<flows::Density> density_to_train(const flows::Config& config,
                                                 const data::Dataset& data, Device device);
/// What a budget means beside other settings: that of a preset, which is for processors, gives way
/// to an end that is asked for. Throws UsageError where both are given.
void settle_budget(const SettingOptions& settings, Device device, flows::Config& config);

/// The number of steps that `config.training.budget` core-minutes of this process allow, validation
/// after each epoch included. A copy of the model is made and trained for 50 steps, which are timed
/// and thrown away; what that costs is taken off the budget. A note says what was found. Throws
/// Error when not even one step fits.
std::int64_t steps_within_budget(const flows::Config& config, const data::Dataset& data,
                                 const flows::FitOptions& options, Device device,
                                 const Common& common);

}  // namespace nf::cli
