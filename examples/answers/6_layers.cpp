// Answers to the exercises of chapter 6.
#include <cmath>
#include <cstdio>
#include <functional>
#include <memory>

#include "examples/asinh.h"
#include "examples/heavy_tails.h"
#include "flows/examine/check.h"

using namespace nf;

/// Exercise 1: widths that begin at the mean of |x|.
class AsinhFromData : public Asinh {
 public:
  using Asinh::Asinh;
  void initialize(const flows::Samples& x) override {
    log_width_.mutable_value().copy_(log(mean(abs(x.all()), {0})));
  }
  std::int64_t initial_rows() const override { return 2000; }
};

/// Exercise 2: z = logit F, F = sum_k pi_k sigmoid((x - mu_k) exp(-s_k)), K logistics for each of D
/// dimensions. F' / (F (1 - F)) is the slope; all in logarithms.
class LogisticMixture : public flows::Bijection {
 public:
  LogisticMixture(std::int64_t dims, std::int64_t parts, int halvings)
      : weight_(add_parameter("weight", Tensor::zeros({dims, parts}))),
        mean_(add_parameter("mean", Tensor::zeros({dims, parts}))),
        log_scale_(add_parameter("log_scale", Tensor::zeros({dims, parts}))),
        halvings_(halvings) {}

  flows::Mapped forward(const Var& x, const Var& = {}) override {
    const auto [z, log_slope] = at(x);
    return {z, sum(log_slope, {1})};
  }
  // Bisection finds the number, but no gradient. One step of Newton's from there changes it by next
  // to nothing, and its derivative is that of the inverse: dx = (dz - df) / f'.
  flows::Mapped inverse(const Var& z, const Var& = {}) override {
    const Tensor near = bisected(z.value());
    const auto [there, slope] = at(near);
    const Var x = near - (there - z) * exp(-slope.value());
    return {x, -sum(at(x).log_det, {1})};
  }
  std::string kind() const override { return "LogisticMixture"; }

 private:
  /// z and ln dz/dx of each number, (N, D) both.
  flows::Mapped at(const Var& x) const {
    const Var one_more = reshape(x, {x.dim(0), x.dim(1), 1});
    const Var y = (one_more - mean_) * exp(-log_scale_);            // (N, D, K)
    const Var log_pi = weight_ - logsumexp(weight_, {1}, true);     // (D, K)
    const Var log_f = logsumexp(log_pi + log_sigmoid(y), {2});      // ln F, (N, D)
    const Var log_rest = logsumexp(log_pi + log_sigmoid(-y), {2});  // ln (1 - F)
    const Var log_density = logsumexp(log_pi + log_sigmoid(y) + log_sigmoid(-y) - log_scale_, {2});
    return {log_f - log_rest, log_density - log_f - log_rest};
  }
  Tensor bisected(const Tensor& z) const {
    const NoGrad off;
    Tensor low = Tensor::full(z.shape(), -1000, z.dtype()), high = -low;
    for (int i = 0; i < halvings_; ++i) {
      const Tensor middle = 0.5 * (low + high);
      const Tensor below =
          compare(CompareOp::Less, at(middle).value.value(), z);  // there x has to be larger
      low = where(below, middle, low);
      high = where(below, high, middle);
    }
    return 0.5 * (low + high);
  }

  Var &weight_, &mean_, &log_scale_;  // (D, K)
  int halvings_;
};

/// Exercise 3: the width is found in the data, but kept in a member that no file holds.
class Forgetful : public Asinh {
 public:
  using Asinh::Asinh;
  void initialize(const flows::Samples& x) override { width_ = mean(abs(x.all())).item(); }
  std::int64_t initial_rows() const override { return 2000; }
  flows::Mapped forward(const Var& x, const Var& = {}) override {
    const auto [z, log_det] = Asinh::forward(x / width_);
    return {z, log_det - static_cast<double>(x.dim(1)) * std::log(width_)};
  }
  flows::Mapped inverse(const Var& z, const Var& = {}) override {
    const auto [x, log_det] = Asinh::inverse(z);
    return {x * width_, log_det + static_cast<double>(z.dim(1)) * std::log(width_)};
  }

 private:
  double width_ = 1;
};

/// What check_bijection says; returns how many lines.
static std::size_t report(const char* name,
                          const std::function<std::shared_ptr<flows::Transform>()>& make) {
  const auto lines = flows::check_bijection({.name = name,
                                             .make = [&](Generator&) { return make(); },
                                             .input =
                                                 [](Generator& gen) {
                                                   return 3 * normal(gen, {4, 3}, DType::F64);
                                                 }});
  std::printf("%s: %zu broken promises\n", name, lines.size());
  for (const std::string& line : lines) std::printf("  %s\n", line.c_str());
  return lines.size();
}

int main() {
  const data::Dataset data = heavy_tails();
  std::printf("epochs  widths from 1  from the data\n");
  double last = 0;
  for (const int epochs : {1, 4, 16}) {
    const auto nats = [&](std::shared_ptr<flows::Bijection> layer) {
      return evaluate(*trained(data, std::move(layer), epochs), data.test.x).nats;
    };
    const double plain = nats(std::make_shared<Asinh>(1));
    const double begun = nats(std::make_shared<AsinhFromData>(1));
    std::printf("%6d  %13.3f  %13.3f\n", epochs, plain, begun);
    last = std::abs(plain - begun);
  }

  const auto mixture = [](int halvings) {
    return [halvings] { return std::make_shared<LogisticMixture>(3, 4, halvings); };
  };
  const std::size_t twenty = report("LogisticMixture, 20 halvings", mixture(20));
  const std::size_t sixty = report("LogisticMixture, 60 halvings", mixture(60));
  const std::size_t forgetful = report("Forgetful", [] { return std::make_shared<Forgetful>(3); });
  return last < 0.01 && twenty > 0 && sixty == 0 && forgetful == 3 ? 0 : 1;
}
