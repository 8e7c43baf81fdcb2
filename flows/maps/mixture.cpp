#include "flows/maps/mixture.h"

#include <algorithm>
#include <cmath>

namespace nf::flows {

namespace {

// Log scales of components lie within +-kScaleLimit.
constexpr double kScaleLimit = 7;

// The parameters of a mixture, (N, ..., K, A), and of the affine map behind it, (N, ..., A).
struct Parts {
  Var log_scale, shift;            // a, b
  Var log_weights, means, scales;  // scales: their logarithms
};

// logit(F(x)) and log of its derivative, both of x's shape.
struct LogOdds {
  Var value, log_slope;
};

LogOdds log_odds(const Var& x, const Parts& p) {
  const int axis = x.rank() - 1;
  const Var u = (reshape(x, x.shape().with_inserted(axis, 1)) - p.means) * exp(-p.scales);
  const Var below = log_sigmoid(u);  // log sigma(u); log sigma(-u) is below - u
  const Var log_f = logsumexp(p.log_weights + below, {axis});
  const Var log_rest = logsumexp(p.log_weights + (below - u), {axis});
  const Var log_pdf = logsumexp(p.log_weights + (below * 2 - u - p.scales), {axis});
  return {log_f - log_rest, log_pdf - log_f - log_rest};
}

// x with logit(F(x)) = y, without gradients. Each component alone would be there at mean + scale y,
// so x lies between the least and the greatest of these.
Tensor find(const Tensor& y, const Parts& p) {
  const NoGrad no_grad;
  const int axis = y.rank() - 1;
  const Tensor at =
      p.means.value() + exp(p.scales.value()) * y.reshape(y.shape().with_inserted(axis, 1));
  Tensor low = min(at, {axis}), high = max(at, {axis});
  Tensor x = (low + high) * 0.5;
  // Halving alone reaches the last bit of f32 in 60 steps; Newton's steps end most searches in 8.
  constexpr int kSteps = 64;
  for (int i = 0; i < kSteps; ++i) {
    const LogOdds here = log_odds(Var(x), p);
    const Tensor miss = y - here.value.value();
    const Tensor too_low = greater(miss, Tensor::zeros({}, y.dtype(), y.device()));
    low = where(too_low, x, low);
    high = where(too_low, high, x);
    const Tensor newton = x + miss * exp(-here.log_slope.value());
    const Tensor middle = (low + high) * 0.5;
    const Tensor next =
        where(less(newton, low), middle, where(greater(newton, high), middle, newton));
    const bool still = sum(not_equal(next, x).to(DType::F32)).item() == 0;
    x = next;
    if (still) break;
  }
  return x;
}

class Mixture : public ElementwiseMap {
 public:
  Mixture(int components, double limit) : components_(components), limit_(limit) {}
  std::string kind() const override { return str("mixture of ", components_); }
  int parameters_per_dim() const override { return 2 + 3 * components_; }
  double flops_per_dim() const override { return 30.0 * components_ + 12; }

  Mapped forward(const Var& x, const Var& parameters) const override {
    const Parts p = parts_of(x, parameters);
    const LogOdds y = log_odds(x, p);
    return {y.value * exp(p.log_scale) + p.shift, sum_event(y.log_slope + p.log_scale)};
  }

  Mapped inverse(const Var& z, const Var& parameters) const override {
    const Parts p = parts_of(z, parameters);
    const Var y = (z - p.shift) * exp(-p.log_scale);
    const Var found = find(y.value(), p);
    // found + (y - f(found)) / f'(found): the same number, with the gradients of y and of f.
    const LogOdds there = log_odds(found, p);
    const Var x = found + (y - there.value) * exp(-there.log_slope).detach();
    return {x, -sum_event(log_odds(x, p).log_slope + p.log_scale)};
  }

 private:
  Parts parts_of(const Var& x, const Var& parameters) const {
    const std::int64_t dims = x.dim(-1), k = components_;
    const int axis = x.rank() - 1;
    const Var table =
        reshape(parameters,
                x.shape().without(axis).with_inserted(axis, dims).with_inserted(axis, 2 + 3 * k));
    const auto some = [&](std::int64_t first) { return narrow(table, axis, first, k); };
    const Var logits = some(2);
    return {soft_bound(narrow(parameters, axis, 0, dims), limit_),
            narrow(parameters, axis, dims, dims), logits - logsumexp(logits, {axis}, true),
            some(2 + k), soft_bound(some(2 + 2 * k), kScaleLimit)};
  }

  int components_;
  double limit_;
};

}  // namespace

std::shared_ptr<ElementwiseMap> mixture_map(int components, double limit) {
  NF_CHECK(components >= 1 && components <= 256 && limit > 0,
           "[mixture] needs 1 to 256 components and a positive bound of log scales, got ",
           components, " and ", limit);
  return std::make_shared<Mixture>(components, limit);
}

}  // namespace nf::flows
