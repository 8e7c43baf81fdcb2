// Small helpers for messages.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace nf {

/// "a, b, c"
std::string join(const std::vector<std::string>& parts, const std::string& separator);

/// The candidate with the fewest single-character edits to `word`, or which begins with it; empty
/// when none is near: more than one edit, and one more for every four characters, is another word.
std::string nearest(const std::string& word, const std::vector<std::string>& candidates);

/// "; did you mean 'train'?" with the nearest candidate, or nothing: the end of a message.
std::string did_you_mean(const std::string& word, const std::vector<std::string>& candidates);

/// All digits that a number needs: 0.9999999 is not 1. Whole numbers below 1e15 have no exponent.
std::string digits(double value);

bool is_utf8(std::string_view text);

/// Valid UTF-8 of at most about `most` bytes that no terminal takes for a command: for text from
/// outside in messages. Written as \x1b or \u202e are control characters (C0, DEL, C1), line
/// separators, marks that are invisible or turn the direction of writing around, and bytes that are
/// no UTF-8. What is longer is cut in its middle, and says how long it was. Applied twice it
/// changes nothing more.
std::string printable(std::string_view text, std::size_t most = 160);

/// JSON whose strings have as \uXXXX every character that printable() does not show. `json` is
/// valid and has no line breaks between its parts.
std::string printable_json(std::string_view json);

}  // namespace nf
