// The classifier that Bayes' rule makes of p(x | label).
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "flows/train/evaluate.h"

namespace nf::flows {

/// ln p(x | k) of each row (N, D) for each label k = 0 .. K-1: f64 (N, K), row after row. A row has
/// the same noise for all labels. `options.given` is not looked at; `progress` is told after each
/// label how many are done. Throws Error for a density that is not given one number.
Tensor label_scores(Density& density, const Tensor& x, int classes,
                    const EvaluateOptions& options = {},
                    const std::function<void(std::int64_t done)>& progress = {});

/// ln p(k | x), p(k | x) being proportional to p(x | k)^(1/T) p(k): f64 (N, K) of scores (N, K) and
/// the ln p(k) of each label (K). T = 1 is Bayes' rule. A T above 1 makes the classifier less sure:
/// a density of many dimensions errs by a few nats in each row, which Bayes' rule takes for
/// evidence. A row that has no density under any label, or a NaN, gets NaN.
Tensor log_posterior(const Tensor& scores, const std::vector<double>& log_prior,
                     double temperature = 1);

/// The temperature T in [0.01, 10^6] with the smallest cross entropy on rows with known labels,
/// i32 (N) (Guo, Pleiss, Sun, Weinberger 2017, "temperature scaling"; here p(k) is not scaled).
double fit_temperature(const Tensor& scores, const std::vector<double>& log_prior,
                       const Tensor& labels);

/// The label with the largest ln p(k | x) (N, K) of each row; the first of equal ones, -1 for NaN.
std::vector<std::int32_t> most_probable(const Tensor& log_posterior);

/// How often a classifier is right, and whether it knows how often.
struct Classification {
  MeanAndError accuracy;
  /// Mean of -ln p(true label | x), nats. It is infinite when one true label has probability 0.
  MeanAndError cross_entropy;
  double confidence = 0;  ///< mean probability of the predicted label
  /// Mean over rows of |accuracy - confidence| within bins of equal width of the confidence: the
  /// expected calibration error (Naeini, Cooper, Hauskrecht 2015).
  double calibration_error = 0;
  struct Bin {
    std::int64_t count = 0;
    double confidence = 0, accuracy = 0;  ///< means; 0 in an empty bin
  };
  static constexpr int kBins = 15;
  std::vector<Bin> bins;
  std::vector<std::int64_t> confusion;  ///< (K, K): rows of each true label, by predicted label
  std::int64_t undecided = 0;           ///< rows with NaN; they count as wrong and 0 sure
};
/// log_posterior (N, K), labels i32 (N) of 0 .. K-1. Throws Error for no rows and other shapes.
Classification classification_of(const Tensor& log_posterior, const Tensor& labels);

}  // namespace nf::flows
