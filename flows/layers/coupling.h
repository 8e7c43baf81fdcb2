// Coupling: partition x elementwise map x conditioner.
#pragma once

#include <memory>
#include <string>

#include "flows/bijection.h"
#include "flows/layers/partition.h"
#include "flows/maps/map.h"
#include "nn/layers/linear.h"

namespace nf::flows {

/// (passive, active) -> (passive, map(active; net(passive))). The conditioner `net` takes
/// (N, ..., passive), with the context's columns appended when one is given, at every pixel of
/// images, and returns (N, ..., active * map->parameters_per_dim()). For images (N, H, W, D) the
/// context may be an image, too, (N, H, W, G): `net` then sees what lies beside its pixels
/// (Partition::beside).
class Coupling : public Bijection {
 public:
  Coupling(Partition partition, std::shared_ptr<ElementwiseMap> map,
           std::shared_ptr<nn::Layer> net);

  Mapped forward(const Var& x, const Var& context = {}) override;
  Mapped inverse(const Var& z, const Var& context = {}) override;
  void initialize(const Samples& x) override;  ///< hands what the conditioner sees to it
  std::int64_t initial_rows() const override { return net_.initial_rows(); }
  std::string kind() const override;
  Shape inspect(const Shape& in, const std::string& name,
                std::vector<nn::LayerInfo>& rows) const override;

 private:
  Var shown(const Var& passive, const Var& context) const;
  Var parameters_for(const Var& passive, const Var& context);

  Partition partition_;
  ElementwiseMap& map_;
  nn::Layer& net_;
};

}  // namespace nf::flows
