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
  Affine(double limit, double shift_limit) : limit_(limit), shift_limit_(shift_limit) {}
  std::string kind() const override { return "affine"; }
  int parameters_per_dim() const override { return 2; }
  double flops_per_dim() const override {  // exp, *, +, and the sum
    return kSoftBoundFlops * (shift_limit_ > 0 ? 2 : 1) + 4;
  }
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
    const std::int64_t n = x.dim(-1);
    const Var shift = narrow(parameters, -1, n, n);
    return {soft_bound(narrow(parameters, -1, 0, n), limit_),
            shift_limit_ > 0 ? soft_bound(shift, shift_limit_) : shift};
  }
  double limit_, shift_limit_;  // 0: any shift
};

// Both parameters of each dimension.
std::pair<Var, Var> two_of(const Var& x, const Var& parameters) {
  const std::int64_t n = x.dim(-1);
  return {narrow(parameters, -1, 0, n), narrow(parameters, -1, n, n)};
}

class SigmoidScale : public ElementwiseMap {
 public:
  std::string kind() const override { return "sigmoid scale"; }
  int parameters_per_dim() const override { return 2; }
  double flops_per_dim() const override { return 6; }  // h + 2, its log sigmoid, exp, +, *, the sum
  Mapped forward(const Var& x, const Var& parameters) const override {
    const auto [t, h] = two_of(x, parameters);
    const Var s = log_sigmoid(h + kOpen);
    return {(x + t) * exp(s), sum_event(s)};
  }
  Mapped inverse(const Var& z, const Var& parameters) const override {
    const auto [t, h] = two_of(z, parameters);
    const Var s = log_sigmoid(h + kOpen);
    return {z * exp(-s) - t, -sum_event(s)};
  }

 private:
  static constexpr double kOpen = 2;  // a network of zeros scales by sigmoid(2) = 0.88
};

class Gated : public ElementwiseMap {
 public:
  std::string kind() const override { return "gated"; }
  int parameters_per_dim() const override { return 2; }
  double flops_per_dim() const override {
    return 7;
  }  // h + 1, its log sigmoid, exp, -, *, +, the sum
  Mapped forward(const Var& x, const Var& parameters) const override {
    const auto [m, h] = two_of(x, parameters);
    const Var s = log_sigmoid(h + kOpen);
    return {m + (x - m) * exp(s), sum_event(s)};
  }
  Mapped inverse(const Var& z, const Var& parameters) const override {
    const auto [m, h] = two_of(z, parameters);
    const Var s = log_sigmoid(h + kOpen);
    return {m + (z - m) * exp(-s), -sum_event(s)};
  }

 private:
  static constexpr double kOpen = 1;
};

class TanhScale : public ElementwiseMap {
 public:
  TanhScale(double scale, bool decayed)
      : scale_(add_parameter("scale", Tensor::full({}, scale), {.decayed = decayed})) {}
  std::string kind() const override { return "tanh scale"; }
  int parameters_per_dim() const override { return 2; }
  double flops_per_dim() const override { return 6; }  // tanh, * a, exp, +, *, the sum
  Mapped forward(const Var& x, const Var& parameters) const override {
    const auto [t, h] = two_of(x, parameters);
    const Var s = tanh(h) * scale_;
    return {(x + t) * exp(s), sum_event(s)};
  }
  Mapped inverse(const Var& z, const Var& parameters) const override {
    const auto [t, h] = two_of(z, parameters);
    const Var s = tanh(h) * scale_;
    return {z * exp(-s) - t, -sum_event(s)};
  }

 private:
  Var& scale_;  // (), a
};

class Gaussian : public ElementwiseMap {
 public:
  explicit Gaussian(double limit) : limit_(limit) {}
  std::string kind() const override { return "gaussian"; }
  int parameters_per_dim() const override { return 2; }
  double flops_per_dim() const override { return 5; }  // -, exp, -, *, the sum
  Mapped forward(const Var& x, const Var& parameters) const override {
    const auto [m, s] = mean_and_scale(x, parameters);
    return {(x - m) * exp(-s), -sum_event(s)};
  }
  Mapped inverse(const Var& z, const Var& parameters) const override {
    const auto [m, s] = mean_and_scale(z, parameters);
    return {z * exp(s) + m, sum_event(s)};
  }

 private:
  std::pair<Var, Var> mean_and_scale(const Var& x, const Var& parameters) const {
    const auto [m, s] = two_of(x, parameters);
    return {m, limit_ > 0 ? soft_bound(s, limit_) : s};
  }
  double limit_;
};

class Interleaved : public ElementwiseMap {
 public:
  explicit Interleaved(std::shared_ptr<ElementwiseMap> map)
      : map_(add_module("map", std::move(map))) {}
  std::string kind() const override { return map_.kind() + ", interleaved"; }
  int parameters_per_dim() const override { return map_.parameters_per_dim(); }
  double flops_per_dim() const override { return map_.flops_per_dim(); }
  Mapped forward(const Var& x, const Var& parameters) const override {
    return map_.forward(x, apart(x, parameters));
  }
  Mapped inverse(const Var& z, const Var& parameters) const override {
    return map_.inverse(z, apart(z, parameters));
  }

 private:
  Var apart(const Var& x, const Var& parameters) const {
    std::vector<Var> each;
    for (int i = 0; i < parameters_per_dim(); ++i) {
      each.push_back(slice(parameters, -1, i, x.dim(-1), parameters_per_dim()));
    }
    return concat(each, -1);
  }
  ElementwiseMap& map_;
};

}  // namespace

std::shared_ptr<ElementwiseMap> gated_map() { return std::make_shared<Gated>(); }
std::shared_ptr<ElementwiseMap> sigmoid_map() { return std::make_shared<SigmoidScale>(); }

std::shared_ptr<ElementwiseMap> tanh_map(double scale, bool decayed) {
  return std::make_shared<TanhScale>(scale, decayed);
}

std::shared_ptr<ElementwiseMap> gaussian_map(double limit) {
  return std::make_shared<Gaussian>(limit);
}

std::shared_ptr<ElementwiseMap> interleaved(std::shared_ptr<ElementwiseMap> map) {
  return std::make_shared<Interleaved>(std::move(map));
}

std::shared_ptr<ElementwiseMap> additive_map() { return std::make_shared<Additive>(); }

std::shared_ptr<ElementwiseMap> multiplicative_map(double limit) {
  NF_CHECK(limit > 0, "[multiplicative] the bound of log scales must be positive, got ", limit);
  return std::make_shared<Multiplicative>(limit);
}

std::shared_ptr<ElementwiseMap> affine_map(double limit) {
  NF_CHECK(limit > 0, "[affine] the bound of log scales must be positive, got ", limit);
  return std::make_shared<Affine>(limit, 0);
}

std::shared_ptr<ElementwiseMap> bounded_affine_map(double limit, double shift_limit) {
  NF_CHECK(limit > 0 && shift_limit > 0, "[affine] bounds must be positive, got ", limit, " and ",
           shift_limit);
  return std::make_shared<Affine>(limit, shift_limit);
}

}  // namespace nf::flows
