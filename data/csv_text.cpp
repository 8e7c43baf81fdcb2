#include "data/csv_text.h"

#include <algorithm>

#include "tensor/error.h"
#include "tensor/text.h"

namespace nf::data {

bool is_text(char c) {
  return static_cast<unsigned char>(c) >= ' ' || c == '\t' || c == '\n' || c == '\r';
}

std::string not_text(char c) {
  return str(": byte ", int{static_cast<unsigned char>(c)},
             " is not text; take it out, if this is a table");
}

std::string_view trimmed(std::string_view text) {
  constexpr const char* kSpace = " \t\r";
  const std::size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

bool begins_utf16(std::string_view text) {
  return text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF");
}

CsvText::CsvText(const std::string& path, std::string_view text) : path_(path), rest_(text) {
  NF_CHECK(!begins_utf16(rest_), "[csv] '", path_,
           "': UTF-16 text; save it as UTF-8 (Excel: \"CSV UTF-8\"), or: iconv -f UTF-16 -t UTF-8");
  if (rest_.starts_with("\xEF\xBB\xBF")) rest_.remove_prefix(3);  // byte order mark
  if (rest_.find('\n') == std::string_view::npos) end_of_line_ = '\r';
  // sep=; for Excel: which it is, the lines tell.
  const bool told = rest_.size() > 5 && rest_.starts_with("sep=");
  const std::size_t end = told ? rest_.find_first_not_of('\r', 5) : 0;
  if (told && end != std::string_view::npos && rest_[end] == '\n') {
    rest_.remove_prefix(end + 1);
    ++number_;
  }
}

void CsvText::bad(const std::string& what) const {
  fail(str("[csv] '", path_, "', line ", number_, what));
}

bool CsvText::next() {
  while (!rest_.empty()) {
    number_ += breaks_ + 1;
    breaks_ = 0;
    const std::size_t end = row_end();
    row_ = rest_.substr(0, end);
    rest_.remove_prefix(std::min(end + 1, rest_.size()));
    if (row_.size() > kLongestRow) bad(str(": ", row_.size(), " bytes; at most ", kLongestRow));
    const auto odd = std::find_if_not(row_.begin(), row_.end(), is_text);
    if (odd != row_.end()) bad(not_text(*odd));
    if (trimmed(row_).empty()) continue;
    breaks_ = static_cast<std::size_t>(std::count(row_.begin(), row_.end(), end_of_line_));
    return true;
  }
  return false;
}

/// Where the row at the beginning of rest_ ends: at an end of line that no quotes enclose. A quote
/// encloses where a field begins with it; one that is never closed ends with its line, and is told
/// by split(). Comments have no fields.
std::size_t CsvText::row_end() const {
  const std::size_t line_end = std::min(rest_.find(end_of_line_), rest_.size());
  const std::string_view line = rest_.substr(0, line_end);
  const bool comment = separator_ == 0 && trimmed(line).starts_with('#');
  if (comment || line.find('"') == std::string_view::npos) return line_end;
  const auto separates = [&](char c) {
    return separator_ != 0 ? c == separator_ : c == ',' || c == ';' || c == '|' || c == '\t';
  };
  bool begins = true, in_quotes = false, had_quotes = false;  // of the field
  const std::size_t most = std::min(rest_.size(), kLongestRow + 1);
  for (std::size_t i = 0; i < most; ++i) {
    const char c = rest_[i];
    if (in_quotes) {
      in_quotes = c != '"';
    } else if (c == end_of_line_) {
      return i;
    } else if (c == '"') {  // "" within quotes is no end of them
      in_quotes = begins || (had_quotes && rest_[i - 1] == '"');
      had_quotes = in_quotes;
      begins = false;
    } else if (separates(c)) {
      begins = true;
      had_quotes = false;
    } else if (c != ' ') {
      begins = false;
    }
  }
  return in_quotes ? line_end : most;
}

int CsvText::skip_comments() {
  const CsvText before = *this;
  CsvText last = *this;  // before the last of them
  int comments = 0;
  for (CsvText here = *this; next() && trimmed(row_).starts_with('#'); here = *this) {
    last = here;
    ++comments;
  }
  *this = before;
  if (comments == 0) return 0;
  last.choose_separator();
  last.next();
  const std::size_t fields = last.count_fields();
  if (last.next() && fields == last.count_fields()) --comments;
  for (int i = 0; i < comments; ++i) next();
  return comments;
}

/// Of row_; 0 where a quote is not closed.
std::size_t CsvText::count_fields() const {
  std::size_t fields = 1;
  bool quoted = false, before = false;
  for (const char c : trimmed(row_)) {
    if (c == '"') quoted = !quoted;
    const bool separates = c == separator_ && !quoted;
    if (separates && !(before && separator_ == ' ')) ++fields;
    before = separates;
  }
  return quoted ? 0 : fields;
}

void CsvText::choose_separator() {
  const CsvText before = *this;
  next();
  next();
  const std::string_view row = trimmed(row_);
  *this = before;
  separator_ = '\n';  // one column
  for (const char c : {' ', ',', ';', '|', '\t'}) {
    bool quoted = false;
    for (const char in : row) {
      if (in == '"') quoted = !quoted;
      if (in == c && !quoted) separator_ = c;
    }
  }
}

void CsvText::split(std::vector<std::string>& fields) {
  fields.clear();
  std::string_view rest = separator_ == ' ' ? trimmed(row_) : row_;
  for (bool more = true; more;) {
    if (fields.size() == kMostColumns) bad(str(": more than ", kMostColumns, " columns"));
    fields.emplace_back();
    more = take_field(rest, fields.back());
  }
}

/// Takes a field and the separator behind it; false after the last one.
bool CsvText::take_field(std::string_view& rest, std::string& field) {
  const std::size_t start = std::min(rest.find_first_not_of(' '), rest.size());
  if (rest.substr(start).starts_with('"')) {
    quoted_ = true;
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
void CsvText::take_quoted(std::string_view& rest, std::string& field) {
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

std::size_t CsvText::lines_left() const {
  return static_cast<std::size_t>(std::count(rest_.begin(), rest_.end(), end_of_line_));
}

}  // namespace nf::data
