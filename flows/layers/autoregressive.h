// Autoregressive: each dimension is mapped given those before it.
#pragma once

#include <memory>
#include <string>

#include "flows/bijection.h"
#include "flows/maps/map.h"
#include "nn/nets/made.h"

namespace nf::flows {

/// z_d = map(x_d; net(x)_d) for rows x (N, D), where the parameters of a dimension follow from the
/// dimensions before it in the order of `net`, and from the context (N, C) of such a net. The
/// Jacobian is triangular, log_det the sum of the map's. (Kingma et al., "IAF" (2016);
/// Papamakarios, Pavlakou, Murray, "MAF" (2017); Durkan et al., "Neural spline flows" (2019))
///
/// forward is one pass of the net. inverse finds one dimension after the other, each hidden unit
/// being computed once (nn::MadeSweep): the work of one pass, in D (layers + 1) short products.
/// Both have gradients, so Invert of it is an inverse autoregressive flow, which trains and
/// samples.
class Autoregressive : public Bijection {
 public:
  /// Throws Error unless the net has map->parameters_per_dim() outputs for each dimension.
  Autoregressive(std::shared_ptr<ElementwiseMap> map, std::shared_ptr<nn::Made> net);
  /// Throws Error for other rows, and without a context where the net has one.
  Mapped forward(const Var& x, const Var& context = {}) override;
  Mapped inverse(const Var& z, const Var& context = {}) override;
  std::string kind() const override;
  Shape inspect(const Shape& in, const std::string& name,
                std::vector<nn::LayerInfo>& rows) const override;

 private:
  void check(const Var& x, const Var& context) const;

  ElementwiseMap& map_;
  nn::Made& net_;
};

}  // namespace nf::flows
