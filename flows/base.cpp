#include "flows/base.h"

#include <cmath>
#include <numbers>

#include "tensor/names.h"

namespace nf::flows {

Var StandardNormal::log_prob(const Var& z) {
  const double constant = -0.5 * std::log(2 * std::numbers::pi) * static_cast<double>(z.dim(1));
  return affine(sum_squares(z, {1}), -0.5, constant);
}

double StandardNormal::flops(const Shape& in) const {
  return 2.0 * static_cast<double>(in.numel() + in.dim(0));  // squares and their sum; -z/2 + c
}

Tensor StandardNormal::sample(Generator& gen, std::int64_t n, std::int64_t dims, double temperature,
                              Device device) {
  return normal(gen, {n, dims}, DType::F32, device) * temperature;
}

// Not (1 + erf(z / sqrt 2)) / 2, which has no digits left in the lower tail.
double StandardNormal::cdf(double z) const { return std::erfc(-z / std::numbers::sqrt2) / 2; }

// -softplus(z) - softplus(-z) = z - 2 softplus(z): one transcendental pass instead of two.
Var StandardLogistic::log_prob(const Var& z) { return sum(z - 2 * softplus(z), {1}); }

double StandardLogistic::flops(const Shape& in) const {
  return 4.0 * static_cast<double>(in.numel());  // softplus, times, minus, sum
}

Tensor StandardLogistic::sample(Generator& gen, std::int64_t n, std::int64_t dims,
                                double temperature, Device device) {
  return logistic(gen, {n, dims}, DType::F32, device) * temperature;
}

double StandardLogistic::cdf(double z) const { return 1 / (1 + std::exp(-z)); }

double StandardLogistic::deviation() const { return std::numbers::pi / std::numbers::sqrt3; }

namespace {

using MakeBase = std::shared_ptr<Base> (*)();

const Names<MakeBase>& bases() {
  static const Names<MakeBase> names(
      "prior",
      {{"logistic", []() -> std::shared_ptr<Base> { return std::make_shared<StandardLogistic>(); }},
       {"gaussian", []() -> std::shared_ptr<Base> { return std::make_shared<StandardNormal>(); }}});
  return names;
}

}  // namespace

std::vector<std::string> base_names() { return bases().all(); }

std::shared_ptr<Base> base_by_name(const std::string& name) { return bases().at(name)(); }

}  // namespace nf::flows
