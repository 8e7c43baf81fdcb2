#include "tensor/text.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <numeric>

namespace nf {

std::string join(const std::vector<std::string>& parts, const std::string& separator) {
  std::string out;
  for (const std::string& part : parts) out += (out.empty() ? "" : separator) + part;
  return out;
}

namespace {

// Levenshtein distance, one row of the table at a time. Of long texts only the beginnings count:
// the time is the product of their lengths.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  constexpr std::size_t kMost = 100;
  a = a.substr(0, kMost);
  b = b.substr(0, kMost);
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, change});
    }
  }
  return row.back();
}

}  // namespace

std::string digits(double value) {
  constexpr double kWhole = 1e15;
  if (value == std::floor(value) && std::abs(value) < kWhole) {
    return std::to_string(static_cast<std::int64_t>(value));
  }
  char text[32];
  const auto [end, error] = std::to_chars(text, text + sizeof text, value);
  return {text, end};
}

std::string nearest(const std::string& word, const std::vector<std::string>& candidates) {
  std::string best;
  std::size_t best_distance = 0;
  for (const std::string& candidate : candidates) {
    const std::size_t distance = edit_distance(word, candidate);
    const std::size_t length = std::max(word.size(), candidate.size());
    const bool begins = word.size() >= 3 && candidate.starts_with(word);
    if (distance > 1 + length / 4 && !begins) continue;
    if (best.empty() || distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

std::string did_you_mean(const std::string& word, const std::vector<std::string>& candidates) {
  const std::string near = nearest(word, candidates);
  return near.empty() ? "" : "; did you mean '" + near + "'?";
}

namespace {

struct Character {
  std::size_t bytes = 0;  ///< 0: not valid UTF-8
  std::uint32_t code = 0;
};

/// The first character of a text that is not empty. (RFC 3629: no overlong forms, no surrogates)
Character first_character(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return {1, lead};
  const std::size_t bytes = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < bytes) return {};
  std::uint32_t code = lead & (0x7FU >> bytes);
  for (std::size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return {};
    code = code << 6 | (byte(i) & 0x3FU);
  }
  constexpr std::uint32_t kLowest[] = {0, 0, 0x80, 0x800, 0x10000};
  if (code < kLowest[bytes] || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) return {};
  return {bytes, code};
}

struct CodeRange {
  std::uint32_t first, last;
};
/// What a terminal obeys instead of showing it, or shows as nothing.
constexpr CodeRange kUnprintable[] = {
    {0x00, 0x1F},       {0x7F, 0x9F},      // C0, DEL, C1
    {0xAD, 0xAD},                          // soft hyphen
    {0x61C, 0x61C},     {0x180E, 0x180E},  // Arabic letter mark, Mongolian separator
    {0x200B, 0x200F},                      // zero width, directional marks
    {0x2028, 0x202E},                      // line separators, directional embedding
    {0x2060, 0x206F},                      // joiners, directional isolates
    {0xFEFF, 0xFEFF},   {0xFFF9, 0xFFFB},  // byte order mark, annotations
    {0xE0000, 0xE007F},                    // tags
};

bool unprintable(std::uint32_t code) {
  return std::any_of(std::begin(kUnprintable), std::end(kUnprintable),
                     [&](CodeRange r) { return code >= r.first && code <= r.last; });
}

std::string hex(std::uint32_t value, int digits) {
  std::string out;
  for (int i = digits; i-- > 0;) out += "0123456789abcdef"[value >> (4 * i) & 15];
  return out;
}

std::string escaped(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const Character c = first_character(text);
    const std::size_t bytes = std::max<std::size_t>(c.bytes, 1);
    if (c.bytes == 0 || (c.code < 0x100 && unprintable(c.code))) {
      out += "\\x" + hex(c.bytes == 0 ? static_cast<unsigned char>(text[0]) : c.code, 2);
    } else if (unprintable(c.code)) {
      out += "\\u" + hex(c.code, c.code > 0xFFFF ? 6 : 4);
    } else {
      out += text.substr(0, bytes);
    }
    text.remove_prefix(bytes);
  }
  return out;
}

}  // namespace

std::string printable_json(std::string_view json) {
  std::string out;
  while (!json.empty()) {
    const Character c = first_character(json);
    const std::size_t bytes = std::max<std::size_t>(c.bytes, 1);
    if (c.bytes == 0 || !unprintable(c.code)) {
      out += json.substr(0, bytes);
    } else if (c.code < 0x10000) {
      out += "\\u" + hex(c.code, 4);
    } else {  // a pair of surrogates (RFC 8259, section 7)
      const std::uint32_t rest = c.code - 0x10000;
      out += "\\u" + hex(0xD800 + (rest >> 10), 4) + "\\u" + hex(0xDC00 + (rest & 0x3FF), 4);
    }
    json.remove_prefix(bytes);
  }
  return out;
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const Character c = first_character(text);
    if (c.bytes == 0) return false;
    text.remove_prefix(c.bytes);
  }
  return true;
}

std::string printable(std::string_view text, std::size_t most) {
  const std::string all = escaped(text);
  if (all.size() <= most) return all;
  const std::string cut = "...(" + std::to_string(text.size()) + " bytes)...";
  std::size_t head = (most - std::min(most, cut.size())) * 2 / 3, tail = all.size() - head / 2;
  const auto inside = [&](std::size_t at) {
    return at > 0 && at < all.size() && (static_cast<unsigned char>(all[at]) & 0xC0) == 0x80;
  };
  while (inside(head)) --head;  // whole characters
  while (inside(tail)) ++tail;
  return all.substr(0, head) + cut + all.substr(tail);
}

}  // namespace nf
