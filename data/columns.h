// Columns of a table by their names.
#pragma once

#include <string>
#include <vector>

#include "data/dataset.h"

namespace nf::data {

/// Whether the columns of a table have names of their own, not just their numbers 1, 2, ...
bool named(const std::vector<std::string>& columns);

/// Puts the columns of `data`, in all its parts, into the order of `wanted`: those of a model. What
/// `ignored` names may be there too, and is dropped. Returns a note for people, or nothing: where
/// one side has no names, columns go by their position. Throws Error, with the nearest name, for
/// columns that are missing or that the model does not know.
std::string match_columns(Dataset& data, const std::vector<std::string>& wanted,
                          const std::vector<std::string>& ignored = {});

/// Takes these columns (positions from 0), in this order, in all parts.
void take_columns(Dataset& data, const std::vector<std::int32_t>& columns);

}  // namespace nf::data
