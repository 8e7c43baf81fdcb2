// BernoulliMade: an exact density of bits.
// Source: Germain, Gregor, Murray, Larochelle, "MADE" (2015), eq. 5.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "flows/density.h"
#include "nn/nets/made.h"

namespace nf::flows {

/// p(x) = prod_d p(x_d | x_1, .., x_(d-1)) for bits x_d, levels 0 and 1, the probability of a 1
/// being sigmoid(l_d) with the logit l_d of one output of the network, which may see a context too.
/// log_prob is exact, in nats of the D bits: no noise is added, and there are no latents.
class BernoulliMade : public Density {
 public:
  /// Throws Error unless the net has one output for each dimension.
  BernoulliMade(std::shared_ptr<nn::Made> net, std::shared_ptr<Condition> condition);

  /// x (N, D) of 0 and 1, u8 or floats.
  Var log_prob(const Var& x, const Var& given = {}) override;
  /// Bits as floats, one dimension after the other in the work of one pass (nn::MadeSweep). Logits
  /// are divided by `temperature`; with 0 each bit is the likelier one.
  Tensor sample(Generator& gen, std::int64_t n, double temperature = 1,
                const Var& given = {}) override;

  /// The biases of the outputs begin with the log-odds of the columns.
  void initialize(const Samples& rows) override;
  std::int64_t initial_rows() const override;
  bool bound() const override { return false; }
  int levels() const override { return 2; }
  std::string kind() const override;
  Shape inspect(const Shape& in, const std::string& name,
                std::vector<nn::LayerInfo>& rows) const override;

 private:
  nn::Made& net_;
  Var* weight_ = nullptr;  // one of the net's: of its dtype the bits are made
};

}  // namespace nf::flows
