// What stands in a cell of a table as text.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace nf::data {

/// Nothing when the field is no number; infinity when it is NaN or beyond f32's range. What is too
/// small for a double is 0.
std::optional<double> cell_number(std::string_view field);

/// Empty, or one of the words by which programs say that a number is missing: NA, null, ...
bool is_missing_cell(const std::string& cell);
/// "3,5": a number when the comma is a point.
bool has_decimal_comma(std::string cell);

/// Windows-1252, of which Latin-1 is the part above 9F, as UTF-8.
std::string from_windows_1252(std::string_view text);

}  // namespace nf::data
