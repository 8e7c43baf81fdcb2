#include "flows/examine/p_value.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "tensor/error.h"

namespace nf::flows {

HeldOutScores::HeldOutScores(std::vector<double> scores, Unusual unusual)
    : unusual_(unusual), ranks_(std::move(scores)) {
  NF_CHECK(!ranks_.empty(), "[p-value] there are no held-out scores to compare with");
  double finite = 0;
  for (const double score : ranks_) {
    if (std::isfinite(score)) mean_ += (score - mean_) / ++finite;
  }
  for (double& score : ranks_) score = rank(score);
  std::sort(ranks_.begin(), ranks_.end());
}

double HeldOutScores::rank(double score) const {
  if (std::isnan(score)) return -std::numeric_limits<double>::infinity();
  return unusual_ == Unusual::Low ? score : -std::abs(score - mean_);
}

double HeldOutScores::p_value(double score) const {
  const auto above = std::upper_bound(ranks_.begin(), ranks_.end(), rank(score));
  return (static_cast<double>(above - ranks_.begin()) + 1) * least();
}

}  // namespace nf::flows
