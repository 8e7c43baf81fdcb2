// Layers: Var in, Var out. What couplings use as conditioners.
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
};

/// An elementwise nonlinearity: a unary operation with its constants.
struct Activation {
  UnaryOp op = UnaryOp::Relu;
  OpArgs args;

  Var operator()(const Var& x) const { return unary(op, x, args); }
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

/// y = act(x weight^T + bias): x (N, in), y (N, out), weight (out, in), bias (out) from 0. Product,
/// bias and activation are one kernel when the activation's derivative is a function of its output.
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

/// Layers one after the other, named "0", "1", ...
class Sequential : public Layer {
 public:
  Sequential() = default;
  explicit Sequential(std::vector<std::shared_ptr<Layer>> layers);
  void push_back(std::shared_ptr<Layer> layer);
  Var forward(const Var& x) override;
  std::string kind() const override { return "Sequential"; }
  Shape out_shape(const Shape& in) const override;
  Shape inspect(const Shape& in, const std::string& name,
                std::vector<LayerInfo>& rows) const override;

 private:
  std::vector<std::shared_ptr<Layer>> layers_;
};

struct MlpOptions {
  std::int64_t in = 0;
  std::int64_t out = 0;
  std::int64_t hidden_units = 64;
  int hidden_layers = 2;
  Activation activation = {};
  Init init = {};
  /// Of the last layer, which is linear. Zeros makes a coupling start as the identity.
  Init last_init = {};
};

/// in -> hidden_units -> ... -> out, an activation after every layer but the last.
std::shared_ptr<Sequential> mlp(const MlpOptions& options, Generator& gen);

}  // namespace nf::nn
