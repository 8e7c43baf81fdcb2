// ResidualMlp: residual blocks of fully connected layers.
#pragma once

#include <memory>
#include <vector>

#include "nn/nets/mlp.h"

namespace nf::nn {

/// h = first(x); for each block h = h + outer(inner(act(h))); last(h). The inner layer has an
/// activation of its own, the others have none. (He et al., "Identity mappings in deep residual
/// networks" (2016); as Durkan et al., "Neural spline flows" (2019), have it, without dropout)
class ResidualMlp : public Layer {
 public:
  struct Block {
    std::shared_ptr<Layer> inner, outer;
  };
  ResidualMlp(std::shared_ptr<Layer> first, const std::vector<Block>& blocks,
              std::shared_ptr<Layer> last, Activation activation);
  Var forward(const Var& x) override;
  std::string kind() const override;
  Shape out_shape(const Shape& in) const override { return last_.out_shape(in); }
  Shape inspect(const Shape& in, const std::string& name,
                std::vector<LayerInfo>& rows) const override;

 private:
  struct Held {
    Layer *inner, *outer;
  };
  Layer& first_;
  std::vector<Held> blocks_;
  Layer& last_;
  Activation activation_;
};

/// The weights of a block's outer layer at first: a block begins near the identity.
constexpr Init kOuterInit = {Init::Kind::Uniform, 1e-3};

/// in -> hidden_units, hidden_layers blocks of two layers, -> out.
std::shared_ptr<ResidualMlp> residual_mlp(const MlpOptions& options, Generator& gen);

}  // namespace nf::nn
