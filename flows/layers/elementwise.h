// Elementwise: an elementwise map whose parameters follow from the context alone.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "flows/bijection.h"
#include "flows/maps/map.h"
#include "nn/layers/linear.h"

namespace nf::flows {

/// z = map(x; net(context)). `net` takes the context (N, C) and returns
/// (N, D * map->parameters_per_dim()).
///
/// As the last layer, with an affine map, it gives the base distribution a location and a scale
/// that depend on what is given.
class Elementwise : public Bijection {
 public:
  Elementwise(std::shared_ptr<ElementwiseMap> map, std::shared_ptr<nn::Layer> net);
  /// Throws Error without a context.
  Mapped forward(const Var& x, const Var& context = {}) override;
  Mapped inverse(const Var& z, const Var& context = {}) override;
  Shape inspect(const Shape& in, const std::string& name,
                std::vector<nn::LayerInfo>& rows) const override;
  std::string kind() const override { return "Elementwise(" + map_.kind() + ", given context)"; }

 private:
  Var parameters_for(const Var& x, const Var& context);

  ElementwiseMap& map_;
  nn::Layer& net_;
};

/// z = map(x; net(0)) of images (N, H, W, C): `net` takes `inputs` channels of zeros, (1, H, W,
/// inputs), and returns (1, H, W, C * map->parameters_per_dim()). A convolution that is told where
/// the image ends makes other parameters at its border. As the last layer this is the learned prior
/// of Glow's top (its code, "learntop"). `given`: the net takes the context (N, inputs) in place of
/// zeros, at every pixel.
class LearnedPrior : public Bijection {
 public:
  LearnedPrior(std::int64_t inputs, std::shared_ptr<ElementwiseMap> map,
               std::shared_ptr<nn::Layer> net, bool given = false);
  /// Throws Error for what is no image and, where something is given, without a context.
  Mapped forward(const Var& x, const Var& context = {}) override;
  Mapped inverse(const Var& z, const Var& context = {}) override;
  Shape inspect(const Shape& in, const std::string& name,
                std::vector<nn::LayerInfo>& rows) const override;
  std::string kind() const override { return "LearnedPrior(" + map_.kind() + ")"; }

 private:
  Var parameters_for(const Var& x, const Var& context);

  std::int64_t inputs_;
  bool given_;
  ElementwiseMap& map_;
  nn::Layer& net_;
};

}  // namespace nf::flows
