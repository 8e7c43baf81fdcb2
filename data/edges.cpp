#include "data/edges.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>

namespace nf::data {

namespace {

constexpr std::size_t kFewest = 200;  // draws

// The number of fewest digits in [low, high), of several the nearest to `high`.
double roundest(double low, double high) {
  if (low <= 0 && high > 0) return 0;
  for (int e = static_cast<int>(std::ceil(std::log10(high - low))) + 2;; --e) {
    // 10^|e| is exact, so that the quotient is the double next to the decimal number.
    const double power = std::pow(10.0, std::abs(e));
    const double steps = std::ceil(e < 0 ? high * power : high / power) - 1;
    const double number = e < 0 ? steps / power : steps * power;
    if (number >= low && number < high) return number;
    if (e < -20) return low;
  }
}

// Below draws in ascending order.
std::optional<double> lower_edge(const std::vector<double>& sorted) {
  const std::size_t k = std::min<std::size_t>(100, sorted.size() / 10);
  const double near = sorted[k] - sorted[0], far = sorted[2 * k] - sorted[0];
  constexpr double kEdge = 1.7, kSpacings = 10;
  if (!(near > 0) || far < kEdge * near) return {};
  return roundest(sorted[0] - kSpacings * near / static_cast<double>(k), sorted[0]);
}

}  // namespace

Edges edges_of(std::vector<double> draws) {
  const auto is_whole = [](double x) { return x == std::floor(x); };
  if (draws.size() < kFewest || std::all_of(draws.begin(), draws.end(), is_whole)) return {};
  Edges edges;
  std::sort(draws.begin(), draws.end());
  if (const auto low = lower_edge(draws)) edges.low = *low;
  std::transform(draws.begin(), draws.end(), draws.begin(), std::negate<>());
  std::reverse(draws.begin(), draws.end());
  if (const auto low = lower_edge(draws)) edges.high = 0 - *low;  // no -0
  return edges;
}

}  // namespace nf::data
