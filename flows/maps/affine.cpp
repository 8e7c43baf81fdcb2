#include "flows/maps/affine.h"

namespace nf::flows {

namespace {

class Additive : public ElementwiseMap {
 public:
  std::string kind() const override { return "additive"; }
  int parameters_per_dim() const override { return 1; }
  double flops_per_dim() const override { return 1; }
  Mapped forward(const Var& x, const Var& t) const override { return {x + t, zero_log_det(x)}; }
  Mapped inverse(const Var& z, const Var& t) const override { return {z - t, zero_log_det(z)}; }
};

// s in (-limit, limit), with slope 1 at 0.
Var soft_bound(const Var& h, double limit) { return tanh(h / limit) * limit; }
constexpr double kSoftBoundFlops = 3;

class Multiplicative : public ElementwiseMap {
 public:
  explicit Multiplicative(double limit) : limit_(limit) {}
  std::string kind() const override { return "multiplicative"; }
  int parameters_per_dim() const override { return 1; }
  double flops_per_dim() const override { return kSoftBoundFlops + 3; }  // exp, *, and the sum
  Mapped forward(const Var& x, const Var& h) const override {
    const Var s = soft_bound(h, limit_);
    return {x * exp(s), sum_event(s)};
  }
  Mapped inverse(const Var& z, const Var& h) const override {
    const Var s = -soft_bound(h, limit_);
    return {z * exp(s), sum_event(s)};
  }

 private:
  double limit_;
};

class Affine : public ElementwiseMap {
 public:
  explicit Affine(double limit) : limit_(limit) {}
  std::string kind() const override { return "affine"; }
  int parameters_per_dim() const override { return 2; }
  double flops_per_dim() const override { return kSoftBoundFlops + 4; }  // exp, *, +, and the sum
  Mapped forward(const Var& x, const Var& parameters) const override {
    const auto [s, t] = scale_and_shift(x, parameters);
    return {x * exp(s) + t, sum_event(s)};
  }
  Mapped inverse(const Var& z, const Var& parameters) const override {
    const auto [s, t] = scale_and_shift(z, parameters);
    return {(z - t) * exp(-s), -sum_event(s)};
  }

 private:
  std::pair<Var, Var> scale_and_shift(const Var& x, const Var& parameters) const {
    const std::int64_t n = x.dim(1);
    return {soft_bound(narrow(parameters, 1, 0, n), limit_), narrow(parameters, 1, n, n)};
  }
  double limit_;
};

}  // namespace

std::shared_ptr<ElementwiseMap> additive_map() { return std::make_shared<Additive>(); }

std::shared_ptr<ElementwiseMap> multiplicative_map(double limit) {
  NF_CHECK(limit > 0, "[multiplicative] the bound of log scales must be positive, got ", limit);
  return std::make_shared<Multiplicative>(limit);
}

std::shared_ptr<ElementwiseMap> affine_map(double limit) {
  NF_CHECK(limit > 0, "[affine] the bound of log scales must be positive, got ", limit);
  return std::make_shared<Affine>(limit);
}

}  // namespace nf::flows
