// Small helpers for messages.
#pragma once

#include <string>
#include <vector>

namespace nf {

/// "a, b, c"
std::string join(const std::vector<std::string>& parts, const std::string& separator);

/// The candidate with the fewest single-character edits to `word`; empty when there is none.
std::string nearest(const std::string& word, const std::vector<std::string>& candidates);

/// The text with '?' for all that is not printable ASCII: for names from files in messages, which
/// are one line.
std::string printable(const std::string& text);

}  // namespace nf
