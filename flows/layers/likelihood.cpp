#include "flows/layers/likelihood.h"

#include <cmath>
#include <numbers>

#include "flows/layers/level_outputs.h"

namespace nf::flows {

namespace {

// f64 (D) each: mean and variance of the columns of all rows.
struct Columns {
  Tensor mean, variance;
};

Columns columns_of(const Samples& x, std::int64_t dims) {
  Tensor total = Tensor::zeros({dims}, DType::F64), squares = total.clone();
  x.for_each_part([&](const Tensor& part) {
    const Tensor rows = part.to(Device::CPU).to(DType::F64);
    total = total + sum(rows, {0});
    squares = squares + sum(square(rows), {0});
  });
  const double n = static_cast<double>(x.size());
  const Tensor mean = total * (1 / n);
  return {mean, clamp(squares * (1 / n) - square(mean), 0, INFINITY)};
}

// u8 and f64 rows become numbers of h's type.
Tensor like(const Var& x, const Var& h) { return x.value().to(h.dtype()); }

class BernoulliLikelihood : public Likelihood {
 public:
  explicit BernoulliLikelihood(std::int64_t dims)
      : offset_(add_buffer("offset", Tensor::zeros({dims}))) {}
  Var log_prob(const Var& x, const Var& h) const override {
    const Var logit = h + Var(offset_);
    return sum_event(bernoulli_log_prob(like(x, h), logit));
  }
  Var middle(const Var& h) const override { return sigmoid(h + Var(offset_)); }
  Var draw(const Var& h, Generator& gen) const override {
    const Tensor p = middle(h).value();
    return less(uniform(gen, p.shape(), p.dtype(), p.device()), p).to(p.dtype());
  }
  int levels() const override { return 2; }
  void initialize(const Samples& x) override {
    constexpr double kLeast = 1e-3;
    const Tensor p = clamp(columns_of(x, offset_.numel()).mean, kLeast, 1 - kLeast);
    offset_.copy_((log(p) - log(affine(p, -1, 1))).to(offset_.dtype()).to(offset_.device()));
  }
  std::int64_t initial_rows() const override { return Transform::kAllRows; }
  double flops(const Shape& in) const override {
    return 5.0 * static_cast<double>(in.numel());  // +, *, softplus, -, the sum
  }
  std::string kind() const override { return str("Bernoulli(", offset_.numel(), ")"); }

 private:
  Tensor& offset_;  // (D)
};

class DiscretisedLogistic : public Likelihood {
 public:
  DiscretisedLogistic(std::int64_t dims, int levels)
      : levels_(levels),
        offset_(add_buffer("offset", Tensor::full({dims}, (levels - 1) / 2.0))),
        log_scale_(add_parameter("log_scale", Tensor::full({dims}, std::log(levels / 8.0)))) {
    NF_CHECK(levels >= 2 && levels <= 256, "[likelihood] levels must be 2 to 256, got ", levels);
  }
  Var log_prob(const Var& x, const Var& h) const override {
    const Tensor levels = like(x, h);
    return sum_event(
        log_mass_of_level(levels, Var(levels) - location(h), exp(-log_scale_), 0.5, levels_));
  }
  Var middle(const Var& h) const override { return clamp(location(h), 0, levels_ - 1); }
  Var draw(const Var& h, Generator& gen) const override {
    const Tensor noise = logistic(gen, h.shape(), h.dtype(), h.device());
    const Tensor x = location(h).value() + noise * exp(log_scale_.value());
    return level_passed(x + 0.5, levels_);
  }
  Var seen(const Var& x) const override { return x * (1.0 / (levels_ - 1)); }
  int levels() const override { return levels_; }
  void initialize(const Samples& x) override {
    // A pixel that is always the same begins with 0.86 of the mass at its level.
    constexpr double kLeast = 0.2;
    const auto [mean, variance] = columns_of(x, offset_.numel());
    const Tensor scale = sqrt(variance) * (std::numbers::sqrt3 / std::numbers::pi);
    offset_.copy_(mean.to(offset_.dtype()).to(offset_.device()));
    log_scale_.set_value(
        log(clamp(scale, kLeast, INFINITY)).to(log_scale_.dtype()).to(log_scale_.device()));
  }
  std::int64_t initial_rows() const override { return Transform::kAllRows; }
  // *; the mean 2, from it 3, in scales 2, log_sigmoid 2, comparisons 3, what counts 3, sums 3. Of
  // the scale 6.
  double flops(const Shape& in) const override {
    return static_cast<double>(19 * in.numel() + 6 * in.dim(1));
  }
  std::string kind() const override {
    return str("DiscretisedLogistic(", offset_.numel(), ", ", levels_, " levels)");
  }

 private:
  Var location(const Var& h) const { return h * ((levels_ - 1) / 2.0) + Var(offset_); }

  int levels_;
  Tensor& offset_;  // (D), in levels
  Var& log_scale_;  // (D)
};

class GaussianLikelihood : public Likelihood {
 public:
  explicit GaussianLikelihood(std::int64_t dims)
      : log_scale_(add_parameter("log_scale", Tensor::zeros({dims}))) {}
  Var log_prob(const Var& x, const Var& h) const override {
    const double constant = -0.5 * std::log(2 * std::numbers::pi) * static_cast<double>(h.dim(1));
    const Var z = (x - h) * exp(-log_scale_);
    return affine(sum_squares(z, {1}), -0.5, constant) - sum(log_scale_);
  }
  Var middle(const Var& h) const override { return h; }
  Var draw(const Var& h, Generator& gen) const override {
    const Tensor noise = normal(gen, h.shape(), h.dtype(), h.device());
    return h.value() + noise * exp(log_scale_.value());
  }
  // -, *, the square, its sum; of the scale 3; the constants.
  double flops(const Shape& in) const override {
    return static_cast<double>(4 * in.numel() + 3 * in.dim(1) + 3 * in.dim(0));
  }
  std::string kind() const override { return str("Gaussian(", log_scale_.numel(), ")"); }

 private:
  Var& log_scale_;  // (D)
};

}  // namespace

std::shared_ptr<Likelihood> bernoulli_likelihood(std::int64_t dims) {
  return std::make_shared<BernoulliLikelihood>(dims);
}

std::shared_ptr<Likelihood> logistic_likelihood(std::int64_t dims, int levels) {
  return std::make_shared<DiscretisedLogistic>(dims, levels);
}

std::shared_ptr<Likelihood> gaussian_likelihood(std::int64_t dims) {
  return std::make_shared<GaussianLikelihood>(dims);
}

}  // namespace nf::flows
