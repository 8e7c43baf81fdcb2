// Missing cells of rows, filled in by the model: what is compared with its draws, which have none.
#pragma once

#include <cstdint>

#include "cli/trained_model.h"

namespace nf::cli {

/// How many cells of x are missing (NaN).
std::int64_t gaps_in(const Tensor& x);
/// x (N, D), `given` (N, G) or undefined, with a draw of the model in the place of each missing
/// cell, given the others of its row; without any, x as it is. Where the model is right, and
/// whether a cell is missing depends on cells that are there alone, these rows are distributed as
/// the model's own draws (Rubin, "Multiple imputation", 1987). The rows that happen to be complete
/// are not: they may be those where x is small. Throws Error for a model that knows no missing
/// cells.
Tensor filled(const TrainedModel& model, const Tensor& x, const Tensor& given, Generator& gen);

}  // namespace nf::cli
