// A table as text, cut into rows and fields: what CSV is before anybody asks for numbers.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace nf::data {

/// Without what stands around it: spaces, tabs and \r.
std::string_view trimmed(std::string_view text);
/// Whether a byte may stand in a table: no control characters but tabs and ends of lines.
bool is_text(char c);
/// ": byte 7 is not text; take it out, if this is a table".
std::string not_text(char c);
bool begins_utf16(std::string_view text);

/// Walks through the rows of a table. The text lives elsewhere, and copies of a CsvText may look
/// ahead. A row is a line, or several where a field in quotes has line breaks (RFC 4180). Errors
/// name the file and the line in which the row begins.
class CsvText {
 public:
  static constexpr std::size_t kMostColumns = 1 << 16, kLongestRow = 1 << 22;

  /// Skips a byte order mark and Excel's "sep=;". Throws Error for UTF-16.
  CsvText(const std::string& path, std::string_view text);

  /// The next row that is not empty becomes row(); false: there is none. Throws Error for more than
  /// kLongestRow bytes, bytes that are no text, and a quote that is not closed.
  bool next();
  /// Leaves out lines at the beginning that start with '#', but not the names of columns: a last
  /// such line with as many fields as the one below it. Gives how many.
  int skip_comments();
  /// tab, |, semicolon or comma, whichever the second row has first in this order, else spaces; \n
  /// where there is one column. The first row may be a header with anything in it.
  void choose_separator();
  /// The fields of row(), without their quotes. Throws Error for text behind a closing quote, and
  /// for more than kMostColumns.
  void split(std::vector<std::string>& fields);
  /// Goes on with a text that holds what comes next.
  void follow(std::string_view text) { rest_ = text; }

  char separator() const { return separator_; }
  bool quoted() const { return quoted_; }         ///< a field stood in quotes
  std::size_t number() const { return number_; }  ///< of the line in which row() begins, from 1
  std::size_t lines() const { return number_ + breaks_; }  ///< that are read
  std::size_t bytes_left() const { return rest_.size(); }
  std::size_t lines_left() const;
  [[noreturn]] void bad(const std::string& what) const;

 private:
  std::size_t row_end() const;
  std::size_t count_fields() const;
  bool take_field(std::string_view& rest, std::string& field);
  void take_quoted(std::string_view& rest, std::string& field);

  std::string path_;
  std::string_view rest_, row_;
  std::size_t number_ = 0, breaks_ = 0;  // breaks_: line breaks within row_
  char separator_ = 0;                   // 0: not known yet
  char end_of_line_ = '\n';
  bool quoted_ = false;
};

}  // namespace nf::data
