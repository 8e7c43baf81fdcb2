#include "nn/layers/masked_linear.h"

#include <cmath>

namespace nf::nn {

namespace {

Tensor mask_of(const MaskedLinearOptions& options) {
  NF_CHECK(!options.in.empty() && !options.out.empty(),
           "[MaskedLinear] sizes must be positive, got ", options.in.size(), " -> ",
           options.out.size());
  const auto as_tensor = [](const Degrees& degrees, bool rows) {
    const std::int64_t n = std::ssize(degrees);
    return Tensor::from(degrees, rows ? Shape{n, 1} : Shape{1, n});
  };
  const Tensor in = as_tensor(options.in, false), out = as_tensor(options.out, true);
  return options.strict ? less(in, out) : less_equal(in, out);
}

// Kaiming's, Xavier's and orthogonal weights are smaller the more inputs a unit has. Rows that see
// a part of the inputs only are drawn as for as many.
Tensor weight_of(const MaskedLinearOptions& options, const Tensor& mask, Generator& gen) {
  const Tensor drawn = initial_weight(options.init, gen, mask.dim(0), mask.dim(1));
  const Init::Kind kind = options.init.kind;
  if (kind != Init::Kind::Kaiming && kind != Init::Kind::Xavier && kind != Init::Kind::Orthogonal) {
    return drawn;
  }
  const Tensor seen = clamp(sum(mask.to(DType::F32), {1}, true), 1, INFINITY);
  return drawn * sqrt(reciprocal(seen) * static_cast<double>(mask.dim(1)));
}

}  // namespace

MaskedLinear::MaskedLinear(const MaskedLinearOptions& options, Generator& gen)
    : MaskedLinear(options, mask_of(options), gen) {}

MaskedLinear::MaskedLinear(const MaskedLinearOptions& options, Tensor mask, Generator& gen)
    : linear_({.in = mask.dim(1),
               .out = mask.dim(0),
               .activation = options.activation,
               .init = options.init}),
      mask_(std::move(mask)),
      weight_(add_parameter("weight", weight_of(options, mask_, gen))),
      bias_(add_parameter("bias", Tensor::zeros({linear_.out}))) {}

Var MaskedLinear::forward(const Var& x) {
  const Tensor& w = weight_.value();
  if (mask_.device() != w.device()) mask_ = mask_.to(w.device());
  const Tensor zero = Tensor::zeros({}, w.dtype(), w.device());
  return linear_with(linear_.activation, x, where(mask_, weight_, zero), bias_);
}

// Backward needs the masked weights, once for a batch.
Shape MaskedLinear::inspect(const Shape& in, const std::string& name,
                            std::vector<LayerInfo>& rows) const {
  const Shape out = Layer::inspect(in, name, rows);
  rows.back().beside = static_cast<double>(weight_.numel());
  return out;
}

std::string MaskedLinear::kind() const {
  const auto& act = linear_.activation;
  return str("MaskedLinear(", linear_.in, " -> ", linear_.out,
             act ? str(", ", name_of(act->op)) : "", ")");
}

}  // namespace nf::nn
