// Layers that mix dimensions: permutations and learned matrices.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "flows/bijection.h"
#include "tensor/random.h"

namespace nf::flows {

/// z[..., i] = x[..., order[i]], for rows (N, D) or at every pixel of images (N, H, W, D). The
/// order is a buffer: it is saved with the model.
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

/// z = W x for a learned square W, at first a random rotation, for rows (N, D) or the channels of
/// every pixel (a 1x1 convolution). log_det = H W log|det W|, from the LU factors in f64. (Kingma,
/// Dhariwal, "Glow" (2018), eq. 9.) Between couplings it lets them work along other directions than
/// the axes.
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

/// The same with W = P L (U + diag(sign * exp(s))): P and the signs stay, L has ones on its
/// diagonal, U is strictly upper, and log_det = H W sum s needs no determinant. It begins as the
/// same random rotation. (Kingma, Dhariwal 2018, eq. 10)
class InvertibleLu : public Bijection {
 public:
  InvertibleLu(std::int64_t dims, Generator& gen);
  Mapped forward(const Var& x, const Var& context = {}) override;
  Mapped inverse(const Var& z, const Var& context = {}) override;
  double flops(const Shape& in) const override;
  std::string kind() const override { return str("InvertibleLu(", sign_.numel(), ")"); }

 private:
  Var matrix() const;

  Tensor &permutation_, &sign_, &below_;  // (D, D), (D), (D, D) with 1 below the diagonal
  Var &lower_, &upper_, &log_scale_;      // (D, D), (D, D), (D)
};

}  // namespace nf::flows
