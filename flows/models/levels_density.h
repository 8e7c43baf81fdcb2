// LevelsDensity: an exact density of levels, place after place.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "flows/density.h"
#include "flows/layers/level_outputs.h"
#include "nn/nets/causal.h"

namespace nf::flows {

/// p(x) = prod_t p(x_t | x_1, .., x_(t-1)) for places t of C levels 0..K-1 each, rows (N, T C):
/// a CausalNet says of each place the numbers by which `outputs` makes a distribution. It sees the
/// levels as k / (K - 1) and may see a context, too. log_prob is exact, in nats of the levels: no
/// noise is added, and there are no latents.
class LevelsDensity : public Density {
 public:
  /// Throws Error unless the net gives as many numbers as `outputs` needs.
  LevelsDensity(std::shared_ptr<nn::CausalNet> net, std::shared_ptr<LevelOutputs> outputs,
                int levels, std::shared_ptr<Condition> condition);

  /// x (N, T C), u8 or floats.
  Var log_prob(const Var& x, const Var& given = {}) override;
  /// Levels as floats, one place after the other in the work of one pass (nn::CausalSweep).
  /// `temperature` as LevelOutputs has it.
  Tensor sample(Generator& gen, std::int64_t n, double temperature = 1,
                const Var& given = {}) override;

  /// Bits begin with the log-odds of their columns, where the net has a bias for each.
  void initialize(const Samples& rows) override;
  std::int64_t initial_rows() const override;
  bool bound() const override { return false; }
  int levels() const override { return levels_; }
  std::string kind() const override;
  Shape inspect(const Shape& in, const std::string& name,
                std::vector<nn::LayerInfo>& rows) const override;

 private:
  /// (N, T, C), as the net sees them.
  Var seen(const Var& levels) const;

  nn::CausalNet& net_;
  std::shared_ptr<LevelOutputs> outputs_;
  int levels_;
  Var* weight_ = nullptr;  // one of the net's: of its dtype the levels are made
};

}  // namespace nf::flows
