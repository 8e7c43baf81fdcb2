#include "flows/base.h"

#include <cmath>
#include <numbers>

namespace nf::flows {

Var StandardNormal::log_prob(const Var& z) {
  const double constant = -0.5 * std::log(2 * std::numbers::pi) * static_cast<double>(z.dim(1));
  return affine(sum_squares(z, {1}), -0.5, constant);
}

Tensor StandardNormal::sample(Generator& gen, std::int64_t n, std::int64_t dims,
                              double temperature) {
  return normal(gen, {n, dims}) * temperature;
}

// -softplus(z) - softplus(-z) = z - 2 softplus(z): one transcendental pass instead of two.
Var StandardLogistic::log_prob(const Var& z) { return sum(z - 2 * softplus(z), {1}); }

Tensor StandardLogistic::sample(Generator& gen, std::int64_t n, std::int64_t dims,
                                double temperature) {
  return logistic(gen, {n, dims}) * temperature;
}

std::shared_ptr<Base> base_by_name(const std::string& name) {
  if (name == "gaussian") return std::make_shared<StandardNormal>();
  if (name == "logistic") return std::make_shared<StandardLogistic>();
  fail(str("[prior] '", name, "' is not one of gaussian, logistic"));
}

}  // namespace nf::flows
