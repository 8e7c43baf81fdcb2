// Whether the first line of a table names its columns.
#pragma once

#include <string>
#include <vector>

#include "data/csv_cells.h"

namespace nf::data {

/// A line without any number does. One with some numbers does where it has text above a number,
/// and more text than numbers; or text beside numbers that count (town,2019,2020 above Oslo,12,40;
/// or an empty name before 0,1,2, as pandas writes its index). `below`: the fields of the next
/// line, or none.
bool is_header(const std::vector<std::string>& first, const std::vector<std::string>& below,
               const CellReader& cells);

/// What whole numbers go up by from each column to the next, the same everywhere; else 0. Of two
/// columns it is 1: all else is the same everywhere, too.
double even_step(const std::vector<std::string>& fields);

}  // namespace nf::data
