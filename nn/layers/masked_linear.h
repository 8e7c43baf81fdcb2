// MaskedLinear: a linear layer whose outputs see some of its inputs only.
#pragma once

#include <cstdint>
#include <vector>

#include "nn/layers/linear.h"

namespace nf::nn {

/// A degree for every input or output: how many inputs of a whole network it may know.
using Degrees = std::vector<std::int32_t>;

struct MaskedLinearOptions {
  Degrees in, out;
  /// An output sees inputs of lower degree only; else those of its own degree, too.
  bool strict = false;
  std::optional<Activation> activation = {};
  Init init = {};
};

/// y = act(x (weight * mask)^T + bias): x (N, in), y (N, out), weight (out, in), bias (out).
/// mask[o, i] = 1 where the degree of input i is at most that of output o (`strict`: below it),
/// else 0. It follows from the options and is not part of the state. What is masked in `weight` is
/// never looked at and gets the gradient 0. Weights are drawn as for an output that has as many
/// inputs as it sees. (Germain, Gregor, Murray, Larochelle, "MADE" (2015), eq. 8 and 9)
class MaskedLinear : public Layer {
 public:
  /// Throws Error without inputs or outputs.
  MaskedLinear(const MaskedLinearOptions& options, Generator& gen);
  Var forward(const Var& x) override;
  std::string kind() const override;
  Shape out_shape(const Shape& in) const override { return {in.dim(0), linear_.out}; }
  Shape inspect(const Shape& in, const std::string& name,
                std::vector<LayerInfo>& rows) const override;
  /// As a whole product, which is what is computed.
  double flops(const Shape& in) const override { return linear_flops(in.dim(0), linear_); }

  const std::optional<Activation>& activation() const { return linear_.activation; }
  const Var& weight() const { return weight_; }  ///< (out, in), not masked
  const Var& bias() const { return bias_; }      ///< (out)
  Var& bias() { return bias_; }

 private:
  MaskedLinear(const MaskedLinearOptions& options, Tensor mask, Generator& gen);

  LinearOptions linear_;
  // u8 (out, in). It moves to the device of the first data and stays there: a step that is recorded
  // must find it where it looks.
  Tensor mask_;
  Var &weight_, &bias_;
};

}  // namespace nf::nn
