// Amortised: the numbers of a layer, its own or a function of the context.
#pragma once

#include <string>

#include "autograd/functions.h"
#include "nn/module.h"
#include "tensor/random.h"

namespace nf::flows {

/// P numbers that a layer's map is made of: the same for all samples, or with a context (N, C) for
/// each sample weight * context + own. A network that shares its context with many layers thus sets
/// all of them: amortised inference.
class Amortised : public nn::Module {
 public:
  /// initial (P), f32: what `own` begins as. The weights begin small: a context of unit numbers
  /// moves each of the P by about a tenth. context: C, or 0 without any.
  Amortised(const Tensor& initial, std::int64_t context, Generator& gen);
  /// (1, P), or (N, P) with a context, of `rows` samples. Throws Error for a context that is
  /// missing, or of another shape.
  Var operator()(const Var& context, std::int64_t rows) const;
  bool given() const { return weight_ != nullptr; }
  std::string kind() const override;
  double flops(const Shape& in) const override;

 private:
  Var& own_;               // (P)
  Var* weight_ = nullptr;  // (P, C)
};

}  // namespace nf::flows
