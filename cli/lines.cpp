#include "cli/lines.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>

#include "tensor/error.h"
#include "tensor/text.h"

namespace nf::cli {

std::string short_number(double value) {
  const double size = std::abs(value);
  char text[32];
  const int digits = size < 99.99 ? 4 : size < 9999.9 ? 2 : 0;
  if (size < 999999) {
    std::snprintf(text, sizeof text, "%.*f", digits, value);
  } else {
    std::snprintf(text, sizeof text, "%.1e", value);
  }
  return text;
}

std::string with_error(double value, double error, int decimals) {
  return fixed(value, decimals) + (std::isfinite(error) ? " +- " + fixed(error, decimals) : "");
}

std::string duration_text(double seconds) {
  const auto s = static_cast<long long>(std::max(0.0, seconds) + 0.5);
  char text[40];
  if (s >= 3600) {
    std::snprintf(text, sizeof text, "%lld:%02lld:%02lld", s / 3600, s / 60 % 60, s % 60);
  } else {
    std::snprintf(text, sizeof text, "%lld:%02lld", s / 60, s % 60);
  }
  return text;
}

int terminal_width(int file) {
  winsize size{};
  return ioctl(file, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

std::size_t output_width() {
  if (!isatty(STDOUT_FILENO)) return kColumns + 1;
  return static_cast<std::size_t>(std::max(20, terminal_width(STDOUT_FILENO) - 1));
}

namespace {

constexpr std::size_t kLeastColumn = 12;  // of the column that shrinks

std::vector<std::size_t> widths_of(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths(rows.empty() ? 0 : rows[0].size());
  for (const auto& row : rows) {
    for (std::size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], row[c].size());
  }
  return widths;
}

// The columns first to last - 1, beside column 0, `gap` spaces apart.
std::string part_of_table(const std::vector<std::vector<std::string>>& rows,
                          const std::vector<std::size_t>& widths, std::size_t first,
                          std::size_t last, std::size_t gap, const TableLayout& layout) {
  std::string out;
  std::size_t total = widths[0];
  for (std::size_t c = first; c < last; ++c) total += gap + widths[c];
  const std::string rule = layout.lines ? std::string(total, '-') + "\n" : "";
  for (std::size_t r = 0; r < rows.size(); ++r) {
    if (r == layout.headers) out += rule;
    std::string line;
    const auto add = [&](std::size_t c) {
      std::string cell = rows[r][c];
      if (cell.size() > widths[c]) cell = cell.substr(0, widths[c] - 3) + "...";
      const std::string space(widths[c] - cell.size(), ' ');
      line += c < layout.left ? cell + space : space + cell;
    };
    add(0);
    for (std::size_t c = first; c < last; ++c) {
      line += std::string(gap, ' ');
      add(c);
    }
    out += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  return out + rule;
}

// A line break in a name would break its row in two.
std::vector<std::vector<std::string>> one_line_each(std::vector<std::vector<std::string>> rows) {
  for (auto& row : rows) {
    for (std::string& cell : row) cell = printable(cell, 4 * cell.size() + 1);
  }
  return rows;
}

}  // namespace

std::size_t table_width(const std::vector<std::vector<std::string>>& rows,
                        const TableLayout& layout) {
  std::vector<std::size_t> widths = widths_of(one_line_each(rows));
  if (widths.empty()) return 0;
  if (layout.shrinks < widths.size()) {
    widths[layout.shrinks] = std::min(widths[layout.shrinks], kLeastColumn);
  }
  return std::accumulate(widths.begin(), widths.end(), widths.size() - 1);
}

std::string table_text(const std::vector<std::vector<std::string>>& cells, std::size_t width,
                       const TableLayout& layout) {
  if (cells.empty()) return "";
  const std::vector<std::vector<std::string>> rows = one_line_each(cells);
  std::vector<std::size_t> widths = widths_of(rows);
  std::size_t total = std::accumulate(widths.begin(), widths.end(), 2 * (widths.size() - 1));
  const std::size_t gap = total <= width ? 2 : 1;
  if (gap == 1) total -= widths.size() - 1;
  if (total > width && layout.shrinks < widths.size()) {
    std::size_t& soft = widths[layout.shrinks];
    const std::size_t cut = std::min(total - width, soft - std::min(soft, kLeastColumn));
    soft -= cut;
    total -= cut;
  }
  // A name longer than half the line would leave no room for what it is the name of.
  if (total > width) widths[0] = std::min(widths[0], std::max(kLeastColumn, width / 2));
  std::string out;
  for (std::size_t first = 1, last = 1; first < widths.size() || first == 1; first = last) {
    std::size_t used = widths[0];
    while (last < widths.size() && (last == first || used + gap + widths[last] <= width)) {
      used += gap + widths[last++];
    }
    out += (out.empty() ? "" : "\n") + part_of_table(rows, widths, first, last, gap, layout);
    if (last >= widths.size()) break;
  }
  return out;
}

std::string of_draws(int draws) { return draws > 1 ? str(" of ", draws, " draws") : ""; }

std::string epoch_line(const flows::EpochReport& report, std::int64_t epochs, std::size_t width) {
  const bool validated = !std::isnan(report.valid_nats);
  std::string line = str("epoch ", report.epoch, "/", epochs, "  train ",
                         short_number(report.train_nats), validated ? "" : " nats");
  if (validated) line += "  valid " + short_number(report.valid_nats) + " nats";
  line += of_draws(report.bound_draws);
  const std::string best = "  best";
  std::string more[] = {"", "  " + duration_text(report.seconds)};
  if (!std::isnan(report.valid_bits_per_dim)) {
    more[0] = "  " + short_number(report.valid_bits_per_dim) + " bits/dim";
  }
  // Every line keeps room for "best", so that all have the same parts.
  std::size_t room = width - std::min(width, line.size() + best.size());
  for (const std::string& part : more) {
    if (part.size() > room) break;
    line += part;
    room -= part.size();
  }
  return line + (report.best && validated ? best : "");
}

std::string fixed(double value, int decimals) {
  if (std::isnan(value)) return "nan";  // printf tells the sign of a NaN
  char text[64];
  std::snprintf(text, sizeof text, std::abs(value) < 1e15 ? "%.*f" : "%.*e", decimals, value);
  return text;
}

namespace {

void append_wrapped(std::string& out, const std::string& line, std::size_t width) {
  constexpr std::size_t kHanging = 4;
  const std::size_t indent = std::min(line.find_first_not_of(' '), line.size());
  std::size_t at = 0, begin = 0;  // `begin`: columns that indentation takes on this line
  while (line.size() - at + begin > width) {
    // The last space that fits, else the first one behind the word that is too long.
    const std::size_t first = at + (begin == 0 ? indent : 0);
    std::size_t space = line.rfind(' ', at + width - begin);
    if (space == std::string::npos || space <= first) space = line.find(' ', first);
    if (space == std::string::npos) break;
    const std::size_t next = line.find_first_not_of(' ', space);
    if (next == std::string::npos) break;
    out += line.substr(at, line.find_last_not_of(' ', space) + 1 - at) + "\n";
    begin = indent + kHanging;
    out += std::string(begin, ' ');
    at = next;
  }
  out += line.substr(at);
}

}  // namespace

std::string wrapped(const std::string& text, std::size_t width) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    append_wrapped(out, text.substr(at, end - at), width);
    if (end < text.size()) out += '\n';
    at = end + 1;
  }
  return out;
}

}  // namespace nf::cli
