// Pareto k: whether importance weights can be trusted. Source: Vehtari, Simpson, Gelman, Yao,
// Gabry, "Pareto smoothed importance sampling" (2024); Zhang, Stephens, Technometrics 51 (2009).
#pragma once

#include <string>
#include <vector>

namespace nf::flows {

/// The mean of exp(log_weights), with what tells how far it is to be believed.
struct Evidence {
  double log_mean = 0;   ///< ln of the mean: of weights p / q, an estimate of ln Z of p
  double error = 0;      ///< its standard error; means little where k is above 0.7
  double effective = 0;  ///< effective sample size, (sum w)^2 / sum w^2
  double k = 0;          ///< pareto_k
};
/// Throws Error without weights, and for those that are NaN or all zero.
Evidence evidence_of(const std::vector<double>& log_weights);

/// The shape k of the generalised Pareto distribution that fits the largest min(S / 5, 3 sqrt(S))
/// of S weights: moments of an order above 1 / k do not exist. -infinity where these are all equal,
/// infinity where there are fewer than 5.
double pareto_k(std::vector<double> log_weights);
/// k of a generalised Pareto distribution fitted to x, all above 0, ascending (Zhang, Stephens),
/// drawn to 1/2 as by 10 further values. Throws Error for fewer than 5.
double generalized_pareto_shape(const std::vector<double>& x);
/// What a k says, in a few words. It is of the draws that there are: a part of p that q never draws
/// from has no weight that could show it, and k may be low all the same.
std::string pareto_words(double k);

}  // namespace nf::flows
