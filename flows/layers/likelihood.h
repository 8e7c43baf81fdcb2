// Likelihoods: how data are distributed around what a decoder says.
#pragma once

#include <memory>
#include <string>

#include "flows/samples.h"
#include "flows/transform.h"

namespace nf::flows {

/// p(x|h) = prod_d p(x_d|h_d): x (N, D) data, h (N, D) what a decoder says of them. flops of x are
/// those of seen and log_prob.
class Likelihood : public nn::Module {
 public:
  /// ln p(x|h) of each row, (N), nats; differentiable in h.
  virtual Var log_prob(const Var& x, const Var& h) const = 0;
  /// The middle of p(x|h), (N, D), in units of x.
  virtual Var middle(const Var& h) const = 0;
  /// x ~ p(x|h), with noise of `gen`.
  virtual Var draw(const Var& h, Generator& gen) const = 0;
  /// x as an encoder sees it: numbers of size 1.
  virtual Var seen(const Var& x) const { return x; }
  /// K where x are levels 0..K-1, else 0.
  virtual int levels() const { return 0; }
  /// Lets h = 0 say what rows of data are on average.
  virtual void initialize(const Samples& /*x*/) {}
  virtual std::int64_t initial_rows() const { return 0; }
};

/// Of levels 0 and 1: P(1) = sigmoid(h + offset), ln P(x) = x l - softplus(l) for l = h + offset.
/// The middle is P(1). initialize() makes the offset the logit of the rows' mean, within [0.001,
/// 0.999]. (Kingma, Welling 2014; Burda et al. 2016, its code)
std::shared_ptr<Likelihood> bernoulli_likelihood(std::int64_t dims);

/// Of levels 0..K-1: the mass that a logistic of mean m = offset + h (K - 1) / 2 and scale s has
/// between x - 1/2 and x + 1/2; that of the outermost levels goes on for ever, so masses add up to
/// 1. With a = (x - 1/2 - m) / s and b = a + 1/s
///
///   ln P(x) = ln(sigmoid(b) - sigmoid(a)) = log_sigmoid(b) + log_sigmoid(-a) + ln(1 - e^(-1/s)),
///
/// which loses no digits far from m; of x = 0 it is log_sigmoid(b), of x = K - 1 log_sigmoid(-a).
/// ln s is learned, one for each dimension. The middle is m, within the levels. (Kingma et al.,
/// "IAF" (2016), its code; Salimans et al. 2017) initialize() takes offset and s from the rows.
/// Throws Error unless 2 <= levels <= 256.
std::shared_ptr<Likelihood> logistic_likelihood(std::int64_t dims, int levels);

/// Of reals: Gaussian with mean h and a learned deviation for each dimension.
std::shared_ptr<Likelihood> gaussian_likelihood(std::int64_t dims);

}  // namespace nf::flows
