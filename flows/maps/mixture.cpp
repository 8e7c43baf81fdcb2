#include "flows/maps/mixture.h"

#include "flows/maps/root.h"

namespace nf::flows {

namespace {

// x with logit(F(x)) = y, without gradients. Each component alone would be there at mean + scale y,
// the fixed one at y, so x lies between the least and the greatest of these.
Tensor find(const Tensor& y, const Tensor& parameters, int components) {
  const NoGrad no_grad;
  const int axis = y.rank() - 1;
  const std::int64_t dims = y.dim(axis), k = components;
  // (N, ..., K, A)
  const auto some = [&](std::int64_t first) {
    return parameters.narrow(axis, first * dims, k * dims)
        .reshape(y.shape().without(axis).with_inserted(axis, dims).with_inserted(axis, k));
  };
  const Tensor scales = exp(soft_bound(some(2 + 2 * k), kMixtureScaleLimit)).value();
  const Tensor at = some(2 + k) + scales * y.unsqueeze(axis);
  return find_root(
      [&](const Tensor& x) {
        return mixture_log_odds(x, parameters, components, kMixtureScaleLimit);
      },
      y, minimum(min(at, {axis}), y), maximum(max(at, {axis}), y));
}

class Mixture : public ElementwiseMap {
 public:
  Mixture(int components, double limit) : components_(components), limit_(limit) {}
  std::string kind() const override { return str("mixture of ", components_); }
  int parameters_per_dim() const override { return 2 + 3 * components_; }
  double flops_per_dim() const override { return 30.0 * components_ + 36; }  // 24: the fixed one

  Mapped forward(const Var& x, const Var& given) const override {
    const Var parameters = apart(given, components_, x.dim(-1));
    const Affine outer = affine_of(x, parameters);
    const LogOdds<Var> y = log_odds(x, parameters);
    return {y.value * exp(outer.log_scale) + outer.shift, sum_event(y.log_slope + outer.log_scale)};
  }

  Mapped inverse(const Var& z, const Var& given) const override {
    const Var parameters = apart(given, components_, z.dim(-1));
    const Affine outer = affine_of(z, parameters);
    const Var y = (z - outer.shift) * exp(-outer.log_scale);
    const Tensor found = find(y.value(), parameters.value(), components_);
    const Var x = with_gradient(found, y, log_odds(found, parameters));
    return {x, -sum_event(log_odds(x, parameters).log_slope + outer.log_scale)};
  }

 private:
  struct Affine {
    Var log_scale, shift;  // a, b
  };

  // Taken from the parameters before the mixture, so that backward adds their gradients, a few
  // numbers, to those of the mixture's parameters.
  Affine affine_of(const Var& x, const Var& parameters) const {
    const std::int64_t dims = x.dim(-1);
    return {soft_bound(narrow(parameters, -1, 0, dims), limit_),
            narrow(parameters, -1, dims, dims)};
  }

  LogOdds<Var> log_odds(const Var& x, const Var& parameters) const {
    return mixture_log_odds(x, parameters, components_, kMixtureScaleLimit);
  }

  int components_;
  double limit_;
};

}  // namespace

Var apart(const Var& parameters, int components, std::int64_t dims) {
  if (components == 1) return parameters;
  const std::int64_t all = parameters.dim(-1), k = components;
  Tensor places = Tensor::zeros({all}, parameters.dtype(), parameters.device());
  for (std::int64_t i = 0; i < k; ++i) {
    places.narrow(0, all - (2 * k - i) * dims, dims)
        .fill_(2 * static_cast<double>(i) / static_cast<double>(k - 1) - 1);
  }
  return parameters + Var(places);
}

std::shared_ptr<ElementwiseMap> mixture_map(int components, double limit) {
  NF_CHECK(components >= 1 && components <= 256 && limit > 0,
           "[mixture] needs 1 to 256 components and a positive bound of log scales, got ",
           components, " and ", limit);
  return std::make_shared<Mixture>(components, limit);
}

}  // namespace nf::flows
