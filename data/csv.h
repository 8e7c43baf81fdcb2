// Tables of real numbers as text: CSV and its relatives.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tensor/tensor.h"

namespace nf::data {

struct Table {
  std::vector<std::string> columns;  ///< D names; "1", "2", ... without a header
  Tensor values;                     ///< f32 (N, D), all finite
};

/// Whether a file that begins with these bytes can be text.
bool looks_like_text(std::string_view head);

/// One row a line; empty lines count for nothing. Told by the content are
///   the separator   tab, semicolon or comma, whichever the second line has first in this order;
///                   else runs of spaces
///   a header        a first line without any number: the names of the columns
/// A field may stand in double quotes. The file may be gzipped. Throws Error, naming file, line and
/// column, for a field that is missing or is no finite number in the range of f32, rows of unequal
/// length, more than 65536 columns, lines above 4 MiB, an open quote, bytes that are no text, and a
/// file without rows.
Table read_csv(const std::string& path);

}  // namespace nf::data
