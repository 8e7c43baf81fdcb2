// Small helpers for messages.
#pragma once

#include <string>
#include <vector>

namespace nf {

/// "a, b, c"
std::string join(const std::vector<std::string>& parts, const std::string& separator);

/// The candidate with the fewest single-character edits to `word`; empty when there is none.
std::string nearest(const std::string& word, const std::vector<std::string>& candidates);

}  // namespace nf
