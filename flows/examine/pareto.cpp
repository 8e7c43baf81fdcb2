#include "flows/examine/pareto.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "tensor/error.h"

namespace nf::flows {

namespace {

constexpr std::size_t kLeastTail = 5;

double mean_log1p(double b, const std::vector<double>& x) {
  double total = 0;
  for (const double value : x) total += std::log1p(-b * value);
  return total / static_cast<double>(x.size());
}

}  // namespace

// A mean of k over a grid of b = -k / sigma, weighted by the likelihood of each.
double generalized_pareto_shape(const std::vector<double>& x) {
  NF_CHECK(x.size() >= kLeastTail, "[pareto] needs ", kLeastTail, " values, got ", x.size());
  constexpr double kPriorB = 3, kPriorK = 10;
  const auto n = static_cast<double>(x.size());
  const auto points = static_cast<std::size_t>(30 + std::floor(std::sqrt(n)));
  const double quartile = x[static_cast<std::size_t>(n / 4 + 0.5) - 1];
  std::vector<double> b, likelihood;
  for (std::size_t j = 1; j <= points; ++j) {
    const double at = 1 - std::sqrt(static_cast<double>(points) / (static_cast<double>(j) - 0.5));
    b.push_back(at / (kPriorB * quartile) + 1 / x.back());
    const double k = mean_log1p(b.back(), x);
    likelihood.push_back(n * (std::log(-b.back() / k) - k - 1));
  }
  const double highest = *std::max_element(likelihood.begin(), likelihood.end());
  double total = 0, mean_b = 0;
  for (std::size_t j = 0; j < points; ++j) {
    const double weight = std::exp(likelihood[j] - highest);
    total += weight;
    mean_b += weight * b[j];
  }
  return (n * mean_log1p(mean_b / total, x) + kPriorK * 0.5) / (n + kPriorK);
}

double pareto_k(std::vector<double> log_weights) {
  const auto count = static_cast<double>(log_weights.size());
  const auto tail =
      static_cast<std::size_t>(std::ceil(std::min(0.2 * count, 3 * std::sqrt(count))));
  if (tail < kLeastTail || tail >= log_weights.size())
    return std::numeric_limits<double>::infinity();
  std::sort(log_weights.begin(), log_weights.end());
  const double highest = log_weights.back();
  const auto first = log_weights.end() - static_cast<std::ptrdiff_t>(tail);
  const double cutoff =
      std::exp(std::max(*(first - 1) - highest, std::log(std::numeric_limits<double>::min())));
  std::vector<double> beyond;
  for (auto at = first; at != log_weights.end(); ++at) {
    const double above = std::exp(*at - highest) - cutoff;
    if (above > 0) beyond.push_back(above);
  }
  if (beyond.empty() || beyond.back() < 1e-12) return -std::numeric_limits<double>::infinity();
  if (beyond.size() < kLeastTail) return std::numeric_limits<double>::infinity();
  return generalized_pareto_shape(beyond);
}

Evidence evidence_of(const std::vector<double>& log_weights) {
  NF_CHECK(!log_weights.empty(), "[evidence] needs weights");
  const double highest = *std::max_element(log_weights.begin(), log_weights.end());
  double sum = 0, squares = 0;
  for (const double value : log_weights) {
    NF_CHECK(!std::isnan(value), "[evidence] a weight is NaN");
    sum += std::exp(value - highest);
    squares += std::exp(2 * (value - highest));
  }
  NF_CHECK(std::isfinite(highest), "[evidence] all weights are zero, or one is infinite");
  const auto n = static_cast<double>(log_weights.size());
  const double mean = sum / n, variance = std::max(0.0, squares / n - mean * mean);
  return {.log_mean = highest + std::log(mean),
          .error = std::sqrt(variance / std::max(1.0, n - 1)) / mean,
          .effective = sum * sum / squares,
          .k = pareto_k(log_weights)};
}

std::string pareto_words(double k) {
  const std::string blind = "; k knows nothing of parts of the target where no draw comes";
  if (k < 0.5) return "good: the weights have a finite variance" + blind;
  if (k < 0.7) return "usable: the weights have heavy tails" + blind;
  if (k < 1) return "unreliable: the weights have no finite variance, the evidence may be far off";
  return "useless: the weights have no finite mean; the model misses a part of the target";
}

}  // namespace nf::flows
