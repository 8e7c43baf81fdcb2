// Whether what a model draws is spread as rows are: `calibrate` and `infer` tell it.
#pragma once

#include <cstdint>
#include <string>

#include "cli/choice.h"

namespace nf::cli {

inline constexpr std::int64_t kCalibratedRows = 1000;  ///< unless more are asked for

struct CalibrateSettings {
  std::int64_t draws = 100;  ///< for each row
  std::string levels = ".5,.8,.9,.95";
  std::uint64_t seed = 0;
};

struct Calibrated {
  Json json;
  std::string text;
  std::int64_t rows;  ///< fewer than there are after a signal
};
/// Of a table's model. Throws UsageError for levels that are none, Interrupted where a signal came
/// before the first rows were done.
Calibrated calibrate_rows(const TrainedModel& model, const Rows& rows,
                          const CalibrateSettings& settings);

}  // namespace nf::cli
