// Columns of tables get mean 0 and deviation 1.
#pragma once

#include <string>
#include <vector>

#include "flows/bijection.h"

namespace nf::flows {

/// z = (x - mean) / std for each dimension, with buffers that initialize() fits to the training
/// data. log_det = -sum ln std. The identity until then.
///
/// x may be f64 beside f32 parameters, and should be for columns far from 0: z is then computed in
/// f64 and rounded. The mean is the sum of two buffers, so that f32 files hold it to f64's digits.
class Standardize : public Bijection {
 public:
  /// `names` of the D columns, for the error of initialize(), or none. `wide`: inverse gives f64,
  /// which can tell 1.7e9 from 1.7e9 + 1. `spread`: none, or the std of each column that may be
  /// constant in the training data, 0 for the others. `gaps`: NaN stands for a missing cell, of
  /// which initialize() knows nothing.
  explicit Standardize(std::int64_t dims, std::vector<std::string> names = {}, bool wide = false,
                       std::vector<double> spread = {}, bool gaps = false);
  Mapped forward(const Var& x, const Var& context = {}) override;
  Mapped inverse(const Var& z, const Var& context = {}) override;
  bool takes_f64() const override { return true; }
  /// Throws Error, naming the columns, for those that are constant: they have no density; and for
  /// those that vary by less than f32 can hold.
  void initialize(const Samples& x) override;
  std::int64_t initial_rows() const override { return kAllRows; }
  double flops(const Shape& in) const override;
  std::string kind() const override { return str("Standardize(", mean_.numel(), ")"); }

 private:
  std::string column_name(std::int64_t i) const;

  std::vector<std::string> names_;
  std::vector<double> spread_;
  bool wide_, gaps_;
  Tensor& mean_;       // (D)
  Tensor& mean_rest_;  // (D), what mean_ is rounded by
  Tensor& std_;        // (D)
};

}  // namespace nf::flows
