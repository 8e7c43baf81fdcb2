// How unusual a score is, beside those of rows that a model was not trained on.
#pragma once

#include <cstdint>
#include <vector>

namespace nf::flows {

/// The log densities of held-out rows. A row drawn as they were has a p-value that is uniform on
/// 1/(n+1), 2/(n+1), ..., 1, so that one in a hundred of such rows is below 0.01 whatever the
/// shape of the density: a conformal p-value (Vovk, Gammerman, Shafer 2005). A NaN, a density that
/// cannot even be told, is below every number.
class HeldOutScores {
 public:
  explicit HeldOutScores(std::vector<double> scores);  ///< throws Error for none

  /// (k + 1) / (n + 1), where k of the n held-out rows are at least as unlikely; ties count.
  double p_value(double score) const;
  double least() const { return 1.0 / (static_cast<double>(size()) + 1); }  ///< of all p-values
  std::int64_t size() const { return std::ssize(scores_); }                 ///< n

 private:
  std::vector<double> scores_;  // ascending, -infinity for NaN
};

}  // namespace nf::flows
