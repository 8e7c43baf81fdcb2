// Bend: a flow layer of one's own, in this header and bend.cpp.
#pragma once

#include <cstdint>
#include <string>

#include "flows/bijection.h"

/// z = x exp(right) where x >= 0, x exp(left) elsewhere: a line with a bend at 0, of two learned
/// slopes for each dimension, both 1 at first. log_det = sum over dimensions of the log slope used.
class Bend : public nf::flows::Bijection {
 public:
  explicit Bend(std::int64_t dims)
      : left_(add_parameter("left", nf::Tensor::zeros({dims}))),
        right_(add_parameter("right", nf::Tensor::zeros({dims}))) {}

  nf::flows::Mapped forward(const nf::Var& x, const nf::Var& context = {}) override;
  nf::flows::Mapped inverse(const nf::Var& z, const nf::Var& context = {}) override;
  std::string kind() const override { return nf::str("Bend(", left_.numel(), ")"); }

 private:
  nf::Var log_slope(const nf::Tensor& at) const;

  nf::Var& left_;  // (D), log slopes
  nf::Var& right_;
};
