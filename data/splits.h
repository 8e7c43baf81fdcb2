// Which rows of a source are for training, validation and test.
#pragma once

#include <string>

#include "data/formats.h"
#include "data/source.h"

namespace nf::data {

/// Fills out.train, valid, test and cut with the rows of `parts`, as LoadOptions says. Throws
/// SettingError for counts that are not there.
void split_rows(const Parts& parts, const LoadOptions& options, Dataset& out);

/// Throws SettingError of `key` unless `wanted` samples, for `what`, can be had of `there`.
void check_counts(const char* key, const std::string& what, std::int64_t wanted,
                  std::int64_t there);

/// The first rows of a part, as a view.
Split narrow(const Split& all, std::int64_t first, std::int64_t count);

/// The order of texts: by their value where they are numbers, which come first, else as texts.
bool ascending_values(const std::string& a, const std::string& b);

struct SplitBy {
  std::string column;
  bool ordered = false;
};
/// LoadOptions::split_by, taken apart.
SplitBy parse_split_by(const std::string& text);

}  // namespace nf::data
