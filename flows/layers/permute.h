// Layers that mix dimensions: permutations and learned matrices.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "flows/bijection.h"
#include "tensor/random.h"

namespace nf::flows {

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

}  // namespace nf::flows
