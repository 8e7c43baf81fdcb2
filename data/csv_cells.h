// What stands in a cell of a table as text, and what to say of cells that are no numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nf::data {

struct ReadOptions;  // samples.h

/// Nothing when the field is no number; infinity when it is NaN or beyond f32's range. What is too
/// small for a double is 0.
std::optional<double> cell_number(std::string_view field);

/// Empty, or one of the words by which programs say that a number is missing: NA, null, ...
bool is_missing_cell(const std::string& cell);
/// "3,5": a number when the comma is a point.
bool has_decimal_comma(std::string cell);

/// 2024-07-13, 13.7.2024, 7/13/24, 12:30: digits with the same mark between them, twice, or a time.
bool is_date_cell(const std::string& cell);

/// Cells of one table as numbers. Where commas do not separate its columns, the first number with a
/// point or a comma in it says how all of them are written.
class CellReader {
 public:
  void separated_by(char separator) { commas_ = separator != ','; }
  /// Whether the field is a number in either way.
  bool looks_like_number(const std::string& field) const;
  /// As cell_number(); nothing for a number that is not written as those before.
  std::optional<double> number(const std::string& field);
  bool comma() const { return mark_ == ','; }  ///< numbers have decimal commas

 private:
  bool commas_ = false;  // may be decimal
  char mark_ = 0;        // '.' or ',' once a number had it
};

/// The first cell of each column that is no number.
class BadCells {
 public:
  BadCells(const std::string& path, const ReadOptions& options) : path_(path), options_(&options) {}
  /// `number`: it is one, but not in f32's range. `comma`: the table has decimal commas.
  void add(std::int32_t column, std::size_t line, const std::string& text, bool number, bool comma);
  bool empty() const { return cells_.empty(); }
  /// All of them, and what to do. `names`: of all columns.
  [[noreturn]] void fail(const std::vector<std::string>& names) const;

 private:
  struct Cell {
    std::size_t line;
    std::string text;
    bool number, comma;
  };
  std::string describe(std::int32_t column, const std::string& name, const Cell& cell) const;
  bool lacks_number(const Cell& cell) const;
  std::string ways_out(const std::vector<std::string>& names) const;

  std::string path_;
  const ReadOptions* options_;
  std::map<std::int32_t, Cell> cells_;  // by column
};

/// Whether the cell says that its number is missing: is_missing_cell(), or options.missing_words.
bool is_missing_cell(const std::string& cell, const ReadOptions& options);

/// Windows-1252, of which Latin-1 is the part above 9F, as UTF-8.
std::string from_windows_1252(std::string_view text);

}  // namespace nf::data
