#include "data/csv.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>

#include "data/columns.h"
#include "data/csv_categories.h"
#include "data/csv_cells.h"
#include "data/csv_header.h"
#include "data/csv_text.h"
#include "data/input.h"
#include "tensor/memory.h"
#include "tensor/text.h"

namespace nf::data {
namespace {

std::string in_words(char separator) {
  if (separator == '\n') return "one column";
  return str("columns between ", separator == ','    ? "commas"
                                 : separator == ';'  ? "semicolons"
                                 : separator == '\t' ? "tabs"
                                 : separator == '|'  ? "vertical bars"
                                                     : "spaces");
}

}  // namespace

// Not in the unnamed namespace, because CsvLines holds one.
class CsvReader {
 public:
  CsvReader(const std::string& path, std::string_view text, const ReadOptions& options)
      : path_(path), text_(path, text), options_(&options), bad_(path, options) {}

  Table read() {
    Table table;
    skip_comments(table);
    choose_separator();
    std::vector<double> values;
    for (bool first = true; text_.next(); first = false) {
      take_line(table, values);
      if (first) make_room(values);
    }
    if (!bad_.empty()) bad_.fail(names_);
    NF_CHECK(!values.empty() || missing_ == 0, "[csv] '", path_, "': each of its ", missing_,
             " rows lacks a number; leave the column '", printable(missing_column_, 40),
             "' out with --drop");
    const bool rows = options_->labels_alone ? !labels_.empty() : !values.empty();
    NF_CHECK(rows, "[csv] '", path_, "': holds no rows of numbers");
    finish(table);
    if (options_->labels_alone) return table;
    table.categories = categories_->renumber(values);
    const auto columns = std::ssize(wanted_);
    table.columns = columns_taken();
    table.values = Tensor::from(values, {std::ssize(values) / columns, columns});
    return table;
  }

  /// The beginning up to the first row, whose numbers are then in `values`; false: no row is there.
  bool read_first(Table& table, std::vector<double>& values) {
    skip_comments(table);
    choose_separator();
    while (values.empty() && text_.next()) take_line(table, values);
    if (!bad_.empty()) bad_.fail(names_);
    return !values.empty();
  }
  /// The row in a line that comes after it; false: the line is empty.
  bool read_next(std::string_view line, Table& table, std::vector<double>& values) {
    labels_.clear();
    label_lines_.clear();
    text_.follow(line.empty() ? "\n" : line);
    if (text_.next()) take_line(table, values);
    if (!bad_.empty()) bad_.fail(names_);
    return !values.empty();
  }

  std::vector<std::string> columns_taken() const {
    std::vector<std::string> names;
    for (const std::int32_t i : wanted_) names.push_back(name(i));
    return names;
  }
  std::size_t line_number() const { return text_.lines(); }
  std::int64_t dropped() const { return missing_; }

 private:
  /// What is said beside the rows, once all are read.
  void finish(Table& table) {
    table.form = str(in_words(text_.separator()), header_ ? ", a header" : ", no header",
                     text_.quoted() ? ", quotes" : "", cells_.comma() ? ", decimal commas" : "");
    table.dropped = missing_;
    if (missing_ > 0) {
      table.numbers = Tensor::from(kept_, {std::ssize(kept_)});
      table.notes.push_back(str("'", printable(path_), "': ", missing_, " of ", file_rows_,
                                " rows lack a number and are left out, the first in line ",
                                missing_line_, ", column '", printable(missing_column_, 40), "'"));
    }
    if (label_ < 0) return;
    table.classes = options_->class_names;
    table.labels = labels_of_values(path_, labels_, table.classes, [&](std::size_t row) {
      return str("line ", label_lines_[row]);
    });
  }

  void skip_comments(Table& table) {
    const int comments = text_.skip_comments();
    if (comments == 0) return;
    table.notes.push_back(str("'", printable(path_), "': ", comments, " line",
                              comments > 1 ? "s" : "",
                              " of comments (#) at the beginning left out"));
  }

  void choose_separator() {
    text_.choose_separator();
    cells_.separated_by(text_.separator());
  }

  /// A row of the text: the header, or numbers.
  void take_line(Table& table, std::vector<double>& values) {
    std::vector<std::string> fields;
    text_.split(fields);
    if (names_.empty() && take_header(fields, table)) return;
    look_for_numbered_header(fields, table);
    if (!add_row(fields, table, values)) return;
    if (options_->lines) table.lines.push_back(static_cast<std::int64_t>(text_.number()));
  }

  /// Gives the columns their names; false when these fields are the first row already.
  bool take_header(std::vector<std::string>& fields, Table& table) {
    CsvText ahead = text_;
    std::vector<std::string> below;
    if (ahead.next()) ahead.split(below);
    const bool header = header_ = is_header(fields, below, cells_);
    bool foreign = false;
    for (std::size_t i = 0; i < fields.size(); ++i) {
      foreign = foreign || (header && !is_utf8(fields[i]));
      names_.push_back(header && !fields[i].empty() ? as_utf8(fields[i]) : str(i + 1));
    }
    if (foreign) {
      table.notes.push_back("'" + printable(path_) +
                            "': the names of columns are no UTF-8; they are read as Windows-1252 "
                            "(Latin-1)");
    }
    group_ = split_by_column(path_, names_, *options_);
    label_ = label_column(path_, names_, *options_);
    wanted_ = wanted_columns(path_, names_, *options_);
    categories_.emplace(path_, names_, wanted_, *options_);
    const std::string ignored = ignored_columns(path_, names_, *options_);
    if (!ignored.empty()) table.notes.push_back(ignored);
    return header;
  }

  /// 0,1,2 above 0.5,3.25,1, or 2019,2020,2021 above 12,40,7: as some programs name columns. Rows
  /// that go on as the first one did are rows.
  void look_for_numbered_header(const std::vector<std::string>& fields, Table& table) {
    if (rows_ == 2) return;
    const double step = even_step(fields);
    if (++rows_ == 1) {
      first_step_ = named(names_) ? 0 : step;
      first_row_ = fields[0] + "," + fields[fields.size() > 1 ? 1 : 0];
    } else if (first_step_ != 0 && step != first_step_) {
      table.notes.push_back(str("'", printable(path_), "': the first line, ", first_row_,
                                fields.size() > 2 ? ",..." : "",
                                ", is taken for a row; if it names the columns, delete it, or give "
                                "them names that are no numbers"));
    }
  }

  static std::string as_utf8(const std::string& field) {
    return is_utf8(field) ? field : from_windows_1252(field);
  }

  const std::string& name(std::int32_t column) const {
    return names_[static_cast<std::size_t>(column)];
  }

  /// For all numbers that can follow: so many lines of so many columns, at least two bytes each.
  void make_room(std::vector<double>& values) const {
    const auto columns = static_cast<double>(wanted_.size());
    const auto lines = static_cast<double>(text_.lines_left()) + 2;
    const double most =
        std::min(lines * columns, columns + 1 + static_cast<double>(text_.bytes_left()) / 2);
    // Twice: the numbers beside the rows, then the rows beside the parts into which they are cut.
    check_memory(2 * sizeof(double) * most, "[csv] '" + path_ + "'", "take a part of the data");
    values.reserve(static_cast<std::size_t>(most));
  }

  /// false: the row lacks a number and is left out.
  bool add_row(const std::vector<std::string>& fields, Table& table, std::vector<double>& values) {
    if (fields.size() != names_.size()) {
      text_.bad(str(": ", fields.size(), " columns, the lines before have ", names_.size()));
    }
    const std::int32_t number = file_rows_++;
    if (options_->drop_missing) {
      if (lacks_number(fields)) return false;
      kept_.push_back(number);
    }
    if (group_ >= 0) table.groups.push_back(as_utf8(fields[static_cast<std::size_t>(group_)]));
    if (label_ >= 0) {
      const std::string& label = fields[static_cast<std::size_t>(label_)];
      if (is_missing_cell(label, *options_)) bad_.add(label_, text_.number(), label, false, false);
      labels_.push_back(as_utf8(label));
      label_lines_.push_back(text_.number());
    }
    const bool comma = cells_.comma();
    for (const std::int32_t i : wanted_) {
      const std::string& field = fields[static_cast<std::size_t>(i)];
      const bool missing = is_missing_cell(field, *options_);
      if (missing && may_lack(i)) {
        if (bad_.empty()) values.push_back(std::numeric_limits<double>::quiet_NaN());
        continue;
      }
      const std::optional<double> code =
          missing ? std::nullopt : categories_->code(i, field, text_.number(), cells_);
      const std::optional<double> value = code ? code : cells_.number(field);
      const bool word = missing && !options_->missing_words.empty();
      if (!value || !std::isfinite(*value) || word) {
        bad_.add(i, text_.number(), field, value.has_value(), cells_.comma());
      } else if (bad_.empty()) {
        values.push_back(*value);
      }
    }
    if (cells_.comma() && !comma) {
      table.notes.push_back(str("'", printable(path_),
                                "': commas are taken for decimal points, first in line ",
                                text_.number()));
    }
    return true;
  }

  /// Whether a cell may be missing: what is given must be there.
  bool may_lack(std::int32_t column) const {
    const auto& given = options_->given;
    return options_->keep_missing &&
           std::find(given.begin(), given.end(), name(column)) == given.end();
  }

  bool lacks_number(const std::vector<std::string>& fields) {
    const auto lacks = [&](std::int32_t i) {
      if (i < 0 || !is_missing_cell(fields[static_cast<std::size_t>(i)], *options_)) return false;
      if (missing_++ == 0) {
        missing_line_ = text_.number();
        missing_column_ = name(i);
      }
      return true;
    };
    return lacks(label_) || std::any_of(wanted_.begin(), wanted_.end(), lacks);
  }

  std::string path_;
  CsvText text_;
  const ReadOptions* options_;
  std::vector<std::string> names_;    // of all columns in the file
  std::vector<std::int32_t> wanted_;  // of them
  std::int32_t group_ = -1;
  std::int32_t label_ = -1;
  std::optional<CategoryCells> categories_;  // once the names are known
  CellReader cells_;
  BadCells bad_;
  bool header_ = false;
  std::vector<std::string> labels_;       // of each row, with a column of labels
  std::vector<std::size_t> label_lines_;  // where they stand
  std::vector<std::int32_t> kept_;        // of each row, its number among those of the file
  std::int32_t file_rows_ = 0;
  std::int64_t missing_ = 0;      // rows that are left out
  std::size_t missing_line_ = 0;  // of the first
  std::string missing_column_;
  int rows_ = 0;           // looked at for a header
  double first_step_ = 0;  // of the first one, if it may be a header
  std::string first_row_;  // its beginning
};

bool looks_like_text(std::string_view head) {
  return begins_utf16(head) || (!head.empty() && std::all_of(head.begin(), head.end(), is_text));
}

std::string odd_byte(std::string_view head) {
  const auto odd = std::find_if_not(head.begin(), head.end(), is_text);
  const auto count = std::ssize(head) - std::count_if(head.begin(), head.end(), is_text);
  const bool nearly = head.find('\0') == std::string_view::npos && 20 * count <= std::ssize(head);
  if (odd == head.end() || !nearly) return {};
  return str("line ", 1 + std::count(head.begin(), odd, '\n'), not_text(*odd));
}

Table read_csv(const std::string& path, const ReadOptions& options) {
  if (path == kStandardInput) {
    return CsvReader(shown_path(path), standard_input(), options).read();
  }
  InputFile file(path);
  const std::string text = file.read_rest();
  return CsvReader(path, text, options).read();
}

// --- line by line --------------------------------------------------------------------------------

struct CsvLines::State {
  std::string path;
  ReadOptions options;
  std::string beginning = {};  // up to the first row, which tells how the table is written
  bool comments_only = true;   // or empty lines: no row can be there
  std::optional<CsvReader> reader = {};

  /// Of the beginning: whether no row ends with this line, so that there is nothing to parse yet.
  bool goes_before_rows(std::string_view line) {
    const std::string_view text = trimmed(line);
    comments_only = comments_only && (text.empty() || text.starts_with('#'));
    return text.empty() || comments_only;
  }
};

CsvLines::CsvLines(const std::string& path, const ReadOptions& options)
    : state_(new State{shown_path(path), options}) {}
CsvLines::~CsvLines() = default;

std::vector<double> CsvLines::row(std::string_view line) {
  State& state = *state_;
  std::vector<double> values;
  Table table;
  NF_CHECK(line.find('\n') == std::string_view::npos, "[csv] '", state.path, "', after line ",
           line_number(), ": lines end in \\r before, and in \\n here; write one of them");
  if (state.reader) {
    state.reader->read_next(line, table, values);
    for (std::string& note : table.notes) notes_.push_back(std::move(note));
    return values;
  }
  state.beginning.append(line) += '\n';
  NF_CHECK(state.beginning.size() <= 2 * CsvText::kLongestRow, "[csv] '", state.path,
           "': no row of numbers in the first ", 2 * CsvText::kLongestRow, " bytes");
  if (state.goes_before_rows(line)) return {};
  CsvReader reader(state.path, state.beginning, state.options);
  if (!reader.read_first(table, values)) return {};
  notes_ = std::move(table.notes);
  columns_ = reader.columns_taken();
  state.reader = std::move(reader);
  return values;
}

std::size_t CsvLines::line_number() const {
  return state_->reader ? state_->reader->line_number() : 0;
}

std::int64_t CsvLines::dropped() const { return state_->reader ? state_->reader->dropped() : 0; }

}  // namespace nf::data
