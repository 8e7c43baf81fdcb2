#include "nn/optim/optim.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "tensor/names.h"
#include "tensor/ops.h"
#include "tensor/text.h"

namespace nf::nn {

namespace {

#define NF_ONE(Rule) UpdateRule::Rule,
constexpr UpdateRule kRules[] = {NF_UPDATE_RULES(NF_ONE)};
#undef NF_ONE

/// Modules see to it; a value that was exchanged since may be anything.
void check_contiguous(const std::string& name, const Tensor& value) {
  NF_CHECK(value.is_contiguous(), "[optimizer] parameter '", name,
           "' is not contiguous: ", describe(value), "; give it value.contiguous()");
}

}  // namespace

std::vector<std::string> update_rule_names() {
  std::vector<std::string> names;
  for (const UpdateRule rule : kRules) {
    if (states_of(rule) > 0) names.push_back(name_of(rule));  // an average is no optimizer
  }
  return names;
}

UpdateRule update_rule_by_name(const std::string& name) {
  const std::vector<std::string> names = update_rule_names();
  NF_CHECK(std::find(names.begin(), names.end(), name) != names.end(), "[optimizer] '", name,
           "' is not one of ", join(names, ", "));
  return *std::find_if(std::begin(kRules), std::end(kRules),
                       [&](UpdateRule rule) { return name == name_of(rule); });
}

// --- Optimizer ----------------------------------------------------------------------------------

Optimizer::Optimizer(Module& module, const OptimizerOptions& options)
    : options_(options), parameters_(module.parameters()) {
  NF_CHECK(options.lr >= 0 && options.eps >= 0 && options.beta1 >= 0 && options.beta1 < 1 &&
               options.beta2 >= 0 && options.beta2 < 1,
           "[optimizer] needs lr >= 0, eps >= 0 and betas in [0, 1); got lr ", options.lr, ", eps ",
           options.eps, ", beta1 ", options.beta1, ", beta2 ", options.beta2);
  for (const auto& [name, parameter] : parameters_) {
    m_.push_back(parameter->value().zeros_like());
    if (states_of(options.rule) > 1) v_.push_back(parameter->value().zeros_like());
  }
  module.for_each_parameter([&](const std::string& name, Var&, const ParameterOptions& p) {
    factors_.push_back(factors_of(options.rule, p.rate));
    if (!p.decayed.value_or(name.ends_with("weight"))) factors_.back().weight_decay = 0;
  });
}

UpdateArgs Optimizer::advance() {
  ++steps_;
  return {.lr = options_.lr,
          .beta1 = options_.beta1,
          .beta2 = options_.beta2,
          .eps = options_.eps,
          .weight_decay = options_.weight_decay,
          .correction1 = 1 - std::pow(options_.beta1, steps_),
          .correction2 = 1 - std::pow(options_.beta2, steps_)};
}

void Optimizer::step(const Tensor& scale) {
  const Profile::Scope part("optimizer");
  const UpdateArgs args = advance();
  std::vector<Tensor> params, grads, m, v;
  std::vector<UpdateFactors> factors;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    Var& parameter = *parameters_[i].second;
    const Tensor& grad = parameter.grad();
    if (!grad.defined() || grad.numel() == 0) continue;
    check_contiguous(parameters_[i].first, parameter.value());
    params.push_back(parameter.mutable_value());
    grads.push_back(grad);
    m.push_back(m_[i]);
    if (!v_.empty()) v.push_back(v_[i]);
    factors.push_back(factors_[i]);
  }
  if (params.empty()) return;
  backend_of(params[0]).update(options_.rule, args, scale, params, grads, m, v, factors);
}

StateDict Optimizer::state() {
  StateDict all;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    all.emplace_back("m." + parameters_[i].first, m_[i]);
    if (!v_.empty()) all.emplace_back("v." + parameters_[i].first, v_[i]);
  }
  return all;
}

// --- Schedule -----------------------------------------------------------------------------------

double Schedule::factor(std::int64_t step) const {
  const double t = static_cast<double>(step);
  if (step < warmup) return (t + 1) / static_cast<double>(warmup);
  switch (kind) {
    case Kind::Constant:
      return 1;
    case Kind::Exponential:
      return std::max(lowest, std::pow(decay, t));
    case Kind::Step:
      return std::max(lowest, std::pow(decay, step / every));
    case Kind::Cosine:
      break;
  }
  const double span = static_cast<double>(std::max<std::int64_t>(1, total - warmup));
  const double done = std::min(1.0, (t - static_cast<double>(warmup)) / span);
  return lowest + (1 - lowest) * 0.5 * (1 + std::cos(std::numbers::pi * done));
}

namespace {

const Names<Schedule::Kind>& schedules() {
  using Kind = Schedule::Kind;
  static const Names<Kind> names("schedule", {{"constant", Kind::Constant},
                                              {"exponential", Kind::Exponential},
                                              {"cosine", Kind::Cosine},
                                              {"step", Kind::Step}});
  return names;
}

}  // namespace

std::vector<std::string> schedule_names() { return schedules().all(); }

Schedule::Kind schedule_by_name(const std::string& name) { return schedules().at(name); }

// --- clipping -----------------------------------------------------------------------------------

namespace {
constexpr const char* kNorm = "gradient norm";  // as a profile has it
}

Tensor gradient_norm(Module& module) {
  const Profile::Scope part(kNorm);
  std::vector<Tensor> grads;
  module.for_each_parameter([&](const std::string&, Var& p, const ParameterOptions& options) {
    if (!p.grad().defined() || p.grad().numel() == 0) return;
    grads.push_back(options.rate == 1 ? p.grad() : p.grad() * options.rate);
  });
  if (grads.empty()) return Tensor::zeros({}, DType::F64);
  Tensor out = Tensor::empty({}, DType::F64, grads[0].device());
  backend_of(out).norm(grads, out);
  return out;
}

Tensor clip_scale(const Tensor& norm, double max_norm) {
  const Profile::Scope part(kNorm);
  NF_CHECK(max_norm > 0, "[clip] max_norm must be positive, got ", max_norm);
  const Tensor limit = Tensor::full({}, max_norm, norm.dtype(), norm.device());
  const Tensor one_or_nan = affine(norm, 0, 1);  // 0 * infinity is NaN
  return (clamp(limit / norm, 0, 1) * one_or_nan).to(DType::F32);
}

// --- Ema ----------------------------------------------------------------------------------------

Ema::Ema(Module& module, double decay) : decay_(decay), parameters_(module.parameters()) {
  NF_CHECK(decay >= 0 && decay < 1, "[ema] decay must be in [0, 1), got ", decay);
  for (const auto& [name, p] : parameters_) average_.push_back(p->value().clone());
}

UpdateArgs Ema::args(std::int64_t before) const {
  const auto n = static_cast<double>(before);
  return {.beta1 = std::min(decay_, (1 + n) / (10 + n))};
}

void Ema::update(std::int64_t before) {
  const Profile::Scope part("averages");
  std::vector<Tensor> values;
  for (const auto& [name, p] : parameters_) {
    check_contiguous(name, p->value());
    values.push_back(p->value());
  }
  if (values.empty()) return;
  backend_of(values[0]).update(UpdateRule::Ema, args(before), Tensor(), average_, values, {}, {});
}

void Ema::swap() {
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    Tensor& p = parameters_[i].second->mutable_value();
    const Tensor kept = p.clone();
    p.copy_(average_[i]);
    average_[i].copy_(kept);  // not another tensor: a recorded step holds the address of this one
  }
}

StateDict Ema::state() {
  StateDict all;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    all.emplace_back("ema." + parameters_[i].first, average_[i]);
  }
  return all;
}

}  // namespace nf::nn
