// What a sweep trains: settings with their values, combinations of them, folds of the rows.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "flows/train/fit.h"

namespace nf::cli {

inline constexpr std::int64_t kMostRuns = 1000;  ///< of a sweep

/// One setting and the values that are tried.
struct Try {
  std::string key;
  std::vector<std::string> values;
};

/// One training of a sweep.
struct Trial {
  std::string name;                 ///< of its folder: "001"
  std::vector<std::string> values;  ///< of each Try
  std::string status = "not begun";
  std::int64_t best_epoch = 0;
  double valid_nats = flows::kNaN;  ///< of the best weights
  std::string data = {};            ///< checksum of the file that it was trained with
  // With folds, of the rows that are held out:
  std::int64_t test_count = 0;
  double test_nats = flows::kNaN, test_nats_se = flows::kNaN;
  double gaussian_nats = flows::kNaN;  ///< of a Gaussian of the same training rows
};

/// "lr=1e-3,3e-3"; values that have commas themselves stand in double quotes. Throws UsageError.
std::vector<Try> parse_tries(const std::vector<std::string>& texts);
/// All combinations, or `random` of them (0: all), drawn by `draw_seed`; the last setting changes
/// fastest. Throws UsageError for more than there are, or than may be trained.
std::vector<Trial> plan(const std::vector<Try>& tries, std::int64_t random,
                        std::uint64_t draw_seed);
/// Each trial once for each of K folds, one behind the other: the last Try is then `fold`.
std::vector<Trial> with_folds(const std::vector<Trial>& trials, std::int64_t folds,
                              std::vector<Try>& tries);
/// "lr=1e-3 couplings=4": the first `count` settings of a trial.
std::string settings_text(const std::vector<Try>& tries, const Trial& trial, std::size_t count);

}  // namespace nf::cli
