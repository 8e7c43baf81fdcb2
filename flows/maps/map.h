// ElementwiseMap: how each dimension of a sample changes, given parameters from a network.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "flows/transform.h"

namespace nf::flows {

/// Each number of x changes by itself, monotonically: what couplings do to their active part, given
/// parameters from their conditioner. x is (N, ..., A), parameters (N, ..., A *
/// parameters_per_dim()): all first parameters, then all second ones. A map may have parameters of
/// its own.
class ElementwiseMap : public nn::Module {
 public:
  virtual int parameters_per_dim() const = 0;
  virtual double flops_per_dim() const = 0;  ///< of forward; see Module::flops
  virtual Mapped forward(const Var& x, const Var& parameters) const = 0;
  virtual Mapped inverse(const Var& z, const Var& parameters) const = 0;
};

/// Numbers in (-limit, limit) with slope 1 at 0: of log scales, whose exponentials would overflow.
inline Var soft_bound(const Var& h, double limit) { return tanh(h / limit) * limit; }

/// The names of all maps, as the setting `coupling` has them.
std::vector<std::string> map_names();
/// A new map; `limit` bounds the log scales of those that have any. Throws for other names.
std::shared_ptr<ElementwiseMap> map_by_name(const std::string& name, double limit = 2);

}  // namespace nf::flows
