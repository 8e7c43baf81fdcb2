// What is given: labels or columns on which a conditional density p(x | given) depends.
#pragma once

#include <string>
#include <vector>

#include "data/dataset.h"

namespace nf::data {

/// What a setting `given` asks for.
struct GivenNames {
  bool labels = false;
  std::vector<std::string> columns;  ///< in the order of the setting

  bool any() const { return labels || !columns.empty(); }
};

/// The parts of a text between its commas, empty ones too. A name at the beginning of a part, and
/// what comes behind its =, may stand in double quotes: commas within belong to them.
std::vector<std::string> between_commas(const std::string& text);
/// A name without spaces around it, and of one in double quotes what stands within.
std::string unquoted(const std::string& name);

/// "label": the labels of the data. "a,b": columns of a table, "\"a,b\"" one; "column:label" or
/// "\"label\"" one that is called label. Empty: nothing is given. Throws SettingError for an empty
/// name, one that stands twice, and labels beside columns.
GivenNames parse_given(const std::string& text);

/// Moves what is given out of the rows of all parts, into Split::given: labels as i32 (N, 1),
/// columns as f64 (N, G). Throws SettingError, with the nearest name, for columns that are not
/// there, labels of data without any, and when no column is left to be modelled. The entropy of
/// what is left is not known. `of_run`: not who names the data now asks for it, but a model that is
/// trained.
void take_given(Dataset& data, const GivenNames& names, bool of_run = false);

/// Throws Error unless every label of `data` is one of `classes`.
void check_labels(const Dataset& data, int classes);

}  // namespace nf::data
