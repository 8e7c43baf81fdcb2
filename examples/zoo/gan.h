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
  Wasserstein     ///< E D(x) - E D(G(z)), weights of D clipped to 0.1 (Arjovsky et al. 2017)
};

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
    descend(*net_, adam_, [&] {
      const Var high = net_->forward(real), low = net_->forward(fake);
      return game_ == Game::Wasserstein ? mean(low) - mean(high)
                                        : mean(softplus(-high)) + mean(softplus(low));
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
    if (game_ == Game::Wasserstein) return -mean(score);
    return game_ == Game::Minimax ? -mean(softplus(score)) : mean(softplus(-score));
  }

 private:
  Game game_;
  std::shared_ptr<nn::Layer> net_;
  nn::Optimizer adam_;
};

}  // namespace zoo
