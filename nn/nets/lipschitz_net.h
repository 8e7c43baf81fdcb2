// LipschitzNet: a network with a bound on its slope, and the products with its Jacobian.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "nn/layers/lipschitz.h"
#include "nn/layers/spectral.h"

namespace nf::nn {

/// Maps of bounded norm with activations of slope at most 1 before them: |g(x) - g(y)| <= L |x - y|
/// with L the product of the maps' coefficients. Input and output are of one shape.
class LipschitzNet : public Layer {
 public:
  struct Step {
    std::shared_ptr<LipschitzActivation> activation;  ///< before the map; nothing: none
    std::shared_ptr<SpectralMap> map;
  };
  explicit LipschitzNet(const std::vector<Step>& steps);

  Var forward(const Var& x) override { return value(x, weights()); }
  /// The bounded weight of each map. They are made once for many products with them.
  std::vector<Var> weights() const;
  Var value(const Var& x, const std::vector<Var>& weights) const;

  /// g at x, and what its Jacobian J there consists of. All are differentiable.
  struct Linearized {
    Var value;
    std::vector<Var> slopes;  ///< of each step's activation; undefined: it has none
    std::vector<Var> weights;
  };
  Linearized linearized(const Var& x, const std::vector<Var>& weights) const;
  Linearized linearized(const Var& x) const { return linearized(x, weights()); }
  /// J v, for K directions of each of N samples: v (K N, ...), direction k of sample n in row
  /// k N + n. Differentiable in v and in all that `at` was made of.
  Var jvp(const Linearized& at, const Var& v) const;
  /// J^T w, w (N, ...), without a gradient.
  Tensor vjp(const Linearized& at, const Tensor& w) const;

  /// The product of the maps' coefficients.
  double bound() const;
  std::string kind() const override { return str("LipschitzNet(", bound(), ")"); }
  Shape inspect(const Shape& in, const std::string& name,
                std::vector<LayerInfo>& rows) const override;

 private:
  struct Held {
    LipschitzActivation* activation;
    SpectralMap* map;
  };
  std::vector<Held> steps_;
};

struct LipschitzMlpOptions {
  std::int64_t dims = 0;
  std::int64_t hidden_units = 64;
  int hidden_layers = 2;
  std::string activation = "lipswish";
  double coefficient = 0.9;
  bool first_activation = false;  ///< before the first layer too
};

/// Of rows: dims -> hidden_units -> ... -> dims, an activation before every layer but the first.
std::shared_ptr<LipschitzNet> lipschitz_mlp(const LipschitzMlpOptions& options, Generator& gen);

struct LipschitzConvOptions {
  std::int64_t channels = 0, height = 0, width = 0;  ///< of the images
  std::int64_t hidden_channels = 64;
  std::string activation = "lipswish";
  double coefficient = 0.9;
  bool first_activation = true;  ///< before the first convolution too
};

/// Of images: activation, 3x3, activation, 1x1, activation, 3x3. (Behrmann et al. 2019,
/// section 5.1)
std::shared_ptr<LipschitzNet> lipschitz_conv_net(const LipschitzConvOptions& options,
                                                 Generator& gen);

}  // namespace nf::nn
