#include <algorithm>
#include <charconv>
#include <cmath>

#include "data/csv.h"
#include "tensor/files.h"
#include "tensor/text.h"

namespace nf::data {
namespace {

constexpr std::size_t kMostDigits = 64;  // of a whole number in f32's range: 39

/// As one field of a header. A name that is only the column's number stands for no name.
std::string header_field(const std::string& name, std::size_t column) {
  if (name == str(column + 1)) return "";
  const std::string shown = "'" + printable(name, 40) + "'";
  double value = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), value);
  NF_CHECK(end != name.data() + name.size() || error == std::errc::invalid_argument,
           "[csv] a column named ", shown, " would be read as a number; write .npy");
  const bool text = std::all_of(name.begin(), name.end(), [](char c) {
    return static_cast<unsigned char>(c) >= ' ' || c == '\t';
  });
  NF_CHECK(text, "[csv] the column ", shown, " has a byte in its name that is not text; ",
           "write .npy");
  return csv_field(name);
}

template <class T>
void append_number(std::string& line, T value, bool whole) {
  char digits[kMostDigits];
  std::to_chars_result result{};
  if constexpr (std::is_integral_v<T>) {
    result = std::to_chars(digits, digits + kMostDigits, value);
  } else if (whole) {  // + 0: without a sign before 0
    result = std::to_chars(digits, digits + kMostDigits, value + 0, std::chars_format::fixed);
  } else {
    result = std::to_chars(digits, digits + kMostDigits, value);
  }
  line.append(digits, result.ptr);
}

}  // namespace

std::string csv_field(const std::string& text) {
  bool plain = !text.empty() && text.front() != ' ' && text.back() != ' ' && text.front() != '#';
  std::string quoted = "\"";
  for (const char c : text) {
    plain = plain && std::string_view(",;|\t\"\n\r").find(c) == std::string_view::npos;
    quoted += c;
    if (c == '"') quoted += c;
  }
  return plain ? text : quoted + "\"";
}

CsvWriter::CsvWriter(Sink out, const std::vector<std::string>& names, std::vector<bool> whole,
                     const std::vector<std::vector<std::string>>& words)
    : out_(std::move(out)), names_(names), whole_(std::move(whole)) {
  for (const std::vector<std::string>& of_column : words) {
    words_.emplace_back();
    for (const std::string& word : of_column) words_.back().push_back(csv_field(word));
  }
  words_.resize(names.size());
  if (whole_.empty()) whole_.resize(names.size(), false);
  NF_CHECK(whole_.size() == names.size(), "[csv] ", names.size(), " names, but types of ",
           whole_.size(), " columns");
  std::string line;
  for (std::size_t j = 0; j < names.size(); ++j) {
    line += (j > 0 ? "," : "") + header_field(names[j], j);
  }
  out_(line + "\n");
}

void CsvWriter::add(const Tensor& rows) {
  NF_CHECK(rows.rank() == 2 && rows.dim(1) == std::ssize(names_), "[csv] rows of ", names_.size(),
           " columns are wanted, got ", describe(rows));
  const Tensor values = rows.to(Device::CPU).contiguous();
  visit_dtype(values.dtype(), [&]<class T>() {
    const T* value = values.data<T>();
    std::string line;
    for (std::int64_t i = 0; i < values.dim(0); ++i, ++written_) {
      line.clear();
      for (std::size_t j = 0; j < names_.size(); ++j, ++value) {
        const auto size = std::abs(static_cast<double>(*value));
        NF_CHECK(size < kBeyondF32, "[csv] row ", written_, ", column '", printable(names_[j], 40),
                 "': ", static_cast<double>(*value),
                 " is not a finite number of 32 bits; write .npy");
        if (j > 0) line += ',';
        const std::vector<std::string>& words = words_[j];
        NF_CHECK(words.empty() || static_cast<std::size_t>(*value) < words.size(), "[csv] row ",
                 written_, ": ", static_cast<double>(*value), " is none of ", words.size(),
                 " words");
        if (!words.empty()) {
          line += words[static_cast<std::size_t>(*value)];
        } else {
          append_number(line, *value, whole_[j]);
        }
      }
      out_(line += '\n');
    }
  });
}

void write_csv(const std::string& path, const std::vector<std::string>& names, const Tensor& rows,
               const std::vector<bool>& whole) {
  atomic_write(path, [&](FileWriter& out) {
    CsvWriter writer([&](std::string_view text) { out.write(text); }, names, whole);
    writer.add(rows);
  });
}

}  // namespace nf::data
