// The restricted Boltzmann machine: p(v, h) = exp(b v + c h + h W v) / Z, all units 0 or 1.
#pragma once

#include "zoo.h"

namespace zoo {

struct Rbm {
  Var w, b, c;  ///< (H, D), visible biases (D), hidden biases (H)

  /// Small weights; the visible biases give each pixel its mean in x (N, D).
  static Rbm make(Weights& weights, const std::string& name, std::int64_t hidden, const Tensor& x,
                  Generator& gen) {
    return {weights.add(name + ".weight", normal(gen, {hidden, x.dim(1)}) * 0.01),
            weights.add(name + ".b", mean_logits(x)),
            weights.add(name + ".c", Tensor::zeros({hidden}))};
  }

  /// The same machine with its two sides exchanged.
  Rbm flipped() const { return {transpose(w, 0, 1), c, b}; }

  Tensor hidden(const Tensor& v) const {  ///< p(h = 1 | v), (N, H)
    return sigmoid(matmul(v, w.value().t()) + c.value());
  }
  Tensor visible(const Tensor& h) const {  ///< p(v = 1 | h), (N, D)
    return sigmoid(matmul(h, w.value()) + b.value());
  }
  /// v after so many steps of Gibbs sampling: hidden units given v, v given them.
  Tensor gibbs(Generator& gen, Tensor v, int steps) const {
    for (int i = 0; i < steps; ++i) v = draw_bits(gen, visible(draw_bits(gen, hidden(v))));
    return v;
  }
  /// F(v) = -ln sum over h of exp(b v + c h + h W v), (N): ln p(v) = -F(v) - ln Z.
  Var free_energy(const Var& v) const {
    return -sum(v * b, {1}) - sum(softplus(linear(v, w, c)), {1});
  }
};

/// ln Z by summing over all states of the hidden side.
inline double exact_ln_z(const Rbm& rbm) {
  const Tensor states = all_bits(rbm.w.dim(0));
  return logsumexp((-rbm.flipped().free_energy(states)).value().to(DType::F64)).item();
}

/// ln Z by annealed importance sampling (Neal 2001; Salakhutdinov, Murray 2008): chains go from a
/// machine without weights and with visible biases `base` (D), whose Z is known, to this one, at
/// inverse temperatures beta from 0 to 1, denser near 1. Each step multiplies a chain's weight by
/// p_beta'(v) / p_beta(v), unnormalised; the mean of the weights is Z / Z_base. Its logarithm is
/// low on average, and so figures with - ln Z are too good, the more the weights differ.
inline Estimate ais(const Rbm& rbm, const Tensor& base, Generator& gen, std::int64_t chains,
                    int temperatures) {
  const Tensor w = rbm.w.value(), b = rbm.b.value(), c = rbm.c.value();
  Tensor v = draw_bits(gen, sigmoid(base).broadcast_to({chains, base.dim(0)}));
  Tensor log_weight = Tensor::zeros({chains}, DType::F64);
  double before = 0;
  for (int t = 1; t <= temperatures; ++t) {
    const double s = static_cast<double>(t) / temperatures, beta = s * (2 - s);
    const Tensor inner = matmul(v, w.t()) + c;
    const Tensor gain = sum(v * (b - base), {1}) * (beta - before) +
                        sum(softplus(inner * beta) - softplus(inner * before), {1});
    log_weight = log_weight + gain.to(DType::F64);
    const Tensor h = draw_bits(gen, sigmoid(inner * beta));
    v = draw_bits(gen, sigmoid((matmul(h, w) + b) * beta + base * (1 - beta)));
    before = beta;
  }
  const double of_base = static_cast<double>(w.dim(0)) * std::log(2.0) + sum(softplus(base)).item();
  const double log_mean = logsumexp(log_weight).item() - std::log(static_cast<double>(chains));
  // The error of a logarithm is the relative error of its argument.
  return {of_base + log_mean, mean_of(exp(log_weight - log_mean)).se};
}

struct RbmTraining {
  bool persistent = true;  ///< chains go on from step to step (PCD), or start at the data (CD)
  int k = 1;               ///< steps of Gibbs sampling for each update
  double lr = 0.01;
};

/// Ascends ln p(v) of x. Its gradient is that of -F(v) at the data less its mean under the model,
/// which chains stand for: contrastive divergence (Hinton 2002), persistent (Tieleman 2008). Steps
/// have the momentum of nn::Optimizer, 0.9, and so are about ten times the rate.
inline void train_rbm(const Rbm& rbm, Weights& weights, const Tensor& x, Progress progress,
                      Generator& gen, const RbmTraining& how) {
  nn::Optimizer sgd(weights, {.rule = UpdateRule::Sgd, .lr = how.lr});
  Tensor chains = random_batch(gen, x, 100);
  while (progress.next()) {
    const Tensor v = random_batch(gen, x, 100);
    chains = rbm.gibbs(gen, how.persistent ? chains : v, how.k);
    sgd.set_lr(how.lr * progress.left());
    descend(weights, sgd, [&] { return mean(rbm.free_energy(v)) - mean(rbm.free_energy(chains)); });
  }
}

/// ln p(v) = -F(v) - ln Z of rows.
inline Estimate log_likelihood(const Rbm& rbm, const Tensor& x, double ln_z) {
  return mean_of(-rbm.free_energy(x).value() - ln_z);
}

}  // namespace zoo
