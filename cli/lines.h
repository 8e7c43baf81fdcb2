// Lines for a terminal: what training says after an epoch, and long lines broken to fit.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "flows/train/fit.h"

namespace nf::cli {

/// Columns that a line may have, whatever the terminal: one less than the usual 80, because some
/// terminals begin a new line when the last column is filled.
inline constexpr std::size_t kColumns = 79;
/// Of a line that goes to a file.
inline constexpr std::size_t kAnyWidth = static_cast<std::size_t>(-1);

/// "3:07", "1:02:45"
std::string duration_text(double seconds);

/// The columns of the terminal behind a file descriptor; 80 when it does not tell.
int terminal_width(int file);

/// "epoch 12/60  train 1912.34  valid 1901.22 nats  3.1234 bits/dim  1:23  best", in at most
/// `width` columns: what has no room is left out, the time first. Without validation its part is
/// left out, and bits/dim where they are NaN. "best": no epoch before was better on validation.
/// Behind "nats" stands of_draws().
std::string epoch_line(const flows::EpochReport& report, std::int64_t epochs,
                       std::size_t width = kColumns);

/// " of K draws": of nats that are the importance-weighted bound of so many (Density::bound_draws);
/// nothing for 1.
std::string of_draws(int draws);

/// A number with so many decimals, in a short form where it is huge; "nan", "inf" and "-inf"
/// otherwise.
std::string fixed(double value, int decimals);

/// "1.2345 +- 0.0012", or the number alone where its error is not known: of one row, or where a row
/// has no density.
std::string with_error(double value, double error, int decimals);

/// The columns that what a command writes to stdout may have: its terminal's but for the last one;
/// 80 for a pipe or a file.
std::size_t output_width();

inline constexpr std::size_t kNoColumn = static_cast<std::size_t>(-1);

/// How a table is laid out.
struct TableLayout {
  std::size_t left = 1;     ///< so many first columns are flush left, the others right
  std::size_t headers = 1;  ///< so many first rows are above the line
  std::size_t shrinks = 0;  ///< this column is cut, to 12 characters at least, where that is enough
                            ///< (kNoColumn: none is)
  bool lines = false;       ///< below the headers and at the end
};

/// The columns that table_text() needs for one table: with one space between cells, and the column
/// that shrinks cut.
std::size_t table_width(const std::vector<std::vector<std::string>>& rows,
                        const TableLayout& layout = {});

/// Rows of equally many cells in at most `width` columns, two spaces between them, or one where
/// that is needed. What has no room follows below, beside the first column once more.
std::string table_text(const std::vector<std::vector<std::string>>& rows, std::size_t width,
                       const TableLayout& layout = {});

/// At most eight characters, whatever the size: 1.2345 1912.34 -250000 -5.2e+15
std::string short_number(double value);

/// The text with every line that is longer than `width` broken at spaces; what follows a break is
/// indented by four more than the line. A word that is too long stays whole.
std::string wrapped(const std::string& text, std::size_t width = kColumns);

}  // namespace nf::cli
