// How unusual a score is, beside those of rows that a model was not trained on.
#pragma once

#include <cstdint>
#include <vector>

namespace nf::flows {

/// Which scores are unusual: low ones, or those that are far from the mean of the held-out ones on
/// either side. Of many dimensions no draw has a density near the highest: what is more likely than
/// nearly all draws is as foreign as what is less likely (Nalisnick et al., "Detecting
/// out-of-distribution inputs to deep generative models using typicality", 2019, for one row).
enum class Unusual { Low, Far };

/// The log densities of held-out rows. A row drawn as they were has a p-value that is uniform on
/// 1/(n+1), 2/(n+1), ..., 1, so that one in a hundred of such rows is below 0.01 whatever the
/// shape of the density: a conformal p-value (Vovk, Gammerman, Shafer 2005). A NaN, a density that
/// cannot even be told, is below every number. With Unusual::Far the new row counts in the mean
/// from which all distances are, as one among n + 1 alike.
class HeldOutScores {
 public:
  /// Throws Error for none.
  explicit HeldOutScores(std::vector<double> scores, Unusual unusual = Unusual::Low);

  /// (k + 1) / (n + 1), where k of the n held-out rows are at least as unusual; ties count.
  double p_value(double score) const;
  /// Whether scores are drawn as the held-out ones were, all together: the Kolmogorov-Smirnov
  /// distance of the two samples, which is that of the scores' p-values from uniform ones but for
  /// 1/(n+1), and its p-value. NaN without scores.
  struct Drift {
    double distance, p_value;
  };
  Drift drift(const std::vector<double>& scores) const;
  /// The lower the more unusual: the score, or minus its distance from mean(); -infinity for NaN.
  double rank(double score) const;
  double mean() const { return mean_; }                                     ///< of the finite ones
  double least() const { return 1.0 / (static_cast<double>(size()) + 1); }  ///< of all p-values
  std::int64_t size() const { return std::ssize(scores_); }                 ///< n

 private:
  Unusual unusual_;
  double mean_ = 0;
  std::int64_t finite_ = 0;
  std::vector<double> scores_;  // ascending, -infinity for NaN
};

/// Of each p-value the q-value: among the rows whose q-value is at most q, the expected share of
/// ordinary ones is at most q (Benjamini, Hochberg 1995). With p_(1) <= ... <= p_(m) it is the
/// least m p_(j) / j of those that are not below it. Conformal p-values of one set of held-out rows
/// depend on each other in a way that keeps this true (Bates et al. 2023).
std::vector<double> q_values(const std::vector<double>& p_values);

}  // namespace nf::flows
