// Residual networks of convolutions, which couplings of images use as conditioners.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "nn/layers/linear.h"

namespace nf::nn {

struct ResidualNetOptions {
  std::int64_t in = 0;  ///< channels
  std::int64_t out = 0;
  std::int64_t width = 64;
  int blocks = 2;
  /// A block adds a * sigmoid(b) of its last convolution's two halves, in place of its output, and
  /// that convolution is 1x1 (van den Oord et al. 2016; Ho et al., "Flow++", 2019).
  bool gated = false;
  /// LayerNorm behind each block (as Flow++ has it).
  bool normalised = false;
  Activation activation = {};
};

/// h = conv(x); for each block h += conv(act(conv(act(h)))); out = conv(act(h)), all 3x3 (He et
/// al., "Identity mappings in deep residual networks", 2016). Images (N, H, W, in) to (N, H, W,
/// out). Convolutions within a block have learned scales (ScaledConv2d): the first begins
/// normalised by the first rows, the second a tenth as large, so that h keeps its size through many
/// blocks. The last convolution is zeros, as Glow's. Throws Error as ScaledConv2d.
class ResidualNet : public Layer {
 public:
  ResidualNet(const ResidualNetOptions& options, Generator& gen);
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
  static double parameters_of(const ResidualNetOptions& options);

 private:
  struct Block {
    Layer *inner, *outer;
    Layer* norm;  ///< null: none
  };
  Var behind(const Block& block, const Var& h, Var outer) const;

  ResidualNetOptions options_;
  Layer* first_;
  std::vector<Block> blocks_;
  Layer* last_;
};

}  // namespace nf::nn
