#include "cli/column_numbers.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "cli/lines.h"
#include "cli/quantile.h"

namespace nf::cli {

namespace {

constexpr double kLong = 1e15;  // beyond it a double knows no decimals

// Of the 1 in 10^k that begins a number.
int exponent_of(double size) { return static_cast<int>(std::floor(std::log10(size))); }

// Positive.
double distance_of(const std::vector<double>& sorted) {
  constexpr double kShares[] = {0.05, 0.25, 0.5, 0.75, 0.95};
  constexpr double kLeast = 1e-3;
  const auto at = [&](double share) { return quantile_of(sorted, share, /*whole=*/true); };
  const double range = at(kShares[4]) - at(kShares[0]);
  if (!(range > 0)) {
    const double all = sorted.back() - sorted.front(), size = std::abs(sorted.back());
    return all > 0 ? all : size > 0 ? size : 1;
  }
  double least = range;
  for (int i = 0; i < 4; ++i) {
    const double distance = at(kShares[i + 1]) - at(kShares[i]);
    if (distance > 0) least = std::min(least, distance);
  }
  return std::max(least, kLeast * range);
}

}  // namespace

ColumnNumbers::ColumnNumbers(const std::vector<double>& sorted) {
  constexpr int kDigits = 4, kMost = 17;
  if (sorted.empty()) return;
  whole_ = std::all_of(sorted.begin(), sorted.end(),
                       [](double value) { return value == std::floor(value); });
  one_sign_ = sorted.front() > 0 || sorted.back() < 0;
  const int decimals = kDigits - 1 - exponent_of(distance_of(sorted));
  decimals_ = std::max(0, decimals);
  const double largest = std::max(std::abs(sorted.front()), std::abs(sorted.back()));
  if (largest > 0) digits_ = std::clamp(exponent_of(largest) + 1 + decimals, kDigits + 1, kMost);
}

std::string ColumnNumbers::text(double value) const {
  constexpr int kMostDecimals = 7;
  if (!std::isfinite(value)) return fixed(value, 0);
  if (std::abs(value) < kLong) {
    if (whole_ && value == std::floor(value)) return fixed(value, 0);
    const bool lost = one_sign_ && value != 0 && std::abs(value) < 0.5 * std::pow(10, -decimals_);
    if (decimals_ <= kMostDecimals && !lost) return fixed(value, decimals_);
  }
  constexpr int kOfTiny = 2;
  const bool tiny = std::abs(value) < 1 && decimals_ <= kMostDecimals;
  char text[40];
  std::snprintf(text, sizeof text, "%.*g", tiny ? kOfTiny : digits_, value);
  return text;
}

}  // namespace nf::cli
