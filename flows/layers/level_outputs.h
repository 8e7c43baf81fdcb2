// LevelOutputs: the distribution of the levels of a place, by the outputs of a net.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "autograd/functions.h"
#include "flows/samples.h"

namespace nf::flows {

/// ln P of bits x, 0 and 1, by their logits l, of the same shape: x l - softplus(l).
inline Var bernoulli_log_prob(const Var& x, const Var& l) { return x * l - softplus(l); }

/// ln((ones + 1/2) / (zeros + 1/2)) of each column of bits, (D), f64: the logit that a column has
/// before anything is known. Where a model begins there, it need not learn first which pixels are
/// always dark. (Hinton, "A practical guide to training restricted Boltzmann machines" (2012),
/// section 8.1)
Tensor log_odds(const Samples& bits);

/// ln of a logistic's mass from half a level below x to half a level above it, at the first and the
/// last level to the end: x levels 0..K-1, `from_mean` and `half` (a level's) in one unit, and
/// `inverse_scale` in that. (Salimans et al. 2017)
Var log_mass_of_level(const Tensor& x, const Var& from_mean, const Var& inverse_scale, double half,
                      int levels);
/// The level 0..K-1 that x >= 0 has passed, as a float; NaN where x is not finite: no level, which
/// the caller is to see.
Tensor level_passed(const Tensor& x, int levels);

/// p(x_1, .., x_C | h) of the C levels 0..K-1 of a place, h being P numbers that a net says of it.
class LevelOutputs {
 public:
  virtual ~LevelOutputs() = default;
  virtual std::int64_t outputs() const = 0;  ///< P
  /// How many uniform numbers a draw takes.
  virtual std::int64_t noise() const = 0;
  /// x (N, T, C) levels as floats, h (N, T, P); (N, T, 1), nats.
  virtual Var log_prob(const Var& x, const Var& h) const = 0;
  /// x (N, C) of h (N, P), by u (N, noise()) from U(0, 1). With a lower temperature what is likely
  /// becomes more so. With 0 it is the likeliest bit or category, of a mixture the middle of its
  /// heaviest component. Of h that is not finite it is NaN.
  virtual Tensor draw(const Tensor& h, const Tensor& u, double temperature) const = 0;
  virtual double flops(const Shape& x) const = 0;  ///< of log_prob; see nn::Module
  virtual std::string kind() const = 0;
};

/// Of one bit: P(1) = sigmoid(h).
std::shared_ptr<LevelOutputs> bernoulli_outputs();

/// Of one level: P(k) = softmax(h)_k.
std::shared_ptr<LevelOutputs> softmax_outputs(int levels);

/// Of C channels: a mixture of M components, in each of which a channel is a discretised logistic
/// (flows/layers/likelihood.h), whose mean is linear in the channels before it. With the levels as
/// y = 2 x / (K - 1) - 1, h are, M numbers each, logits of the weights; for c = 1..C the means m_c
/// and log scales s_c; for c = 2..C and b < c the factors f_cb:
///
///   y_c ~ logistic(m_c + place + sum_b tanh(f_cb) y_b, exp(s_c - 2)), rounded to levels,
///
/// s_c - 2 within [-7, 7], the places of the components from -1 to 1, evenly. All mass beyond the
/// ends is that of the first and the last level. (Salimans et al., "PixelCNN++" (2017), section 2.1
/// and 2.2)
std::shared_ptr<LevelOutputs> logistic_outputs(int levels, std::int64_t channels,
                                               std::int64_t components);

}  // namespace nf::flows
