#include "data/csv.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <optional>

#include "data/input.h"

namespace nf::data {
namespace {

constexpr std::size_t kMostColumns = 1 << 16, kLongestLine = 1 << 22;

bool is_text(char c) {
  return static_cast<unsigned char>(c) >= ' ' || c == '\t' || c == '\n' || c == '\r';
}

std::string_view trimmed(std::string_view text) {
  constexpr const char* kSpace = " \t\r";
  const std::size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

/// A field as messages show it.
std::string shown(std::string_view field) {
  constexpr std::size_t kShown = 24;
  return "'" + std::string(field.substr(0, kShown)) + (field.size() > kShown ? "...'" : "'");
}

/// Nothing when the field is no number; infinity when it is out of range.
std::optional<float> parse_number(std::string_view field) {
  if (field.size() > 1 && field[0] == '+' && field[1] != '-') field.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), value);
  if (end != field.data() + field.size() || error == std::errc::invalid_argument) return {};
  if (error == std::errc::result_out_of_range) return INFINITY;
  return static_cast<float>(value);
}

class Reader {
 public:
  Reader(const std::string& path, std::string_view text) : path_(path), rest_(text) {
    if (rest_.starts_with("\xEF\xBB\xBF")) rest_.remove_prefix(3);  // byte order mark
  }

  Table read() {
    choose_separator();
    Table table;
    std::vector<float> values;
    std::vector<std::string> fields;
    while (next_line()) {
      split(fields);
      if (table.columns.empty() && take_header(fields, table.columns)) continue;
      add_row(fields, table.columns.size(), values);
    }
    NF_CHECK(!values.empty(), "[csv] '", path_, "': holds no rows of numbers");
    const auto columns = static_cast<std::int64_t>(table.columns.size());
    table.values =
        Tensor::from(values, {static_cast<std::int64_t>(values.size()) / columns, columns});
    return table;
  }

 private:
  [[noreturn]] void bad(const std::string& what) const {
    fail(str("[csv] '", path_, "', line ", number_, what));
  }

  /// The next line that is not empty becomes line_.
  bool next_line() {
    while (!rest_.empty()) {
      const std::size_t end = std::min(rest_.find('\n'), rest_.size());
      line_ = rest_.substr(0, end);
      rest_.remove_prefix(std::min(end + 1, rest_.size()));
      ++number_;
      if (line_.size() > kLongestLine)
        bad(str(": ", line_.size(), " bytes; at most ", kLongestLine));
      const auto odd = std::find_if_not(line_.begin(), line_.end(), is_text);
      if (odd != line_.end()) {
        bad(str(": byte ", int{static_cast<unsigned char>(*odd)},
                " is not text; is this a table?"));
      }
      if (!trimmed(line_).empty()) return true;
    }
    return false;
  }

  /// The first line may be a header with anything in it: the second tells.
  void choose_separator() {
    const Reader before = *this;
    next_line();
    next_line();
    const std::string_view line = trimmed(line_);
    *this = before;
    separator_ = '\n';  // one column
    for (const char c : {' ', ',', ';', '\t'}) {
      bool quoted = false;
      for (const char in : line) {
        if (in == '"') quoted = !quoted;
        if (in == c && !quoted) separator_ = c;
      }
    }
  }

  void split(std::vector<std::string>& fields) {
    fields.clear();
    std::string_view rest = separator_ == ' ' ? trimmed(line_) : line_;
    for (bool more = true; more;) {
      if (fields.size() == kMostColumns) bad(str(": more than ", kMostColumns, " columns"));
      fields.emplace_back();
      more = take_field(rest, fields.back());
    }
  }

  /// Takes a field and the separator behind it; false after the last one.
  bool take_field(std::string_view& rest, std::string& field) {
    const std::size_t start = std::min(rest.find_first_not_of(' '), rest.size());
    if (rest.substr(start).starts_with('"')) {
      rest.remove_prefix(start + 1);
      take_quoted(rest, field);
      const std::size_t end = std::min(rest.find(separator_), rest.size());
      if (!trimmed(rest.substr(0, end)).empty()) bad(": text after a closing quote");
      rest.remove_prefix(end);
    } else {
      const std::size_t end = std::min(rest.find(separator_), rest.size());
      field = trimmed(rest.substr(0, end));
      rest.remove_prefix(end);
    }
    if (rest.empty()) return false;
    rest.remove_prefix(1);
    if (separator_ == ' ') rest = trimmed(rest);
    return true;
  }

  /// Up to the closing quote; "" inside is one quote.
  void take_quoted(std::string_view& rest, std::string& field) {
    while (true) {
      const std::size_t quote = rest.find('"');
      if (quote == std::string_view::npos) bad(": a quote is not closed");
      field += rest.substr(0, quote);
      rest.remove_prefix(quote + 1);
      if (!rest.starts_with('"')) return;
      field += '"';
      rest.remove_prefix(1);
    }
  }

  /// Gives the columns their names; false when these fields are the first row already.
  static bool take_header(const std::vector<std::string>& fields,
                          std::vector<std::string>& columns) {
    const bool header =
        std::none_of(fields.begin(), fields.end(), [](const auto& f) { return parse_number(f); });
    for (std::size_t i = 0; i < fields.size(); ++i) {
      columns.push_back(header && !fields[i].empty() ? fields[i] : str(i + 1));
    }
    return header;
  }

  void add_row(const std::vector<std::string>& fields, std::size_t columns,
               std::vector<float>& values) const {
    if (fields.size() != columns) {
      bad(str(": ", fields.size(), " columns, the lines before have ", columns));
    }
    for (std::size_t i = 0; i < columns; ++i) {
      const std::optional<float> value = parse_number(fields[i]);
      if (fields[i].empty()) bad(str(", column ", i + 1, ": the number is missing"));
      if (!value) bad(str(", column ", i + 1, ": ", shown(fields[i]), " is not a number"));
      if (!std::isfinite(*value)) {
        bad(str(", column ", i + 1, ": ", shown(fields[i]), " is not a finite number of 32 bits"));
      }
      values.push_back(*value);
    }
  }

  std::string path_;
  std::string_view rest_, line_;
  std::size_t number_ = 0;  // of line_, from 1
  char separator_ = ',';
};

}  // namespace

bool looks_like_text(std::string_view head) {
  return !head.empty() && std::all_of(head.begin(), head.end(), is_text);
}

Table read_csv(const std::string& path) {
  InputFile file(path);
  const std::string text = file.read_rest();
  return Reader(path, text).read();
}

}  // namespace nf::data
