#include "flows/examine/p_value.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "flows/examine/diagnose.h"
#include "tensor/error.h"

namespace nf::flows {

namespace {

double told(double score) {
  return std::isnan(score) ? -std::numeric_limits<double>::infinity() : score;
}

}  // namespace

HeldOutScores::HeldOutScores(std::vector<double> scores, Unusual unusual)
    : unusual_(unusual), scores_(std::move(scores)) {
  NF_CHECK(!scores_.empty(), "[p-value] there are no held-out scores to compare with");
  for (double& score : scores_) {
    score = told(score);
    if (std::isfinite(score)) mean_ += (score - mean_) / static_cast<double>(++finite_);
  }
  std::sort(scores_.begin(), scores_.end());
}

double HeldOutScores::rank(double score) const {
  const double here = told(score);
  return unusual_ == Unusual::Low ? here : -std::abs(here - mean_);
}

double HeldOutScores::p_value(double score) const {
  const auto upto = [&](double limit) {
    return std::upper_bound(scores_.begin(), scores_.end(), limit) - scores_.begin();
  };
  const double here = told(score);
  if (unusual_ == Unusual::Low) return (static_cast<double>(upto(here)) + 1) * least();
  if (!std::isfinite(here)) return (static_cast<double>(size() - finite_) + 1) * least();
  const double mean = mean_ + (here - mean_) / static_cast<double>(finite_ + 1);
  const double distance = std::abs(here - mean) * (1 - 1e-12);  // two are always as far
  // Scores ascend, and so does s - mean: those as far below come first, those as far above last.
  const auto below = std::partition_point(scores_.begin(), scores_.end(),
                                          [&](double s) { return s - mean <= -distance; });
  const auto above =
      std::partition_point(below, scores_.end(), [&](double s) { return s - mean < distance; });
  const auto as_far = (below - scores_.begin()) + (scores_.end() - above);
  return (static_cast<double>(as_far) + 1) * least();
}

HeldOutScores::Drift HeldOutScores::drift(const std::vector<double>& scores) const {
  constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();
  if (scores.empty()) return {kUnknown, kUnknown};
  std::vector<double> here, there;
  for (const double score : scores) here.push_back(rank(score));
  for (const double score : scores_) there.push_back(rank(score));
  std::sort(here.begin(), here.end());
  std::sort(there.begin(), there.end());
  const auto n = static_cast<double>(here.size()), m = static_cast<double>(there.size());
  double distance = 0;
  std::size_t i = 0, j = 0;
  while (i < here.size() && j < there.size()) {  // behind all that are equal, in both
    const double value = std::min(here[i], there[j]);
    while (i < here.size() && here[i] <= value) ++i;
    while (j < there.size() && there[j] <= value) ++j;
    distance =
        std::max(distance, std::abs(static_cast<double>(i) / n - static_cast<double>(j) / m));
  }
  return {distance, ks_p_value(distance, n * m / (n + m))};
}

std::vector<double> q_values(const std::vector<double>& p_values) {
  std::vector<std::size_t> order(p_values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return p_values[a] < p_values[b]; });
  std::vector<double> q(p_values.size());
  const auto m = static_cast<double>(p_values.size());
  double least = 1;
  for (std::size_t j = order.size(); j-- > 0;) {
    least = std::min(least, m * p_values[order[j]] / static_cast<double>(j + 1));
    q[order[j]] = least;
  }
  return q;
}

}  // namespace nf::flows
