// ResidualBlock: x + g(x), invertible because g's slope is below 1.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "flows/bijection.h"
#include "nn/nets/lipschitz_net.h"

namespace nf::flows {

/// How ln|det(I + J)|, J the Jacobian of g, is computed.
enum class ResidualLogDet {
  Exact,    ///< from J itself, by as many directions as a sample has dimensions
  Series,   ///< the first terms of sum_k (-1)^(k+1) tr(J^k) / k, each trace estimated by v^T J^k v
            ///< with a random v: right on average but for the terms that are left out (Behrmann et
            ///< al., "Invertible residual networks" (2019), section 3.2)
  Roulette  ///< the same, with a random number of terms, each divided by the probability that it is
            ///< there: right on average (Chen et al., "Residual flows for invertible generative
            ///< modeling" (2019), theorem 1) but for what the series has behind kMostRoulette more
            ///< terms than are always there, which no number of draws that anybody makes would show
};

struct ResidualOptions {
  ResidualLogDet log_det = ResidualLogDet::Exact;
  /// Of the series in train mode and in evaluation mode. Roulette always has these terms, and as
  /// many more as a Poisson variable N of mean 2 says, kMostRoulette at most.
  int terms = 2, terms_evaluated = 20;
  /// P(N > kMostRoulette) is 2e-9. A term behind would come once in 500 million draws, and would be
  /// multiplied by as much, so to leave it out costs a bias of bias_bound(), and spares a variance
  /// without bound.
  static constexpr int kMostRoulette = 14;
  int most_steps = 1000;  ///< of the inverse
};

/// z = x + g(x), x (N, ...). `net` is g.
///
/// The value is exact and draws nothing, and so is log_det with ResidualLogDet::Exact. An estimated
/// one has for each sample one v of -1 and 1 (Hutchinson's trace), the same for all powers of J,
/// from the generator `probes` (an inverse that is not recorded takes the same ones at every call,
/// so that several threads may draw samples); its gradient is an estimate too, that of w^T J v with
/// w = sum_k
/// (-1)^k (J^T)^k v as a constant, which needs no second derivatives (Chen et al. 2019, theorem 2).
/// Of all this a tape keeps no graph: the gradient is computed in forward, and kept in its place
/// (Chen et al. 2019, section 3.2). That it is one for all samples is right where they count alike
/// in the loss; else it is computed anew in backward.
///
/// The inverse is the limit of x <- z - g(x) from x = z, for each sample until |dx| <= tolerance()
/// * (1 + |x|), in the largest of its numbers. With L the slope of g, x is then right to L / (1 -
/// L) times that. Its gradients are those of the limit, by the same iteration. Throws Error when a
/// sample is not there after most_steps, which happens where L is near 1, or not below it.
class ResidualBlock : public Bijection {
 public:
  explicit ResidualBlock(std::shared_ptr<nn::LipschitzNet> net, const ResidualOptions& options = {},
                         const Generator& probes = Generator());
  Mapped forward(const Var& x, const Var& context = {}) override;
  Mapped inverse(const Var& z, const Var& context = {}) override;
  Var encode(const Var& x, const Var& context = {}) override;
  /// Whether log_det is an estimate.
  bool estimated() const { return probes_ != nullptr; }
  /// How far the mean of log_det in evaluation mode may be from the exact one, in nats for each
  /// dimension of a sample: sum_(k > n) L^k / k with n the last term that there may be, and L the
  /// bound of g's slope (Behrmann et al. 2019, theorem 4). 0 where it is exact.
  double bias_bound() const;
  /// How many steps the latest inverse took.
  int inverse_steps() const { return inverse_steps_.load(std::memory_order_relaxed); }
  static double tolerance(DType dtype) { return dtype == DType::F32 ? 1e-5 : 1e-11; }
  nn::LipschitzNet& net() { return net_; }
  std::string kind() const override;
  Shape inspect(const Shape& in, const std::string& name,
                std::vector<nn::LayerInfo>& rows) const override;

 private:
  using Linearized = nn::LipschitzNet::Linearized;
  struct Estimate {
    Tensor value;  // (N)
    Tensor v, w;   // like x
  };

  std::vector<Tensor> gradients(const Var& x, const std::vector<Var>& weights, const Tensor& dout,
                                const std::function<Estimate(const Linearized&)>& of);
  Var estimated_log_det(const Var& x, const std::vector<Var>& weights, Generator& probes);
  Var exact_log_det(const Linearized& at, const Var& x) const;
  Estimate estimate(const Linearized& at, const Tensor& x, Generator& probes);
  Var recorded_inverse(const Var& z, const Tensor& x, const std::vector<Var>& weights);

  nn::LipschitzNet& net_;
  ResidualOptions options_;
  Generator* probes_ = nullptr;  // null: exact
  const Generator fixed_;        // of the inverse where nothing is recorded
  std::atomic<int> inverse_steps_{0};
};

/// Whether there is a layer in the module whose log_det is an estimate: then log_prob is one, right
/// on average over draws (but for what a series leaves out), and no bound by itself.
bool estimates_log_det(const nn::Module& module);

}  // namespace nf::flows
