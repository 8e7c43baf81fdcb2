// Densely connected convolutions, which couplings of images use as conditioners.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "nn/layers/linear.h"

namespace nf::nn {

struct DenseNetOptions {
  std::int64_t in = 0;  ///< channels
  std::int64_t out = 0;
  std::int64_t width = 64;   ///< channels of the first convolution, and between the two of a layer
  std::int64_t growth = 32;  ///< channels that a layer adds
  int layers = 4;
  Activation activation = {};
};

/// h = act(conv3x3(x)); each layer appends act(conv3x3(act(conv1x1(h)))) to the channels of h;
/// out = conv3x3(h) (Huang et al., "Densely connected convolutional networks", 2017, with the
/// bottleneck; without batch norm, as flows have it: Hoogeboom et al. 2020). Images (N, H, W, in)
/// to (N, H, W, out). All h of a pass lie in one buffer, in which a layer reads the first channels
/// and writes the next: nothing is copied. Convolutions have learned scales (ScaledConv2d) and
/// begin normalised by the first rows, the last one as zeros. Throws Error as ScaledConv2d.
class DenseNet : public Layer {
 public:
  DenseNet(const DenseNetOptions& options, Generator& gen);
  Var forward(const Var& x) override;
  Var initialize(const Var& x) override;
  std::int64_t initial_rows() const override { return 256; }
  std::string kind() const override;
  Shape out_shape(const Shape& in) const override {
    return {in.dim(0), in.dim(1), in.dim(2), options_.out};
  }
  Shape inspect(const Shape& in, const std::string& name,
                std::vector<LayerInfo>& rows) const override;

  /// Parameters of such a network.
  static double parameters_of(const DenseNetOptions& options);

 private:
  std::int64_t channels_before(std::size_t layer) const;
  /// run(layer, input): what the layer makes of it.
  template <class Run>
  Var passed_through(const Var& x, const Run& run) const;

  DenseNetOptions options_;
  Layer* first_;
  std::vector<std::pair<Layer*, Layer*>> layers_;
  Layer* last_;
};

}  // namespace nf::nn
