#include "flows/examine/calibration.h"

#include <algorithm>
#include <cmath>

#include "flows/examine/diagnose.h"
#include "tensor/error.h"

namespace nf::flows {

namespace {

/// P(K <= k) and P(K >= k) of n events.
struct Tails {
  double lower, upper;
};

/// ln P(K = k); a sum of probabilities would be 0 where n is large.
double log_binomial(std::int64_t k, std::int64_t n, double p) {
  const auto a = static_cast<double>(k), b = static_cast<double>(n - k);
  return std::lgamma(a + b + 1) - std::lgamma(a + 1) - std::lgamma(b + 1) + a * std::log(p) +
         b * std::log1p(-p);
}

Tails binomial_tails(std::int64_t k, std::int64_t n, double p) {
  double lower = 0, upper = 0;
  for (std::int64_t i = 0; i <= k; ++i) lower += std::exp(log_binomial(i, n, p));
  for (std::int64_t i = k; i <= n; ++i) upper += std::exp(log_binomial(i, n, p));
  return {std::min(lower, 1.0), std::min(upper, 1.0)};
}

bool within_region(double share, double level, Region region) {
  return region == Region::Middle ? std::abs(share - 0.5) <= level / 2 : share >= 1 - level;
}

}  // namespace

Tensor rank_shares(const Tensor& x, const Tensor& draws, Generator& gen) {
  const std::int64_t n = x.rank() == 2 ? x.dim(0) : 0, dims = n > 0 ? x.dim(1) : 0;
  NF_CHECK(n > 0 && draws.rank() == 2 && draws.dim(1) == dims && draws.dim(0) > 0 &&
               draws.dim(0) % n == 0,
           "[rank_shares] draws of rows ", x.shape(), " are as many for each, got ", draws.shape());
  const std::int64_t each = draws.dim(0) / n;
  const auto reals = [](const Tensor& t) { return t.to(Device::CPU).to(DType::F64).contiguous(); };
  const Tensor cells = reals(x), drawn = reals(draws),
               noise = uniform(gen, {n, dims, 2}, DType::F64);
  Tensor out = Tensor::zeros({n, dims}, DType::F64);
  const double *const cell = cells.data<double>(), *const among = drawn.data<double>();
  for (std::int64_t i = 0; i < n * dims; ++i) {
    std::int64_t below = 0, equal = 0;
    for (std::int64_t k = 0; k < each; ++k) {
      const double value = among[(i / dims * each + k) * dims + i % dims];
      below += value < cell[i];
      equal += value == cell[i];
    }
    const double* const u = noise.data<double>() + 2 * i;
    const double rank =
        static_cast<double>(below) + std::floor(u[0] * (static_cast<double>(equal) + 1));
    out.mutable_data<double>()[i] =
        std::isnan(cell[i]) ? cell[i] : (rank + u[1]) / (static_cast<double>(each) + 1);
  }
  return out;
}

bool Coverage::one_sided() const {
  constexpr double kFew = 0.25;
  const double each = (1 - level) / 2 * static_cast<double>(of);  // of a right model
  const double up = static_cast<double>(above) - each;
  const double down = static_cast<double>(of - within - above) - each;
  return std::max(up, down) > 0 && std::min(up, down) < kFew * std::max(up, down);
}

double Calibration::least_p_value() const {
  double least = ks_p_value;
  for (const Coverage& c : coverage) least = std::min(least, c.p_value);
  return least;
}

std::string Calibration::fault(double chance) const {
  if (least_p_value() >= chance) return "";
  const Coverage* worst = nullptr;
  for (const Coverage& c : coverage) {
    if (c.p_value < chance && (!worst || c.p_value < worst->p_value)) worst = &c;
  }
  constexpr double kShifted = 0.02;
  // Of densities the highest are the region: a shift of theirs is what coverage says.
  const bool aside =
      !worst || (region == Region::Middle && worst->share() < worst->level && worst->one_sided());
  if (aside && mean < 0.5 - kShifted) return "too high";
  if (aside && mean > 0.5 + kShifted) return "too low";
  if (worst) return worst->share() < worst->level ? "too narrow" : "too wide";
  return "of another shape";
}

Calibration calibration_of(const std::string& name, std::vector<double> shares,
                           const std::vector<double>& levels, Region region) {
  std::erase_if(shares, [](double share) { return std::isnan(share); });
  NF_CHECK(!shares.empty(), "[calibration_of] no cell of ", name, " has a value");
  Calibration out{.name = name, .coverage = {}, .region = region};
  for (const double share : shares) out.mean += share / static_cast<double>(shares.size());
  out.ks = ks_distance(shares);
  out.ks_p_value = ks_p_value(out.ks, static_cast<double>(shares.size()));
  for (const double level : levels) {
    Coverage c{.level = level, .of = std::ssize(shares)};
    for (const double share : shares) {
      const bool within = within_region(share, level, region);
      c.within += within;
      c.above += !within && share > 0.5;
    }
    c.p_value = binomial_p_value(c.within, c.of, level);
    out.coverage.push_back(c);
  }
  return out;
}

double binomial_p_value(std::int64_t k, std::int64_t n, double p) {
  const Tails tails = binomial_tails(k, n, p);
  return std::min(1.0, 2 * std::min(tails.lower, tails.upper));
}

std::pair<std::int64_t, std::int64_t> binomial_band(std::int64_t n, double p, double share) {
  const double outside = (1 - share) / 2;
  std::int64_t low = 0, high = n;
  double below = 0, above = 0;
  while (low < n && (below += std::exp(log_binomial(low, n, p))) < outside) ++low;
  while (high > 0 && (above += std::exp(log_binomial(high, n, p))) < outside) --high;
  return {low, high};
}

}  // namespace nf::flows
