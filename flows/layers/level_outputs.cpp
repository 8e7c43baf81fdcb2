#include "flows/layers/level_outputs.h"

#include <cmath>

namespace nf::flows {

namespace {

/// A category for each row of logits (N, K), by u (N, 1): the first whose share of softmax(logits /
/// t), with the shares before it, is above u.
std::vector<std::int32_t> categories(const Tensor& logits, const Tensor& u, double temperature) {
  const std::int64_t n = logits.dim(0), k = logits.dim(1);
  if (temperature == 0) return argmax(logits, 1).to_vector<std::int32_t>();
  const Tensor scaled = logits.to(Device::CPU).to(DType::F64) * (1 / temperature);
  const Tensor shares = exp(scaled - max(scaled, {1}, true));
  const std::vector<double> share = shares.to_vector<double>();
  const std::vector<double> total = sum(shares, {1}).to_vector<double>();
  const std::vector<double> at = u.to(Device::CPU).to(DType::F64).to_vector<double>();
  std::vector<std::int32_t> out(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < out.size(); ++i) {
    double left = at[i] * total[i];
    std::int32_t& found = out[i];
    const double* const row = share.data() + static_cast<std::int64_t>(i) * k;
    while (found + 1 < k && left >= row[found]) left -= row[found++];
  }
  return out;
}

/// (N, 1), 0 for each row of h (N, P), NaN where it is not finite: what is drawn of it is no level,
/// which the caller is to see.
Tensor none_or_nan(const Tensor& h) { return sum(h * 0.0, {1}, /*keep_dims=*/true); }

/// Logistic noise of U(0, 1), which may be 0.
Tensor logistic_of(const Tensor& u) {
  constexpr double kLeast = 1e-7;
  const Tensor inside = clamp(u, kLeast, 1 - kLeast);
  return log(inside) - log(affine(inside, -1, 1));
}

class BernoulliOutputs : public LevelOutputs {
 public:
  std::int64_t outputs() const override { return 1; }
  std::int64_t noise() const override { return 1; }
  Var log_prob(const Var& x, const Var& h) const override { return bernoulli_log_prob(x, h); }
  Tensor draw(const Tensor& h, const Tensor& u, double temperature) const override {
    const Tensor logit = h + logistic_of(u) * temperature;  // as BernoulliMade
    return greater(logit, logit.zeros_like()).to(h.dtype()) + none_or_nan(h);
  }
  double flops(const Shape& x) const override { return 3.0 * static_cast<double>(x.numel()); }
  std::string kind() const override { return "Bernoulli"; }
};

class SoftmaxOutputs : public LevelOutputs {
 public:
  explicit SoftmaxOutputs(int levels) : levels_(levels) {}
  std::int64_t outputs() const override { return levels_; }
  std::int64_t noise() const override { return 1; }
  Var log_prob(const Var& x, const Var& h) const override {
    return gather(h, 2, clamped_indices(x.value(), levels_)) - logsumexp(h, {2}, true);
  }
  Tensor draw(const Tensor& h, const Tensor& u, double temperature) const override {
    const std::vector<std::int32_t> drawn = categories(h, u, temperature);
    return Tensor::from(drawn, {std::ssize(drawn), 1}).to(h.dtype()).to(h.device()) +
           none_or_nan(h);
  }
  double flops(const Shape& x) const override {
    return (3.0 * levels_ + 2) * static_cast<double>(x.numel());
  }
  std::string kind() const override { return str("Softmax(", levels_, " levels)"); }

 private:
  int levels_;
};

class LogisticOutputs : public LevelOutputs {
 public:
  LogisticOutputs(int levels, std::int64_t channels, std::int64_t components)
      : levels_(levels), channels_(channels), components_(components) {
    NF_CHECK(levels >= 2 && levels <= 256 && channels >= 1 && components >= 1,
             "[logistic_outputs] needs 2 to 256 levels, channels and components, got ", levels,
             ", ", channels, " and ", components);
  }
  std::int64_t outputs() const override {
    return components_ * (1 + 2 * channels_ + channels_ * (channels_ - 1) / 2);
  }
  std::int64_t noise() const override { return 1 + channels_; }

  Var log_prob(const Var& x, const Var& h) const override {
    const Var y = affine(x, 2.0 / (levels_ - 1), -1);
    Var log_p = part(h, 0);  // (N, T, M)
    log_p = log_p - logsumexp(log_p, {2}, true);
    for (std::int64_t c = 0; c < channels_; ++c) {
      const Var at = narrow(y, 2, c, 1);
      log_p = log_p + log_mass_of_level(narrow(x, 2, c, 1).value(), at - mean(h, y, c),
                                        exp(-log_scale(h, c)), 1.0 / (levels_ - 1), levels_);
    }
    return logsumexp(log_p, {2}, true);
  }

  Tensor draw(const Tensor& h, const Tensor& u, double temperature) const override {
    const std::int64_t n = h.dim(0);
    const std::vector<std::int32_t> drawn =
        categories(h.narrow(1, 0, components_), u.narrow(1, 0, 1), temperature);
    const Tensor which = Tensor::from(drawn, {n, 1, 1}).to(h.device());
    const Var here(h.reshape({n, 1, outputs()}));
    const auto of = [&](const Var& all) { return gather(all, 2, which).value().reshape({n, 1}); };
    std::vector<Tensor> levels;
    Tensor y = Tensor::zeros({n, 1, channels_}, h.dtype(), h.device());
    for (std::int64_t c = 0; c < channels_; ++c) {
      const Tensor noise = logistic_of(u.narrow(1, 1 + c, 1)) * temperature;
      const Tensor value = of(mean(here, y, c)) + noise * exp(of(log_scale(here, c)));
      const double half = (levels_ - 1) / 2.0;
      const Tensor level = level_passed(affine(value, half, half + 0.5), levels_);
      y.narrow(2, c, 1).copy_(affine(level, 1 / half, -1).reshape({n, 1, 1}));
      levels.push_back(level);
    }
    return levels.size() == 1 ? levels[0] : concat(levels, 1);
  }

  // Of a channel and component: the mean 2 and 3 for each one before it, from it 1, the scale 4, a
  // and b 3, log_sigmoid 2, the width 4, sums 7; of a component the weights 3 and the sum 3.
  double flops(const Shape& x) const override {
    const auto places = static_cast<double>(x.numel()) / static_cast<double>(channels_);
    const auto channels = static_cast<double>(channels_);
    const double each = channels * 23 + channels * (channels - 1) / 2 * 3 + 6;
    return places * static_cast<double>(components_) * each;
  }
  std::string kind() const override {
    return str("Logistics(", components_, " x ", channels_, ", ", levels_, " levels)");
  }

 private:
  /// Block i of M numbers, (N, T, M).
  Var part(const Var& h, std::int64_t i) const {
    return narrow(h, 2, i * components_, components_);
  }
  Var log_scale(const Var& h, std::int64_t c) const {
    constexpr double kLeast = -7, kMost = 7, kFirst = -2;
    return clamp(part(h, 1 + channels_ + c) + kFirst, kLeast, kMost);
  }
  Var mean(const Var& h, const Var& y, std::int64_t c) const {
    Var m = part(h, 1 + c) + Var(places(h.value()));
    const std::int64_t first = 1 + 2 * channels_ + c * (c - 1) / 2;
    for (std::int64_t b = 0; b < c; ++b) {
      m = m + tanh(part(h, first + b)) * narrow(y, 2, b, 1);
    }
    return m;
  }
  /// (M), from -1 to 1.
  Tensor places(const Tensor& like) const {
    Tensor all = Tensor::zeros({components_}, like.dtype(), like.device());
    for (std::int64_t i = 0; i < components_ && components_ > 1; ++i) {
      const double share = static_cast<double>(i) / static_cast<double>(components_ - 1);
      all.narrow(0, i, 1).fill_(2 * share - 1);
    }
    return all;
  }

  int levels_;
  std::int64_t channels_, components_;
};

}  // namespace

// With a and b the distances of both ends in scales: the mass is sigmoid(b) sigmoid(-a) (1 - e^(a -
// b)).
Var log_mass_of_level(const Tensor& x, const Var& from_mean, const Var& inverse_scale, double half,
                      int levels) {
  const Var above = log_sigmoid((from_mean + half) * inverse_scale);
  const Var below = log_sigmoid((half - from_mean) * inverse_scale);
  const Var width = log(-expm1(inverse_scale * (-2 * half)));
  const auto ones = [&](const Tensor& yes) { return yes.to(x.dtype()); };
  const Tensor not_last = ones(less(x, Tensor::full({}, levels - 1, x.dtype(), x.device())));
  const Tensor not_first = ones(greater(x, Tensor::zeros({}, x.dtype(), x.device())));
  return above * Var(not_last) + below * Var(not_first) + width * Var(not_last * not_first);
}

Tensor level_passed(const Tensor& x, int levels) {
  const Tensor zero = x.zeros_like(), none = x - x;  // 0, or NaN
  const Tensor finite = where(equal(none, zero), x, zero);
  return clamp(finite, 0, levels - 1).to(DType::U8).to(x.dtype()) + none;
}

Tensor log_odds(const Samples& bits) {
  Tensor ones;
  bits.for_each_part([&](const Tensor& part) {
    const Tensor here = sum(part.to(DType::F64), {0});
    ones = ones.defined() ? ones + here : here;
  });
  return log(ones + 0.5) - log(ones * -1.0 + (static_cast<double>(bits.size()) + 0.5));
}

std::shared_ptr<LevelOutputs> bernoulli_outputs() { return std::make_shared<BernoulliOutputs>(); }

std::shared_ptr<LevelOutputs> softmax_outputs(int levels) {
  return std::make_shared<SoftmaxOutputs>(levels);
}

std::shared_ptr<LevelOutputs> logistic_outputs(int levels, std::int64_t channels,
                                               std::int64_t components) {
  return std::make_shared<LogisticOutputs>(levels, channels, components);
}

}  // namespace nf::flows
