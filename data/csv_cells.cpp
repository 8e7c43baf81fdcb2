#include "data/csv_cells.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>

#include "data/csv.h"

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
  constexpr std::string_view kMissing[] = {"",     "NA",  "N/A", "n/a",  "NaN",
                                           "nan",  "NAN", "na",  "null", "NULL",
                                           "None", "?",   "-",   "#N/A", "."};
  return std::find(std::begin(kMissing), std::end(kMissing), cell) != std::end(kMissing);
}

bool has_decimal_comma(std::string cell) {
  const std::size_t comma = cell.find(',');
  if (comma == std::string::npos) return false;
  cell[comma] = '.';
  return cell_number(cell).has_value();
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
