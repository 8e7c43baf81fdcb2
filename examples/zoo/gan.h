// The adversary: a network that tells samples from data, and what a generator learns from it.
#pragma once

#include <memory>

#include "nn/layers/spectral.h"
#include "nn/nets/mlp.h"
#include "zoo.h"

namespace zoo {

enum class Game {
  Minimax,        ///< min over G of max over D of E ln D(x) + E ln(1 - D(G(z)))
  NonSaturating,  ///< the same D; G goes up ln D(G(z)) instead (Goodfellow et al. 2014, section 3)
  Wasserstein,    ///< E D(x) - E D(G(z)), weights of D clipped (Arjovsky et al. 2017: to
                  ///< 0.01, by RMSProp; here to 0.1, by Adam)
  Penalty  ///< the same, but 10 E (|grad D| - 1)^2 instead of clipping (Gulrajani et al. 2017)
};

/// grad D / |grad D| at each row of x (N, D). Leaves gradients in D's parameters, too.
inline Tensor steepest(nn::Layer& d, const Tensor& x) {
  const Var leaf = Var::leaf(x);
  Tape tape;
  tape.backward(sum(d.forward(leaf)));
  return leaf.grad() / (sqrt(sum_squares(leaf.grad(), {1}, true)) + 1e-12);
}

/// v grad D at x, both (N, D), for D an mlp() of leaky ReLUs: (N, 1), the product of its Jacobian
/// with v, forward through the layers. With v = steepest() it is |grad D|; and since |grad D| is
/// the largest v grad D over all v of length 1, v may be held fixed while weights change a little:
/// the gradient of |grad D|, which seems to want second derivatives, is that of this value.
inline Var slope_along(nn::Layer& d, const Tensor& x, const Tensor& v) {
  const auto p = d.parameters();  // weight, bias, weight, ..
  Var at = x, slope = v;
  for (std::size_t i = 0; i < p.size(); i += 2) {
    at = linear(at, *p[i].second, *p[i + 1].second);
    slope = linear(slope, *p[i].second, Var());
    if (i + 2 == p.size()) break;
    const Tensor bend = affine(greater(at.value(), at.value().zeros_like()).to(x.dtype()), 0.99,
                               0.01);  // of mlp()'s leaky ReLU: 1 above 0, 0.01 below
    at = at * bend;
    slope = slope * bend;
  }
  return slope;
}

/// The gradient of E (|grad D| - 1)^2 at x, f64, with respect to D's first weights, less that by
/// differences: the largest of them. D becomes f64.
inline double penalty_error(nn::Layer& d, const Tensor& x) {
  d.to(DType::F64);
  const Tensor v = steepest(d, x);
  const auto penalty = [&](const Tensor& along) {
    return mean(square(slope_along(d, x, along) - 1));
  };
  d.clear_grads();
  {
    Tape tape;
    tape.backward(penalty(v));
  }
  Var& weight = *d.parameters().front().second;
  const std::vector<double> gradient = weight.grad().to_vector<double>();
  const Tensor kept = weight.value().clone();
  double worst = 0;
  for (std::size_t i = 0; i < gradient.size(); ++i) {
    const auto moved = [&](double by) {
      weight.mutable_value().copy_(kept);
      weight.mutable_value().mutable_data<double>()[i] += by;
      return penalty(steepest(d, x)).value().item();
    };
    worst = std::max(worst, std::abs((moved(1e-6) - moved(-1e-6)) / 2e-6 - gradient[i]));
  }
  return worst;
}

struct LeakyRelu : nn::Layer {
  Var forward(const Var& x) override { return leaky_relu(x, 0.2); }
  std::string kind() const override { return "LeakyRelu"; }
};

/// in -> hidden -> hidden -> 1. Each map stretches by at most 1, the last by `bound`, so that is
/// the slope's bound of all (Miyato et al. 2018).
inline std::shared_ptr<nn::Sequential> spectral_mlp(std::int64_t in, std::int64_t hidden,
                                                    double bound, Generator& gen) {
  auto net = std::make_shared<nn::Sequential>();
  const auto push = [&](std::int64_t from, std::int64_t to, double most) {
    net->push_back(std::make_shared<nn::SpectralLinear>(
        nn::SpectralLinearOptions{.in = from, .out = to, .coefficient = most, .init = {}}, gen));
    if (to > 1) net->push_back(std::make_shared<LeakyRelu>());
  };
  push(in, hidden, 1);
  push(hidden, hidden, 1);
  push(hidden, 1, bound);
  return net;
}

class Critic {
 public:
  Critic(Game game, std::shared_ptr<nn::Layer> net, double lr)
      : game_(game), net_(std::move(net)), adam_(*net_, {.lr = lr, .beta1 = 0.5, .beta2 = 0.9}) {}

  /// A step towards telling real from fake, both (N, ...).
  void improve(const Tensor& real, const Tensor& fake) {
    Tensor between, v;
    if (game_ == Game::Penalty) {
      const Tensor share = uniform(gen_, {real.dim(0), 1});
      between = real * share + fake * (-share + 1.0);
      v = steepest(*net_, between);
    }
    descend(*net_, adam_, [&] {
      const Var high = net_->forward(real), low = net_->forward(fake);
      if (game_ == Game::Wasserstein) return mean(low) - mean(high);
      if (game_ != Game::Penalty) return mean(softplus(-high)) + mean(softplus(low));
      return mean(low) - mean(high) + 10 * mean(square(slope_along(*net_, between, v) - 1));
    });
    if (game_ == Game::Wasserstein) {
      net_->for_each_parameter(
          [](const std::string&, Var& p) { p.mutable_value().copy_(clamp(p.value(), -0.1, 0.1)); });
    }
    for (nn::SpectralMap* map : nn::spectral_maps(*net_)) map->iterate(1);
  }

  /// What a generator of these goes down.
  Var loss_of(const Var& fake) {
    const Var score = net_->forward(fake);
    if (game_ == Game::Wasserstein || game_ == Game::Penalty) return -mean(score);
    return game_ == Game::Minimax ? -mean(softplus(score)) : mean(softplus(-score));
  }

  /// |grad D| at rows, as the penalty has it.
  Tensor slopes(const Tensor& x) { return slope_along(*net_, x, steepest(*net_, x)).value(); }

 private:
  Game game_;
  Generator gen_{/*seed=*/9};  // of places between data and samples
  std::shared_ptr<nn::Layer> net_;
  nn::Optimizer adam_;
};

}  // namespace zoo
