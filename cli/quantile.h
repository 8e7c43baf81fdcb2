// Quantiles of draws, as commands tell them.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

namespace nf::cli {

/// Of numbers in ascending order. Between two of them it is linear, as NumPy's quantile() by
/// default; of whole numbers it is the least with a share of `at` up to it.
inline double quantile_of(const std::vector<double>& sorted, double at, bool whole) {
  const auto n = static_cast<double>(sorted.size());
  if (whole) {
    return sorted[static_cast<std::size_t>(std::clamp(std::ceil(at * n) - 1, 0.0, n - 1))];
  }
  const double place = at * (n - 1), below = std::floor(place);
  const auto i = static_cast<std::size_t>(below);
  const double next = sorted[std::min(i + 1, sorted.size() - 1)];
  return sorted[i] + (place - below) * (next - sorted[i]);
}

}  // namespace nf::cli
