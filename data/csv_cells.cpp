#include "data/csv_cells.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdlib>

#include "data/csv.h"
#include "data/samples.h"
#include "tensor/text.h"

namespace nf::data {

std::optional<double> cell_number(std::string_view field) {
  if (field.size() > 1 && field[0] == '+' && field[1] != '-') field.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), value);
  if (end != field.data() + field.size() || error == std::errc::invalid_argument) return {};
  if (error == std::errc::result_out_of_range) {  // too large or too small: strtod tells
    value = std::strtod(std::string(field).c_str(), nullptr);
  }
  return std::abs(value) < kBeyondF32 ? value : INFINITY;
}

bool is_missing_cell(const std::string& cell) {
  constexpr std::string_view kMissing[] = {"",   "NA",   "N/A",  "n/a",  "NaN",  "nan", "NAN",
                                           "na", "null", "NULL", "None", "?",    "-",   "#N/A",
                                           ".",  "NaT",  "<NA>", "#NV",  "NULL!"};
  if (!cell.empty() && cell[0] >= '0' && cell[0] <= '9') return false;  // most cells, and no word
  return std::find(std::begin(kMissing), std::end(kMissing), cell) != std::end(kMissing);
}

bool is_date_cell(const std::string& cell) {
  const std::size_t mark = cell.find_first_not_of("0123456789");
  if (mark == 0 || mark > 4 || mark == std::string::npos) return false;
  if (cell[mark] == ':') return true;
  if (std::string("-/.").find(cell[mark]) == std::string::npos) return false;
  const std::size_t next = cell.find_first_not_of("0123456789", mark + 1);
  return next != std::string::npos && next > mark + 1 && cell[next] == cell[mark];
}

bool has_decimal_comma(std::string cell) {
  const std::size_t comma = cell.find(',');
  if (comma == std::string::npos) return false;
  cell[comma] = '.';
  return cell_number(cell).has_value();
}

bool is_missing_cell(const std::string& cell, const ReadOptions& options) {
  const std::vector<std::string>& words = options.missing_words;
  return is_missing_cell(cell) || std::find(words.begin(), words.end(), cell) != words.end();
}

// --- numbers of a table --------------------------------------------------------------------------

namespace {

/// The number behind a decimal comma.
double with_point(std::string field) {
  field[field.find(',')] = '.';
  return cell_number(field).value_or(INFINITY);
}

}  // namespace

bool CellReader::looks_like_number(const std::string& field) const {
  return cell_number(field).has_value() || (commas_ && has_decimal_comma(field));
}

std::optional<double> CellReader::number(const std::string& field) {
  const bool comma = commas_ && field.find(',') != std::string::npos && has_decimal_comma(field);
  const std::optional<double> value = comma ? with_point(field) : cell_number(field);
  const char mark = comma ? ',' : field.find('.') != std::string::npos ? '.' : 0;
  if (!value || mark == 0) return value;
  if (mark_ == 0) mark_ = mark;
  return mark == mark_ ? value : std::nullopt;
}

// --- what is no number ---------------------------------------------------------------------------

namespace {

/// A field as messages show it.
std::string shown(const std::string& field) {
  constexpr std::size_t kShown = 24;
  return "'" + printable(field.substr(0, kShown), 4 * kShown) +
         (field.size() > kShown ? "...'" : "'");
}

/// A name as an option takes it.
std::string as_option(const std::string& name) {
  return name.find(',') == std::string::npos ? name : "\"" + name + "\"";
}

}  // namespace

void BadCells::add(std::int32_t column, std::size_t line, const std::string& text, bool number,
                   bool comma) {
  cells_.try_emplace(column, Cell{line, text, number, comma});
}

bool BadCells::lacks_number(const Cell& cell) const {
  return is_missing_cell(cell.text, *options_);
}

std::string BadCells::describe(std::int32_t column, const std::string& name,
                               const Cell& cell) const {
  const bool named = name != std::to_string(column + 1);
  const bool other_mark = !cell.number && CellReader().looks_like_number(cell.text);
  return str("line ", cell.line, ", column ", column + 1, named ? " (" + shown(name) + ")" : "",
             ": ",
             cell.text.empty()    ? "the number is missing"
             : lacks_number(cell) ? "the number is missing (" + shown(cell.text) + ")"
             : cell.number        ? shown(cell.text) + " is not a finite number of 32 bits"
             : other_mark && cell.comma
                 ? shown(cell.text) + " has a point, where numbers before have a decimal comma"
             : is_date_cell(cell.text) ? shown(cell.text) + " is not a number but a date or time"
                                       : shown(cell.text) + " is not a number");
}

// As a shell takes it for one word.
static std::string shell_word(const std::string& text) {
  constexpr std::string_view kPlain = "_.,=:/+-";
  const bool plain = std::all_of(text.begin(), text.end(), [&](char c) {
    return static_cast<unsigned char>(c) >= 0x80 || std::isalnum(static_cast<unsigned char>(c)) ||
           kPlain.find(c) != std::string_view::npos;
  });
  if (plain) return text;
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? "'\\''" : std::string(1, c);
  return quoted + "'";
}

std::string BadCells::ways_out(const std::vector<std::string>& names) const {
  constexpr std::size_t kNamed = 6;
  std::vector<std::string> columns;
  bool missing = false, text = false, comma = false;
  for (const auto& [column, cell] : cells_) {
    columns.push_back(printable(as_option(names[static_cast<std::size_t>(column)]), 60));
    missing = missing || lacks_number(cell);
    comma = comma || has_decimal_comma(cell.text);
    text = text || !(lacks_number(cell) || cell.number || has_decimal_comma(cell.text));
  }
  std::vector<std::string> ways;
  if (missing) ways.push_back("fill in the numbers that are missing");
  const bool settled = options_->may_lack_split_by;  // which columns they are
  if (settled && missing) ways.push_back("leave these lines out");
  if (!settled && missing) ways.push_back("leave such lines out with --missing drop");
  if (comma) ways.push_back("write numbers with a point, not with a comma");
  if (!settled) {
    const std::string which = columns.size() <= kNamed ? shell_word(join(columns, ",")) : "a,b,...";
    ways.push_back(
        str("leave the column", columns.size() > 1 ? "s" : "", " out with --drop ", which));
    if (text && columns.size() == 1) ways.push_back("make its values labels with --label " + which);
    ways.back() += " (of 'flowcli train' and 'flowcli data')";
    if (text && columns.size() == 1) {
      ways.push_back("say that " + shown(cells_.begin()->second.text) +
                     " is a missing number with --na and --missing drop");
    }
    if (text && !options_->guess_categories) {
      ways.push_back("train tabular, where text is a category");
    } else if (text) {
      ways.push_back("take it for a category with --types " + shell_word(columns[0] + "=category"));
    }
  }
  return ways.empty() ? "" : "; " + join(ways, ", or ");
}

void BadCells::fail(const std::vector<std::string>& names) const {
  constexpr std::size_t kListed = 8;
  std::vector<std::string> told;
  for (const auto& [column, cell] : cells_) {
    if (told.size() == kListed) break;
    told.push_back(describe(column, names[static_cast<std::size_t>(column)], cell));
  }
  nf::fail(
      str("[csv] '", path_, "', ", join(told, "; "),
          cells_.size() > kListed ? str("; and in ", cells_.size() - kListed, " more columns") : "",
          ways_out(names)));
}

std::string from_windows_1252(std::string_view text) {
  constexpr char16_t kBelowA0[32] = {0x20AC, 0x81,   0x201A, 0x192,  0x201E, 0x2026, 0x2020, 0x2021,
                                     0x2C6,  0x2030, 0x160,  0x2039, 0x152,  0x8D,   0x17D,  0x8F,
                                     0x90,   0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014,
                                     0x2DC,  0x2122, 0x161,  0x203A, 0x153,  0x9D,   0x17E,  0x178};
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const unsigned code = byte >= 0x80 && byte < 0xA0 ? kBelowA0[byte - 0x80] : byte;
    if (code < 0x80) {
      out += c;
    } else if (code < 0x800) {
      out += {static_cast<char>(0xC0 | code >> 6), static_cast<char>(0x80 | (code & 63))};
    } else {
      out += {static_cast<char>(0xE0 | code >> 12), static_cast<char>(0x80 | (code >> 6 & 63)),
              static_cast<char>(0x80 | (code & 63))};
    }
  }
  return out;
}

}  // namespace nf::data
