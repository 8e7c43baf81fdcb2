// Cross-validation: what the folds of a sweep reach on the rows that they hold out.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/cli.h"
#include "cli/sweep_plan.h"
#include "flows/models/config.h"

namespace nf::cli {

/// Throws UsageError where settings of the data say, too, which rows are the test, and for data
/// that are drawn. folds = 0: nothing is checked.
void check_folds(std::int64_t folds, const flows::DataSettings& data);

/// Puts what the best weights of the fold's run reach on its test rows into the trial; nothing
/// where its training did not finish.
void evaluate_fold(const std::string& run, const Common& common, Device device, Trial& trial);

/// ",test_nats,test_nats_se,test_count,gaussian_nats" of a table's line.
std::string fold_cells(const Trial& trial);
Json json_of_fold(const Trial& trial);

/// For each of the settings, whose folds stand behind each other, means over the folds that are
/// done, and the standard error of that of the test: as FOLDER/cross_validation.csv, in `json`, and
/// in words.
std::string cross_validate(const std::string& folder, const std::vector<Try>& tries,
                           const std::vector<Trial>& trials, std::int64_t folds, Json& json);

}  // namespace nf::cli
