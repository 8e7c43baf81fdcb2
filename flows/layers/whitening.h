// Whitening: linear layers that take the correlations out of the data, fitted or learned.
#pragma once

#include "flows/bijection.h"

namespace nf::flows {

/// ZCA whitening, z = W (x - mean), W = V diag(lambda)^-1/2 V^T for the covariance V diag(lambda)
/// V^T of the batch given to initialize(); until then the identity. log_det = -1/2 sum ln lambda, a
/// constant that has to be counted like any other. Not learned. (NICE, section 5.1; Krizhevsky
/// 2009)
class ZcaWhitening : public Bijection {
 public:
  explicit ZcaWhitening(std::int64_t dims);
  Mapped forward(const Var& x, const Var& context = {}) override;
  Mapped inverse(const Var& z, const Var& context = {}) override;
  /// Throws Error for fewer than two samples or a dimension that is constant in all of them.
  void initialize(const Samples& x) override;
  std::int64_t initial_rows() const override { return kAllRows; }
  double flops(const Shape& in) const override;
  std::string kind() const override { return str("ZcaWhitening(", mean_.numel(), ")"); }

 private:
  Tensor& mean_;     // (D)
  Tensor& whiten_;   // (D, D), W
  Tensor& colour_;   // (D, D), its inverse
  Tensor& log_det_;  // scalar
};

/// z = exp(d) * (x - m + S (x - m)) with S strictly lower triangular: the learned affine map L x +
/// b with L lower triangular of NICE, appendix B ("approximate whitening"). log_det = sum d.
///
/// initialize() sets L to the inverse Cholesky factor of the batch's covariance, with which a
/// standard normal base is the full-covariance Gaussian of best likelihood. S learns at
/// `rate` (nn::ParameterOptions): each of its rows has up to D entries, whose changes add up.
class TriangularWhitening : public Bijection {
 public:
  explicit TriangularWhitening(std::int64_t dims, double rate = 0.1);
  Mapped forward(const Var& x, const Var& context = {}) override;
  Mapped inverse(const Var& z, const Var& context = {}) override;
  void initialize(const Samples& x) override;  ///< throws like ZcaWhitening's
  std::int64_t initial_rows() const override { return kAllRows; }
  double flops(const Shape& in) const override;
  std::string kind() const override { return str("TriangularWhitening(", shift_.numel(), ")"); }

 private:
  Var strict() const;  // (D, D), S

  Var& shift_;         // (D), m
  Var& log_diagonal_;  // (D), d
  Var& below_;         // (D, D), S; what is not below the diagonal is not looked at
  Tensor& mask_;       // u8 (D, D), 1 below the diagonal
};

}  // namespace nf::flows
