#include "data/csv_categories.h"

#include <algorithm>
#include <cmath>

#include "data/columns.h"
#include "data/samples.h"
#include "data/splits.h"
#include "tensor/text.h"

namespace nf::data {

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

constexpr std::size_t kFewValues = 20;  // are those of a category, however few the rows

}  // namespace

CategoryCells::CategoryCells(const std::string& path, const std::vector<std::string>& names,
                             const std::vector<std::int32_t>& wanted, const ReadOptions& options)
    : path_(path), names_(names), wanted_(wanted), columns_(names.size()) {
  const bool by_position = named(names) != named(options.known) && !options.known.empty() &&
                           options.known.size() == wanted.size();
  for (std::size_t j = 0; j < wanted.size(); ++j) {
    const std::int32_t i = wanted[j];
    const std::string& name = by_position ? options.known[j] : names[static_cast<std::size_t>(i)];
    Column& column = columns_[static_cast<std::size_t>(i)];
    const bool given =
        std::find(options.given.begin(), options.given.end(), name) != options.given.end();
    if (options.guess_categories && !given) column.kind = Kind::Open;
    const auto found = options.categories.find(name);
    if (found == options.categories.end()) continue;
    column.kind = Kind::Category;
    column.known = !found->second.empty();
    column.values = found->second;
    for (std::size_t k = 0; k < column.values.size(); ++k) {
      column.codes.emplace(column.values[k], static_cast<std::int32_t>(k));
    }
  }
  for (const std::string& name : options.numbers) {
    const auto found = std::find(names.begin(), names.end(), name);
    if (found == names.end()) continue;
    columns_[static_cast<std::size_t>(found - names.begin())].kind = Kind::Numbers;
  }
}

std::string CategoryCells::shown(std::int32_t column) const {
  return "'" + printable(names_[static_cast<std::size_t>(column)], 40) + "'";
}

std::optional<double> CategoryCells::code(std::int32_t at, const std::string& cell,
                                          std::size_t line, const CellReader& cells) {
  Column& column = columns_[static_cast<std::size_t>(at)];
  if (column.kind == Kind::Open) {  // its first cell says what it is
    const bool code = cell.size() > 1 && cell[0] == '0' && is_digit(cell[1]);  // 01067
    column.guessed = code || (!cells.looks_like_number(cell) && !is_date_cell(cell));
    column.kind = column.guessed ? Kind::Category : Kind::Numbers;
    column.first_line = line;
  }
  if (column.kind == Kind::Numbers) return std::nullopt;
  const std::string value = is_utf8(cell) ? cell : from_windows_1252(cell);
  if (const auto found = column.codes.find(value); found != column.codes.end()) {
    return found->second;
  }
  NF_CHECK(!column.known, "[csv] '", path_, "', line ", line, ", column ", at + 1, " (", shown(at),
           "): '", printable(value, 40), "' is none of the values that the model knows: ",
           printable(join(column.values, ", "), 200),
           printable(did_you_mean(value, column.values)));
  NF_CHECK(column.values.size() < kMostCategories, "[csv] '", path_, "', line ", line, ", column ",
           at + 1, " (", shown(at), "): more than ", kMostCategories,
           " different texts; a category has at most so many: leave the column out with --drop ",
           printable(names_[static_cast<std::size_t>(at)], 40));
  const auto next = static_cast<std::int32_t>(column.values.size());
  column.codes.emplace(value, next);
  column.values.push_back(value);
  return next;
}

// That a column is a category, because its first cell is a text.
void CategoryCells::check_guess(std::int32_t at, std::size_t rows) const {
  const Column& column = columns_[static_cast<std::size_t>(at)];
  const std::vector<std::string>& values = column.values;
  const std::string name = printable(names_[static_cast<std::size_t>(at)], 40);
  const std::string first =
      str("the first in line ", column.first_line, ", '", printable(values[0], 40), "'");
  const auto numbers = std::count_if(values.begin(), values.end(), [](const std::string& value) {
    return value[0] != '0' && cell_number(value).has_value();
  });
  NF_CHECK(2 * numbers <= std::ssize(values), "[csv] '", path_, "': column ", shown(at),
           " holds numbers, and ", std::ssize(values) - numbers,
           numbers + 1 == std::ssize(values) ? " text" : " texts", ", ", first,
           "; if that says that a number is missing, give --na; if all are texts, --types ", name,
           "=category");
  NF_CHECK(values.size() <= kFewValues || 2 * values.size() <= rows, "[csv] '", path_, "': column ",
           shown(at), " has ", values.size(), " different texts in ", rows,
           " rows, as names have, ", first, "; leave it out with --drop ", name,
           ", or say --types ", name, "=category");
}

std::vector<std::vector<std::string>> CategoryCells::renumber(std::vector<double>& rows) {
  std::vector<std::vector<std::string>> out;
  for (std::size_t j = 0; j < wanted_.size(); ++j) {
    Column& column = columns_[static_cast<std::size_t>(wanted_[j])];
    out.emplace_back();
    if (column.kind != Kind::Category) continue;
    std::vector<std::string> sorted = column.values;
    if (!column.known) {
      NF_CHECK(sorted.size() >= 2, "[csv] '", path_, "': column ", shown(wanted_[j]),
               sorted.empty() ? " has no value"
                              : " has the one value '" + printable(sorted[0], 40) + "'",
               ": there is nothing to learn of it; leave it out with --drop");
      if (column.guessed) check_guess(wanted_[j], rows.size() / wanted_.size());
      std::sort(sorted.begin(), sorted.end(), ascending_values);
      std::vector<double> place;
      for (const std::string& value : column.values) {
        place.push_back(
            static_cast<double>(std::find(sorted.begin(), sorted.end(), value) - sorted.begin()));
      }
      for (std::size_t at = j; at < rows.size(); at += wanted_.size()) {
        if (!std::isnan(rows[at])) rows[at] = place[static_cast<std::size_t>(rows[at])];
      }
    }
    out.back() = std::move(sorted);
  }
  return out;
}

}  // namespace nf::data
