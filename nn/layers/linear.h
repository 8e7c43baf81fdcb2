// Layer: Var in, Var out; activations by name, and Linear.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "autograd/functions.h"
#include "nn/init.h"
#include "nn/module.h"

namespace nf::nn {

class Layer : public Module {
 public:
  virtual Var forward(const Var& x) = 0;
  /// Sets initial values that follow from data, from inputs of this layer, and returns what forward
  /// gives then. A layer that begins from its draws alone, as most do, says so by initial_rows() =
  /// 0 and is not called for its own sake.
  virtual Var initialize(const Var& x) { return (*this)(x); }
  /// Rows that initialize() wants to see.
  virtual std::int64_t initial_rows() const { return 0; }
  /// forward(), as those call it who hold the layer: a Profile is told whose it is.
  Var operator()(const Var& x) {
    const Call call(*this);
    return forward(x);
  }
};

/// An elementwise nonlinearity: a unary operation with its constants.
struct Activation {
  UnaryOp op = UnaryOp::Relu;
  OpArgs args;

  Var operator()(Var x) const { return unary(op, std::move(x), args); }
};

/// "relu", "leaky_relu", "elu", "gelu", "silu", "tanh", "sigmoid", "softplus". Throws for others.
Activation activation_by_name(const std::string& name);
std::vector<std::string> activation_names();

struct LinearOptions {
  std::int64_t in = 0;
  std::int64_t out = 0;
  bool bias = true;
  std::optional<Activation> activation = {};
  Init init = {};
};

/// act(x w^T + bias): x (N, in), w (out, in), bias (out) or undefined; without an activation
/// linear. Product, bias and activation are one kernel when the activation's derivative is a
/// function of its output.
Var linear_with(const std::optional<Activation>& activation, const Var& x, const Var& w,
                const Var& bias);
/// Floating-point operations of that for N rows; see Module::flops.
double linear_flops(std::int64_t rows, const LinearOptions& options);

/// y = act(x weight^T + bias): x (N, in), y (N, out), weight (out, in), bias (out) from 0, as
/// linear_with() has it.
class Linear : public Layer {
 public:
  Linear(const LinearOptions& options, Generator& gen);
  Var forward(const Var& x) override;
  std::string kind() const override;
  Shape out_shape(const Shape& in) const override { return {in.dim(0), options_.out}; }
  double flops(const Shape& in) const override;

 private:
  LinearOptions options_;
  Var* weight_;
  Var* bias_ = nullptr;
};

}  // namespace nf::nn
