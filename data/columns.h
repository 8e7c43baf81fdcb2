// Columns of a table by their names.
#pragma once

#include <string>
#include <vector>

#include "data/dataset.h"

namespace nf::data {

/// Whether the columns of a table have names of their own, not just their numbers.
bool named(const std::vector<std::string>& columns);

/// A name without the spaces around it, which a list "a, b" has.
std::string without_spaces(const std::string& name);

/// Throws Error where more than one of these columns of a file has the name.
void check_one_column(const std::string& path, const std::vector<std::string>& columns,
                      const std::string& name);

/// Puts the columns of `data`, in all its parts, into the order of `wanted`: those of a model. What
/// `ignored` names may be there too, and is dropped. Returns a note for people, or nothing: where
/// one side has no names, columns go by their position. Throws Error, with the nearest name, for
/// columns that are missing or that the model does not know.
std::string match_columns(Dataset& data, const std::vector<std::string>& wanted,
                          const std::vector<std::string>& ignored = {});

/// Takes these columns (positions from 0), in this order, in all parts.
void take_columns(Dataset& data, const std::vector<std::int32_t>& columns);

/// Positions from 0 of the columns that `types` calls whole numbers: "count=integer,age=integer",
/// by name, or by number from 1 in a table without names. Throws SettingError, with the nearest
/// name, for a column that is not there, or is one of `given` and so not modelled, and for another
/// type.
std::vector<std::int32_t> integer_columns(const std::string& types,
                                          const std::vector<std::string>& columns,
                                          std::int64_t dims,
                                          const std::vector<std::string>& given = {});

/// Throws SettingError where a column that `types` calls integer is not; with `advise` adds a note
/// about those that are, but are not called so: as real numbers they have no highest density.
/// `names` are those by which `types` calls the columns when the data have none.
void look_at_types(Dataset& data, const std::string& types, bool advise = true,
                   const std::vector<std::string>& names = {});

/// The columns (from 0) that are constant in the training part of real rows: they have no density
/// there.
struct ConstantColumns {
  std::vector<std::int32_t> everywhere;  ///< in validation and test as well
  std::vector<std::int32_t> training_only;
};
ConstantColumns constant_columns(const Dataset& data);

/// Throws Error, naming all of them and what to do, when there are columns that are constant
/// everywhere and that `types` does not call integer. Those that are constant in the training part
/// only get data.spread, and a note. `scaled`: the model scales each column by its deviation.
void check_varies(Dataset& data, const std::string& types, bool scaled = true);

}  // namespace nf::data
