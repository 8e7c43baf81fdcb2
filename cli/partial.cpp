#include "cli/partial.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "cli/table.h"
#include "data/columns.h"
#include "data/csv_cells.h"
#include "data/given.h"
#include "tensor/ops.h"
#include "tensor/text.h"

namespace nf::cli {

namespace {

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

std::vector<data::ColumnType> types_of(const TrainedModel& model) {
  const data::Dataset& shape = model.shape;
  return data::column_types(model.run.config().data.types, shape.columns, shape.dims, shape.given);
}

/// Why a column of this type does not hold the number; empty: it may.
std::string why_not(const data::ColumnType& type, double value) {
  if (type.integer && value != std::floor(value)) return str(" holds whole numbers, not ", value);
  return type.holds(value) ? "" : str(" lies ", data::type_in_words(type), ", not at ", value);
}

/// What stands behind NAME=.
double cell_of(const std::string& text, std::size_t column, const TrainedModel& model) {
  const data::Dataset& shape = model.shape;
  const std::string name = printable(data_columns(shape)[column]);
  if (data::is_category(shape, static_cast<std::int64_t>(column))) {
    const std::vector<std::string>& values = shape.categories[column];
    const std::string value = data::unquoted(text);
    const auto found = std::find(values.begin(), values.end(), value);
    check_usage(found != values.end(), "[given] ", name, ": '", printable(value),
                "' is none of its values, which are ", printable(join(values, ", "), 200),
                found == values.end() ? printable(did_you_mean(value, values)) : "");
    return static_cast<double>(found - values.begin());
  }
  const std::optional<double> value = data::cell_number(data::without_spaces(text));
  check_usage(value && std::isfinite(*value), "[given] ", name, ": '", printable(text),
              "' is no finite number of 32 bits");
  const std::string why = why_not(types_of(model)[column], *value);
  check_usage(why.empty(), "[given] ", name, why);
  return *value;
}

/// Of the file's columns, the model's; -1 of those that it does not have.
std::vector<std::int32_t> places_in(const std::vector<std::string>& file,
                                    const data::Dataset& shape, const std::string& path) {
  const std::vector<std::string> names =
      shape.columns.empty() ? data::numbered(shape.dims) : shape.columns;
  std::vector<std::int32_t> places;
  const bool by_position = data::named(file) != data::named(names);
  NF_CHECK(!by_position || file.size() == names.size(), "[data] '", path, "' has ", file.size(),
           " columns", data::named(file) ? "" : " without names", ", the model has ", names.size(),
           ": ", printable(join(names, ", "), 200));
  for (std::size_t j = 0; j < names.size(); ++j) {
    const auto found = by_position ? file.begin() + static_cast<std::ptrdiff_t>(j)
                                   : std::find(file.begin(), file.end(), names[j]);
    places.push_back(found == file.end() ? -1 : static_cast<std::int32_t>(found - file.begin()));
  }
  return places;
}

/// A column of a file holds what its type does; cells may lack. Categories have no type but theirs.
void check_cells(const data::Table& table, std::int32_t column, const data::ColumnType& type,
                 const std::string& path) {
  const std::vector<double> cells = table.values.narrow(1, column, 1).to_vector<double>();
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const std::string why = std::isnan(cells[i]) ? "" : why_not(type, cells[i]);
    NF_CHECK(why.empty(), "[csv] '", data::shown_path(path), "', line ", table.lines[i],
             ": column '", printable(table.columns[static_cast<std::size_t>(column)], 40), "'",
             why);
  }
}

}  // namespace

flows::AnyOrder* any_order(const TrainedModel& model) {
  return model.shape.given.empty() ? dynamic_cast<flows::AnyOrder*>(model.density.get()) : nullptr;
}

flows::AnyOrder& need_any_order(const TrainedModel& model, const char* command) {
  flows::AnyOrder* const density = any_order(model);
  check_usage(density, "[", command, "] ", model.run.path(),
              model.shape.given.empty()
                  ? " is no model that knows any columns given any others: train tabular"
                  : " is given something already; train tabular without --given");
  return *density;
}

Tensor known_cells(const std::string& text, const TrainedModel& model) {
  const std::vector<std::string> names = data_columns(model.shape);
  std::vector<double> row(names.size(), kUnknown);
  for (const std::string& part : data::between_commas(text)) {
    const std::size_t equals = part.find('=', part.starts_with('"') ? part.find('"', 1) : 0);
    check_usage(equals != std::string::npos, "[given] '", printable(part),
                "' is not COLUMN=VALUE; several go with commas between, and a value with a comma "
                "stands in double quotes");
    const std::string name = data::unquoted(part.substr(0, equals));
    auto found = std::find(names.begin(), names.end(), name);
    if (found == names.end() && !model.shape.columns.empty()) {  // 3 for x3
      const auto plain = std::find(model.shape.columns.begin(), model.shape.columns.end(), name);
      found = names.begin() + (plain - model.shape.columns.begin());
    }
    check_usage(found != names.end(), "[given] the model has no column '", printable(name), "'",
                found == names.end() ? printable(did_you_mean(name, names)) : "");
    const auto column = static_cast<std::size_t>(found - names.begin());
    check_usage(std::isnan(row[column]), "[given] ", printable(name), " stands twice");
    row[column] = cell_of(part.substr(equals + 1), column, model);
  }
  check_usage(std::any_of(row.begin(), row.end(), [](double x) { return std::isnan(x); }),
              "[given] all columns are given: nothing is left to draw");
  return Tensor::from(row, {1, std::ssize(row)});
}

Tensor known_cells_of_file(const std::string& path, const TrainedModel& model) {
  const data::Dataset& shape = model.shape;
  const data::LoadOptions own = flows::load_options(model.run.config());
  const data::Table table = data::read_csv(path, {.split_by = {},
                                                  .may_lack_split_by = true,
                                                  .known = shape.columns,
                                                  .missing_words = own.missing_words,
                                                  .keep_missing = true,
                                                  .categories = data::categories_of(shape),
                                                  .lines = true});
  for (const std::string& note : table.notes) model.common.note("note: " + note);
  const std::vector<std::int32_t> places = places_in(table.columns, shape, data::shown_path(path));
  const std::int64_t n = table.values.dim(0);
  std::vector<Tensor> columns;
  const std::vector<data::ColumnType> types = types_of(model);
  for (const std::int32_t place : places) {
    if (place >= 0) check_cells(table, place, types[columns.size()], path);
    columns.push_back(place < 0 ? Tensor::full({n, 1}, kUnknown, DType::F64)
                                : table.values.narrow(1, place, 1));
  }
  return concat(columns, 1);
}

}  // namespace nf::cli
