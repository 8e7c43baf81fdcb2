#include "flows/examine/p_value.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "tensor/error.h"

namespace nf::flows {

namespace {

double rank_of(double score) {
  return std::isnan(score) ? -std::numeric_limits<double>::infinity() : score;
}

}  // namespace

HeldOutScores::HeldOutScores(std::vector<double> scores) : scores_(std::move(scores)) {
  NF_CHECK(!scores_.empty(), "[p-value] there are no held-out scores to compare with");
  std::transform(scores_.begin(), scores_.end(), scores_.begin(), rank_of);
  std::sort(scores_.begin(), scores_.end());
}

double HeldOutScores::p_value(double score) const {
  const auto above = std::upper_bound(scores_.begin(), scores_.end(), rank_of(score));
  return (static_cast<double>(above - scores_.begin()) + 1) * least();
}

}  // namespace nf::flows
