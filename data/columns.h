// Columns of a table by their names.
#pragma once

#include <cmath>
#include <limits>
#include <map>
#include <string>
#include <utility>
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
/// `ignored` names may be there too, and is dropped, as is what the model does not know. Returns a
/// note for people, or nothing: of columns that the model does not know, and where one side has no
/// names and columns go by their position. Throws Error, with the nearest name, for columns that
/// are missing.
std::string match_columns(Dataset& data, const std::vector<std::string>& wanted,
                          const std::vector<std::string>& ignored = {});

/// The names of the values of categories, by the names of their columns.
std::map<std::string, std::vector<std::string>> categories_of(const Dataset& data);

/// Takes these columns (positions from 0), in this order, in all parts.
void take_columns(Dataset& data, const std::vector<std::int32_t>& columns);

/// What the numbers of a column are.
struct ColumnType {
  bool integer = false;
  bool category = false;
  /// Real numbers between these, without them; infinite where there is no bound.
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();

  bool bounded() const { return std::isfinite(low) || std::isfinite(high); }
  bool holds(double x) const { return x > low && x < high; }
};

/// What `types` says, "count=integer,share=bounded:0:1,size=bounded:0:,age=real", as names and
/// types. A name with a comma stands in double quotes. Throws SettingError for another form.
std::vector<std::pair<std::string, std::string>> named_types(const std::string& types);
/// The types of D columns, by name, or by number from 1 in a table without names; real where
/// nothing is said. Throws SettingError, with the nearest name, for a column that is not there, or
/// is one of `given` and so not modelled, and for another type.
std::vector<ColumnType> column_types(const std::string& types,
                                     const std::vector<std::string>& columns, std::int64_t dims,
                                     const std::vector<std::string>& given = {});
/// Positions from 0 of those that are integer.
std::vector<std::int32_t> integer_columns(const std::string& types,
                                          const std::vector<std::string>& columns,
                                          std::int64_t dims,
                                          const std::vector<std::string>& given = {});
/// Throws SettingError for a column whose type is a category: of models that have none.
void refuse_categories(const std::string& types);
/// "integer", "between 0 and 1"
std::string type_in_words(const ColumnType& type);

/// Throws SettingError where a column that `types` calls integer is not, or one that it bounds has
/// a number that is not between the bounds. Fills data.whole with those that are whole, vary, and
/// that it says nothing of, data.texts with categories. `of_run`: of rows that come to a trained
/// model only the first is asked.
void look_at_types(Dataset& data, const std::string& types, bool of_run = false);
/// `types`, integer for the columns of data.whole and category for those of data.texts, whose names
/// can be said there.
std::string with_guessed_types(const Dataset& data, const std::string& types);
/// What to say of data.whole where they are taken as real numbers, which then have no highest
/// density; empty without any.
std::string advice_on_types(const Dataset& data);

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
