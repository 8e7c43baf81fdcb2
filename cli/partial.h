// Rows of which some columns are known: what a model that knows any columns given any others
// (tabular) draws the rest of.
#pragma once

#include <string>

#include "cli/trained_model.h"
#include "flows/models/any_order.h"

namespace nf::cli {

/// The density as one that knows any columns given any others; null where it is none, and where
/// something is given besides.
flows::AnyOrder* any_order(const TrainedModel& model);
/// The same; throws UsageError for `command` where there is none.
flows::AnyOrder& need_any_order(const TrainedModel& model, const char* command);

/// (1, D) of "age=40,sex=f": what it names, NaN elsewhere. Throws UsageError for columns that the
/// model does not have, values that they cannot have, a name that stands twice, and when nothing is
/// left to draw.
Tensor known_cells(const std::string& text, const TrainedModel& model);
/// (M, D), the rows of a CSV file: NaN where a cell is missing, and in columns that the file does
/// not have. Notes say which columns of the file the model does not know.
Tensor known_cells_of_file(const std::string& path, const TrainedModel& model);

}  // namespace nf::cli
