// bench --profile: where the time of a training step goes, by layer and pass.
#pragma once

#include <cstdint>
#include <string>

#include "cli/cli.h"
#include "flows/train/fit.h"

namespace nf::cli {

/// Trains a few steps, then so many that are watched, none of them recorded; `data` must have
/// batches for all of them (kUnwatchedSteps + steps, and one more). Figures are of one step:
/// "steps", "step_ms", "explained" and "lines", each with "name" (of the layer, as inspect has it,
/// or of what else a step does), "forward_ms" and "backward_ms" (null where it has no such pass),
/// "ms", "share" of the step, "bytes" and "flops" with those of both passes, and "gflops".
Json profile_steps(flows::Density& density, const data::Dataset& data, flows::FitOptions options,
                   std::int64_t steps);
constexpr std::int64_t kUnwatchedSteps = 2;

/// The same as a table of at most `width` columns.
std::string profile_text(const Json& profile, std::size_t width);

}  // namespace nf::cli
