// Labels and columns as context.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "flows/condition.h"
#include "flows/layers/standardize.h"
#include "tensor/random.h"

namespace nf::flows {

/// Labels (N, 1) from 0 to classes - 1, of any dtype. The context is a row of zeros with a 1 at the
/// label, or with `embedding` > 0 so many learned numbers for each label, which begin as draws of
/// N(0, 1).
class LabelCondition : public Condition {
 public:
  LabelCondition(std::int64_t classes, std::int64_t embedding, Generator& gen);
  /// Throws Error for labels that are none of the classes, on the CPU. On a GPU, where looking
  /// would make the host wait, their context is zeros.
  Var context(const Var& given) override;
  std::int64_t context_dims() const override;
  std::int64_t given_dims() const override { return 1; }
  double flops(const Shape& in) const override;
  std::string kind() const override;

 private:
  Tensor& classes_;           // (K), 0 to K - 1
  Var* embedding_ = nullptr;  // (K, E)
};

/// Columns (N, G) of real numbers, standardised by the training rows. One that is constant there
/// keeps its unit: it tells nothing, but does no harm.
class ColumnCondition : public Condition {
 public:
  explicit ColumnCondition(const std::vector<std::string>& names);
  Var context(const Var& given) override { return standardize_.forward(given).value; }
  std::int64_t context_dims() const override { return dims_; }
  std::int64_t given_dims() const override { return dims_; }
  void initialize(const Tensor& given) override { standardize_.initialize(given); }
  double flops(const Shape& in) const override { return standardize_.flops(in); }
  std::string kind() const override { return str("ColumnCondition(", dims_, ")"); }

 private:
  std::int64_t dims_;
  Standardize& standardize_;
};

}  // namespace nf::flows
