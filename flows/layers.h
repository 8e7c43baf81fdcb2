// Flow layers without a network: scaling, permutations, and the preprocessing of data.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "flows/bijection.h"
#include "tensor/random.h"

namespace nf::flows {

/// z = x * exp(s), one learned s per dimension. log_det = sum s. (NICE, section 3.3)
///
/// s starts at 0, or with `from_data` where initialize() finds that the batch has unit deviation.
/// It learns at `rate` (nn::ParameterOptions): Adam moves every parameter by about the learning
/// rate per step, which for s, whose range is several units, would be the slowest part of a model
/// (Glow has a factor 3 for the same reason).
class Scaling : public Bijection {
 public:
  explicit Scaling(std::int64_t dims, double rate = 1, bool from_data = true);
  Mapped forward(const Var& x, const Var& context = {}) override;
  Mapped inverse(const Var& z, const Var& context = {}) override;
  void initialize(const Samples& x) override;
  const Tensor& log_scale() const { return log_scale_.value(); }  ///< s, (D)
  double flops(const Shape& in) const override;
  std::string kind() const override { return str("Scaling(", log_scale_.numel(), ")"); }

 private:
  bool from_data_;
  Var& log_scale_;  // (D), s
};

/// z[:, i] = x[:, order[i]]. The order is a buffer: it is saved with the model.
class Permute : public Bijection {
 public:
  /// order: every one of 0..D-1 once; throws otherwise.
  explicit Permute(const std::vector<std::int32_t>& order);
  static std::shared_ptr<Permute> reverse(std::int64_t dims);
  static std::shared_ptr<Permute> random(std::int64_t dims, Generator& gen);
  Mapped forward(const Var& x, const Var& context = {}) override;
  Mapped inverse(const Var& z, const Var& context = {}) override;
  std::string kind() const override { return str("Permute(", order_.numel(), ")"); }

 private:
  Tensor& order_;  // i32 (D)
};

/// z = W x for a learned square W, at first a random rotation. log_det = log|det W|, from the
/// LU factors in f64. (Kingma, Dhariwal, "Glow" (2018), eq. 9, on vectors.) Between couplings it
/// lets them work along other directions than the axes.
class InvertibleLinear : public Bijection {
 public:
  InvertibleLinear(std::int64_t dims, Generator& gen);
  Mapped forward(const Var& x, const Var& context = {}) override;
  Mapped inverse(const Var& z, const Var& context = {}) override;  ///< throws when W is singular
  double flops(const Shape& in) const override;
  std::string kind() const override { return str("InvertibleLinear(", matrix_.dim(0), ")"); }

 private:
  Var& matrix_;  // (D, D)
};

/// The generator that Dequantize draws from, shared with whoever has to save, restore or reseed it.
using SharedGenerator = std::shared_ptr<Generator>;

/// Levels 0..K-1 to reals in [0, K): z = x + u, u ~ U[0, 1) fresh for every element of every call.
/// log_det 0; the expected log density is then a lower bound of the log probability of the level
/// (Uria, Murray, Larochelle 2013; Theis et al. 2016). inverse takes the floor, clamped to 0..K-1;
/// NaN and infinity stay what they are.
/// x may be u8 (becomes f32). Not differentiable in x.
class Dequantize : public Bijection {
 public:
  Dequantize(SharedGenerator noise, int levels = 256);
  Mapped forward(const Var& x, const Var& context = {}) override;
  Mapped inverse(const Var& z, const Var& context = {}) override;
  Mapped forward_rows(const Tensor& data, const Tensor& rows) override;
  int levels() const { return levels_; }
  double flops(const Shape& in) const override;
  std::string kind() const override { return str("Dequantize(", levels_, " levels)"); }

 private:
  SharedGenerator noise_;
  int levels_;
};

/// z = factor * x + shift with constants. log_det = D ln|factor|.
class Scale : public Bijection {
 public:
  explicit Scale(double factor, double shift = 0);
  Mapped forward(const Var& x, const Var& context = {}) override;
  Mapped inverse(const Var& z, const Var& context = {}) override;
  double flops(const Shape& in) const override;
  std::string kind() const override { return str("Scale(", factor_, ", ", shift_, ")"); }

 private:
  double factor_, shift_;
};

/// Whole numbers in some columns of a table become reals: z = x + u there, u ~ U[0, 1) fresh at
/// every call, and z = x in the others. log_det 0; like Dequantize, of which only the range is
/// missing, it makes the expected log density a lower bound. inverse takes the floor. The output is
/// f64, for a Standardize behind it: in f32 no noise is left beside large numbers. Not
/// differentiable in x.
class DequantizeColumns : public Bijection {
 public:
  /// `columns`: positions from 0 of D dimensions.
  DequantizeColumns(SharedGenerator noise, std::int64_t dims,
                    const std::vector<std::int32_t>& columns);
  Mapped forward(const Var& x, const Var& context = {}) override;
  Mapped inverse(const Var& z, const Var& context = {}) override;
  bool takes_f64() const override { return true; }
  /// x + 1/2 in these columns, f64.
  Tensor middle(const Tensor& x) const;
  std::string kind() const override;

 private:
  SharedGenerator noise_;
  Tensor& integer_;  // (D), 1 for the columns of whole numbers, else 0
};

/// z = (x - mean) / std for each dimension, with buffers that initialize() fits to the training
/// data. log_det = -sum ln std. The identity until then.
///
/// x may be f64 beside f32 parameters, and should be for columns far from 0: z is then computed in
/// f64 and rounded. The mean is the sum of two buffers, so that f32 files hold it to f64's digits.
class Standardize : public Bijection {
 public:
  /// `names` of the D columns, for the error of initialize(), or none. `wide`: inverse gives f64,
  /// which can tell 1.7e9 from 1.7e9 + 1. `spread`: none, or the std of each column that may be
  /// constant in the training data, 0 for the others.
  explicit Standardize(std::int64_t dims, std::vector<std::string> names = {}, bool wide = false,
                       std::vector<double> spread = {});
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
  bool wide_;
  Tensor& mean_;       // (D)
  Tensor& mean_rest_;  // (D), what mean_ is rounded by
  Tensor& std_;        // (D)
};

/// In 32 bits 1 - alpha is 1 below it, and the logit of 1 infinite.
inline constexpr double kLeastAlpha = 6e-8;

/// z = ln s - ln(1 - s), s = alpha + (1 - 2 alpha) x, for x in [0, 1].
/// log_det = sum ln(1 - 2 alpha) + softplus(z) + softplus(-z). (RealNVP, section 4.1)
class Logit : public Bijection {
 public:
  explicit Logit(double alpha = 1e-6);
  Mapped forward(const Var& x, const Var& context = {}) override;
  Mapped inverse(const Var& z, const Var& context = {}) override;
  double flops(const Shape& in) const override;
  std::string kind() const override { return str("Logit(alpha ", alpha_, ")"); }

 private:
  Var log_det_at(const Var& z) const;
  double alpha_;
};

}  // namespace nf::flows
