// Columns of a table whose cells are categories: texts that become the numbers 0, 1, ...
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "data/csv_cells.h"

namespace nf::data {

/// Which columns of one table hold categories, as ReadOptions says, and the numbers of their cells.
class CategoryCells {
 public:
  /// `path` begins messages. `names`: of all columns; `wanted`: of which the rows are made.
  CategoryCells(const std::string& path, const std::vector<std::string>& names,
                const std::vector<std::int32_t>& wanted, const ReadOptions& options);

  /// The number of a cell, which is not missing; nothing where its column holds numbers. Throws
  /// Error, naming the line, for a value that is none of those that are known, and for more than
  /// kMostCategories of them. Until renumber() numbers are in the order of their appearance.
  std::optional<double> code(std::int32_t column, const std::string& cell, std::size_t line,
                             const CellReader& cells);
  /// Of each wanted column the names of its values, in ascending order; of numbers none. `rows`
  /// (all rows, one after the other) get the numbers of that order. Throws Error for a column that
  /// has fewer than two values, where they were not known, and for one that is taken for a category
  /// though nearly each row has another text, or though most of its values are numbers.
  std::vector<std::vector<std::string>> renumber(std::vector<double>& rows);

 private:
  enum class Kind { Open, Numbers, Category };
  struct Column {
    Kind kind = Kind::Numbers;
    std::size_t first_line = 0;  // of its first cell, where that was a text
    bool known = false;          // its values, from a model
    bool guessed = false;        // that it is a category
    std::vector<std::string> values;
    std::map<std::string, std::int32_t> codes;
  };
  std::string shown(std::int32_t column) const;
  void check_guess(std::int32_t at, std::size_t rows) const;

  std::string path_;
  std::vector<std::string> names_;
  std::vector<std::int32_t> wanted_;
  std::vector<Column> columns_;  // of all columns
};

/// The most values that a category may have.
inline constexpr std::size_t kMostCategories = 256;

}  // namespace nf::data
