#include "flows/examine/p_value.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

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

}  // namespace nf::flows
