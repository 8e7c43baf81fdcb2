// Activations whose slope is at most 1, and has a derivative: for blocks with a bound.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "nn/layers/linear.h"

namespace nf::nn {

/// Elementwise, |act'| <= 1.
class LipschitzActivation : public Layer {
 public:
  /// act(x) and act'(x), both differentiable: a Jacobian that is differentiated needs act''.
  struct Bent {
    Var value, slope;
  };
  virtual Bent bent(const Var& x) = 0;
};

/// "elu", "lipswish".
std::vector<std::string> lipschitz_names();
/// A new one. Throws Error for other names.
std::shared_ptr<LipschitzActivation> lipschitz_activation(const std::string& name);

/// x * sigmoid(b x) / 1.1 with one learned b = softplus(beta), beta from 0.5. The largest slope of
/// x sigmoid(x) is 1.0998. (Chen et al., "Residual flows for invertible generative modeling"
/// (2019), section 3.3)
class LipSwish : public LipschitzActivation {
 public:
  LipSwish();
  Var forward(const Var& x) override;
  Bent bent(const Var& x) override;
  std::string kind() const override { return "LipSwish"; }
  double flops(const Shape& in) const override { return 4 * static_cast<double>(in.numel()); }

 private:
  Var& beta_;  // a scalar
};

/// x above 0, exp(x) - 1 below. Its second derivative jumps at 0, where that of above is taken.
/// (Clevert et al. 2016)
class Elu : public LipschitzActivation {
 public:
  Var forward(const Var& x) override { return elu(x); }
  Bent bent(const Var& x) override;
  std::string kind() const override { return "Elu"; }
  double flops(const Shape& in) const override { return static_cast<double>(in.numel()); }
};

}  // namespace nf::nn
