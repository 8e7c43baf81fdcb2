// Networks of layers in a row. What couplings use as conditioners.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "nn/layers/linear.h"

namespace nf::nn {

/// Layers one after the other, named "0", "1", ...
class Sequential : public Layer {
 public:
  Sequential() = default;
  explicit Sequential(std::vector<std::shared_ptr<Layer>> layers);
  void push_back(std::shared_ptr<Layer> layer);
  Var forward(const Var& x) override;
  Var initialize(const Var& x) override;
  std::int64_t initial_rows() const override;
  std::string kind() const override { return "Sequential"; }
  Shape out_shape(const Shape& in) const override;
  Shape inspect(const Shape& in, const std::string& name,
                std::vector<LayerInfo>& rows) const override;

 private:
  std::vector<std::shared_ptr<Layer>> layers_;
};

struct MlpOptions {
  std::int64_t in = 0;
  std::int64_t out = 0;
  std::int64_t hidden_units = 64;
  int hidden_layers = 2;
  Activation activation = {};
  Init init = {};
  /// Of the last layer, which is linear. Zeros makes a coupling start as the identity.
  Init last_init = {};
};

/// in -> hidden_units -> ... -> out, an activation after every layer but the last.
std::shared_ptr<Sequential> mlp(const MlpOptions& options, Generator& gen);

}  // namespace nf::nn
