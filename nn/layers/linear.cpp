#include "nn/layers/linear.h"

namespace nf::nn {

namespace {

constexpr UnaryOp kActivations[] = {UnaryOp::Relu,    UnaryOp::LeakyRelu, UnaryOp::Elu,
                                    UnaryOp::Gelu,    UnaryOp::Silu,      UnaryOp::Tanh,
                                    UnaryOp::Sigmoid, UnaryOp::Softplus};

OpArgs default_args(UnaryOp op) {
  if (op == UnaryOp::LeakyRelu) return {0.01, 0};
  if (op == UnaryOp::Elu) return {1, 0};
  return {};
}

}  // namespace

std::vector<std::string> activation_names() {
  std::vector<std::string> names;
  for (UnaryOp op : kActivations) names.emplace_back(name_of(op));
  return names;
}

Activation activation_by_name(const std::string& name) {
  std::string known;
  for (UnaryOp op : kActivations) {
    if (name == name_of(op)) return {op, default_args(op)};
    known += (known.empty() ? "" : ", ") + std::string(name_of(op));
  }
  fail(str("[activation] '", name, "' is not one of ", known));
}

Var linear_with(const std::optional<Activation>& activation, const Var& x, const Var& w,
                const Var& bias) {
  if (!activation) return linear(x, w, bias);
  if (needs_of(activation->op) == Needs::Input) return (*activation)(linear(x, w, bias));
  return linear(x, w, bias, &activation->op, activation->args);
}

double linear_flops(std::int64_t rows, const LinearOptions& options) {
  const double out = static_cast<double>(rows * options.out);
  // A sum of `in` products has in - 1 additions; the bias is one more.
  const double product = 2.0 * static_cast<double>(options.in) - (options.bias ? 0 : 1);
  return out * (product + (options.activation ? 1 : 0));
}

// --- Linear -------------------------------------------------------------------------------------

Linear::Linear(const LinearOptions& options, Generator& gen) : options_(options) {
  NF_CHECK(options.in > 0 && options.out > 0, "[Linear] sizes must be positive, got ", options.in,
           " -> ", options.out);
  weight_ = &add_parameter("weight", initial_weight(options.init, gen, options.out, options.in));
  if (options.bias) bias_ = &add_parameter("bias", Tensor::zeros({options.out}));
}

Var Linear::forward(const Var& x) {
  return linear_with(options_.activation, x, *weight_, bias_ ? *bias_ : Var());
}

std::string Linear::kind() const {
  const std::string act = options_.activation ? str(", ", name_of(options_.activation->op)) : "";
  return str("Linear(", options_.in, " -> ", options_.out, act, ")");
}

double Linear::flops(const Shape& in) const { return linear_flops(in.dim(0), options_); }

}  // namespace nf::nn
