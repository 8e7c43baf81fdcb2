#include "nn/layers/lipschitz.h"

#include "tensor/names.h"

namespace nf::nn {

namespace {

enum class LipschitzKind { Elu, LipSwish };

const Names<LipschitzKind>& lipschitz_kinds() {
  static const Names<LipschitzKind> names(
      "activation", {{"elu", LipschitzKind::Elu}, {"lipswish", LipschitzKind::LipSwish}});
  return names;
}

constexpr double kSteepestSwish = 1.1;

}  // namespace

std::vector<std::string> lipschitz_names() { return lipschitz_kinds().all(); }

std::shared_ptr<LipschitzActivation> lipschitz_activation(const std::string& name) {
  if (lipschitz_kinds().at(name) == LipschitzKind::Elu) return std::make_shared<Elu>();
  return std::make_shared<LipSwish>();
}

LipSwish::LipSwish() : beta_(add_parameter("beta", Tensor::full({}, 0.5))) {}

// silu(b x) / b is x sigmoid(b x).
Var LipSwish::forward(const Var& x) {
  const Var b = softplus(beta_);
  return silu(x * b) / (b * kSteepestSwish);
}

// With s = sigmoid(b x): the slope is s + b x s (1 - s).
LipschitzActivation::Bent LipSwish::bent(const Var& x) {
  const Var bx = x * softplus(beta_), s = sigmoid(bx);
  const Var scaled = s * (1 / kSteepestSwish);
  return {x * scaled, scaled * (1 + bx * (1 - s))};
}

// Below 0 the slope is exp(x), which is the value + 1.
LipschitzActivation::Bent Elu::bent(const Var& x) {
  const Var value = elu(x);
  return {value, 1 - relu(-value)};
}

}  // namespace nf::nn
