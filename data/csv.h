// Tables of real numbers as text: CSV and its relatives.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "data/samples.h"
#include "tensor/tensor.h"

namespace nf::data {

struct Table {
  std::vector<std::string> columns;  ///< D names; "1", "2", ... without a header
  /// f64 (N, D), all finite, but NaN for missing cells with ReadOptions::keep_missing
  Tensor values;
  std::vector<std::vector<std::string>> categories;  ///< of Dataset
  std::vector<std::string> groups;   ///< the column split_by of each row, as it stands there
  std::vector<std::int64_t> lines;   ///< from 1, of each row, with ReadOptions::lines
  std::vector<std::string> notes;    ///< what was decided that the owner should know
  Tensor labels;                     ///< i32 (N) of the column ReadOptions::label, or undefined
  std::vector<std::string> classes;  ///< which its values are, by label
  Tensor numbers;  ///< i32 (N): of each row, its place in the file; where rows are left out
  std::int64_t dropped = 0;  ///< rows that lack a number, with ReadOptions::drop_missing
  std::string form;          ///< how its columns are separated, in words
};

/// Whether a file that begins with these bytes can be text.
bool looks_like_text(std::string_view head);

/// "line 1: byte 7 is not text; ..." of the first such byte, where these are text but for a few
/// bytes, none of them 0; else nothing.
std::string odd_byte(std::string_view head);

/// One row a line, or several where a field in quotes has line breaks. Lines are ended by \n, \r\n
/// or, where there is no \n, \r; empty lines count for nothing. Lines before the names or the first
/// row that begin with # are left out, with a note. Told by the content are
///   the separator   tab, |, semicolon or comma, whichever the second line has first in this order;
///                   else runs of spaces
///   a header        a first line without any number: the names of the columns. One that counts
///                   0,1,2 or 2019,2020,2021 is a row, with a note, unless the next one does too
///   decimal commas  where commas do not separate columns: the first number with a comma or a point
///                   says how all are written, with a note where it is a comma
/// A field may stand in double quotes. Text is UTF-8; names in other bytes are read as
/// Windows-1252, with a note. Columns that `options` leaves out may hold anything. The file may be
/// gzipped. Throws Error, naming file, line (from 1) and column, for fields that are missing or are
/// no finite numbers in the range of f32 (the first of each column), or mix points and commas, rows
/// of unequal length, more
/// than 65536 columns, lines
/// above 4 MiB, an open quote, bytes that are no text, UTF-16, and a file without rows.
/// kStandardInput is read to its end, once: the process keeps its text.
Table read_csv(const std::string& path, const ReadOptions& options = {});

/// What is below it in size becomes a finite f32: half a step above the largest one.
inline constexpr double kBeyondF32 = 0x1.ffffffp127;

/// The path of what is piped into the program.
inline constexpr const char* kStandardInput = "-";
/// What messages call a path.
inline std::string shown_path(const std::string& path) {
  return path == kStandardInput ? "standard input" : path;
}

/// A table whose lines come one by one, as into a filter. What read_csv() tells by the content, it
/// tells here by the lines up to the first row. Errors are the same.
class CsvLines {
 public:
  explicit CsvLines(const std::string& path, const ReadOptions& options = {});
  ~CsvLines();

  /// The numbers of the row in the next line, which has no end; nothing of a comment, a header and
  /// an empty line. Throws Error; no line can follow then. What is wrong with comments and empty
  /// lines of the beginning is told with the line below them.
  std::vector<double> row(std::string_view line);
  // From the first row on; the second may add a note:
  const std::vector<std::string>& columns() const { return columns_; }
  const std::vector<std::string>& notes() const { return notes_; }
  std::size_t line_number() const;  ///< of the last line, from 1
  std::int64_t dropped() const;     ///< rows so far, with ReadOptions::drop_missing

 private:
  struct State;
  std::unique_ptr<State> state_;
  std::vector<std::string> columns_, notes_;
};

/// A text as a cell of a table with commas: in quotes where it must be.
std::string csv_field(const std::string& text);

/// Writes a table, so that read_csv() gives back the same bits: a line of names, then a line for
/// each row, with commas between. Names are quoted where they must be.
class CsvWriter {
 public:
  using Sink = std::function<void(std::string_view text)>;

  /// Writes the names to `out`. `whole`: of each column, whether it holds whole numbers; empty:
  /// none does. `words`: what stands for 0, 1, ... in each column; empty: numbers. Throws Error for
  /// a name that could not be read back: one that is a number, or has a line break or a byte
  /// that is no text.
  CsvWriter(Sink out, const std::vector<std::string>& names, std::vector<bool> whole = {},
            const std::vector<std::vector<std::string>>& words = {});
  /// (n, D): u8, f32 and f64 numbers as the shortest text that reads back as the same number of
  /// their type; whole numbers with all their digits and no exponent. Throws Error for a number
  /// that is not finite or beyond f32's range, naming row and column, before its row is written.
  void add(const Tensor& rows);

 private:
  Sink out_;
  std::vector<std::string> names_;
  std::vector<bool> whole_;
  std::vector<std::vector<std::string>> words_;  // of each column, as fields; or none
  std::int64_t written_ = 0;                     // rows
};

/// All of it in a file, atomically (tensor/files.h): rows (N, D) of the names.
void write_csv(const std::string& path, const std::vector<std::string>& names, const Tensor& rows,
               const std::vector<bool>& whole = {});

}  // namespace nf::data
