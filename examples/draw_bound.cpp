// Draws what a lower bound of ln p(x) loses: the posterior of a latent, and what a Gaussian and a
// bent Gaussian make of it. Chapter 15 of the book shows the picture.
#include <cmath>
#include <cstdio>
#include <numbers>

#include "data/svg.h"
#include "flows/base.h"
#include "flows/layers/planar.h"
#include "nn/optim/optim.h"

using namespace nf;

constexpr double kSeen = 1.5, kNoise = 0.6;  // x, and its deviation around z^2

/// ln p(x, z) for z (N, 1): z is standard normal, x is z^2 and noise. (N)
static Var log_joint(const Var& z) {
  const double constant = -std::log(2 * std::numbers::pi * kNoise);
  const Var off = (kSeen - square(z)) / kNoise;
  return reshape(affine(square(z) + square(off), -0.5, constant), {z.dim(0)});
}

/// q(z|x): a Gaussian, and planar layers behind it.
class Guess : public nn::Module {
 public:
  Guess(double mean, double log_scale, int bends)
      : gaussian_(add_parameter("gaussian", Tensor::from<double>({mean, log_scale}, {1, 2}))) {
    Generator gen(/*seed=*/1);
    for (int i = 0; i < bends; ++i) {
      bends_.push_back(&add_module(str("bends.", i), std::make_shared<flows::Planar>(1, gen)));
    }
    to(DType::F64);
  }
  std::string kind() const override { return "Guess"; }
  /// z and ln q(z|x) of standard normal e (N, 1).
  flows::Mapped operator()(const Tensor& e) const {
    const Var log_scale = narrow(gaussian_, 1, 1, 1);
    Var z = narrow(gaussian_, 1, 0, 1) + exp(log_scale) * Var(e);
    Var log_q = flows::StandardNormal().log_prob(e) - reshape(log_scale, {1});
    for (flows::Planar* bend : bends_) {
      const auto [moved, log_det] = (*bend)(z);
      z = moved;
      log_q = log_q - log_det;
    }
    return {z, log_q};
  }

 private:
  Var& gaussian_;
  std::vector<flows::Planar*> bends_;
};

/// e from -6 to 6 (N, 1), and the share of a standard normal that each stands for (N).
struct Nodes {
  static constexpr std::int64_t kCount = 600;
  Tensor e = (((Tensor::arange(kCount, DType::F64) + 0.5) / 50) - 6.0).reshape({kCount, 1});
  Tensor share = exp(flows::StandardNormal().log_prob(e).value()) / 50;
};

/// Brings the bound up, and says what it is then.
static double fit(Guess& guess, const Nodes& nodes, int steps) {
  nn::Optimizer optimizer(guess, {.rule = UpdateRule::Adam, .lr = 1e-2});
  double bound = 0;
  for (int step = 0; step < steps; ++step) {
    Tape tape;
    const auto [z, log_q] = guess(nodes.e);
    const Var loss = sum((log_q - log_joint(z)) * Var(nodes.share));
    bound = -loss.value().item();
    tape.backward(loss);
    optimizer.step();
    guess.clear_grads();
  }
  return bound;
}

/// The mean of ln (1/K) sum_k p(x, z_k) / q(z_k|x) over many times K draws.
static double bound_of_draws(const Guess& guess, std::int64_t draws) {
  constexpr std::int64_t kTimes = 4000;
  Generator gen(/*seed=*/2);
  const auto [z, log_q] = guess(normal(gen, {kTimes * draws, 1}, DType::F64));
  const Var weights = reshape(log_joint(z) - log_q, {kTimes, draws});
  return mean(logsumexp(weights, {1})).value().item() - std::log(static_cast<double>(draws));
}

int main(int argc, char** argv) {
  const Tensor grid = ((Tensor::arange(600, DType::F64) + 0.5) / 100 - 3.0).reshape({600, 1});
  const Tensor joint = exp(log_joint(grid).value());
  const double evidence = std::log(sum(joint).item() / 100);
  std::printf("ln p(x) %.3f\n", evidence);
  data::Series truth{"p(z|x), dashed", grid.to_vector<double>(),
                     (joint / std::exp(evidence)).to_vector<double>()};
  for (std::size_t i = 0; i < truth.y.size(); ++i) {
    if (i % 12 >= 7) truth.y[i] = NAN;  // a gap
  }
  std::vector<data::Series> curves;

  struct Start {
    const char* name;
    double mean, log_scale;
    int bends;
  };
  const Nodes nodes;
  std::vector<double> bounds, of_many;
  for (const Start& at :
       {Start{"narrow Gaussian", 1, -1, 0}, {"wide Gaussian", 0, 0, 0}, {"8 bends", 0, 0, 8}}) {
    Guess guess(at.mean, at.log_scale, at.bends);
    bounds.push_back(fit(guess, nodes, 3000));
    of_many.push_back(bound_of_draws(guess, 64));
    std::printf("%-15s bound %.3f, of 4 draws %.3f, of 64 draws %.3f\n", at.name, bounds.back(),
                bound_of_draws(guess, 4), of_many.back());
    const auto [z, log_q] = guess(nodes.e);
    curves.push_back(
        {at.name, z.value().to_vector<double>(), exp(log_q.value()).to_vector<double>()});
  }
  curves.push_back(truth);
  const char* path = argc > 1 ? argv[1] : "bound.svg";
  data::write_curve_svg(path, {"z, given x", "z", "density", /*whole_range=*/true}, curves);
  std::printf("wrote %s\n", path);
  const bool narrow_first = bounds[0] > bounds[1] && of_many[0] < of_many[1] - 0.5;
  return narrow_first && bounds[2] > evidence - 0.01 && bounds[2] < evidence ? 0 : 1;
}
