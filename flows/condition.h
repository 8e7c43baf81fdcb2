// Condition: from what is given beside data to the context that layers condition on.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "autograd/functions.h"
#include "flows/samples.h"
#include "nn/module.h"

namespace nf::flows {

/// What a conditional density p(x | given) begins with. Kinds of it are in layers/conditions.h.
class Condition : public nn::Module {
 public:
  /// The context (N, C), in the parameters' dtype, of what is given: (N, G) as data have it.
  virtual Var context(const Var& given) = 0;
  virtual std::int64_t context_dims() const = 0;  ///< C
  virtual std::int64_t given_dims() const = 0;    ///< G
  /// Sets initial values from what is given with all training rows.
  virtual void initialize(const Tensor& /*given*/) {}
  Shape out_shape(const Shape& in) const override { return {in.dim(0), context_dims()}; }
};

/// The same row is given with every sample: p(x | given) as a density of x alone.
class FixedCondition : public Condition {
 public:
  /// given (1, G) for `inner`.
  FixedCondition(std::shared_ptr<Condition> inner, Tensor given)
      : inner_(add_module("", std::move(inner))), given_(std::move(given)) {}
  /// (1, C), which the density takes for every sample.
  Var context(const Var&) override { return inner_.context(given_.to(inner_.device())); }
  std::int64_t context_dims() const override { return inner_.context_dims(); }
  std::int64_t given_dims() const override { return 0; }
  std::string kind() const override { return "Fixed" + inner_.kind(); }

 private:
  Condition& inner_;
  Tensor given_;
};

}  // namespace nf::flows
