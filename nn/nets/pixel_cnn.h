// PixelCNN: what is said of each pixel of an image by those above it and to its left.
#pragma once

#include <vector>

#include "nn/layers/conv2d.h"
#include "nn/nets/causal.h"

namespace nf::nn {

struct PixelCnnOptions {
  std::int64_t height = 0, width = 0, channels = 1;  ///< of images
  std::int64_t outputs = 1;                          ///< of a pixel
  std::int64_t context = 0;
  std::int64_t maps = 32;   ///< M, channels of the two stacks
  std::int64_t layers = 7;  ///< behind the first one
  std::int64_t head = 64;   ///< channels of the two 1x1 convolutions at the end
};

/// A gated PixelCNN. Two stacks of convolutions: the vertical one looks at rows above a pixel, the
/// horizontal one at pixels to its left in its own row, too, so that together there is no blind
/// spot among the 3 + layers rows above and as many columns to each side. What lies further is not
/// seen. With v and h the stacks of M channels, x - 1/2 in front,
///
///   v' = vertical(v),  v = gate(v'),  h = h + out(gate(horizontal(h) + link(v') + given(context)))
///
/// gate(a, b) = tanh(a) sigmoid(b). `vertical` looks at 2 rows, the own one and that above, times 3
/// columns; `horizontal` at the own column and that to the left. In the first layer they are the 3
/// rows above times 7 columns and the 3 columns to the left, without the own ones, and h is not
/// added: from there on what stands at a pixel knows nothing of it. No weight is masked: a kernel
/// has only the taps that it may look at, beside zeros in front of the image. The end is ReLU, 1x1,
/// ReLU, 1x1, on h. (van den Oord et al., "Conditional image generation with PixelCNN decoders"
/// (2016), fig. 2; there the context is in the vertical gates, too)
class PixelCnn : public CausalNet {
 public:
  PixelCnn(const PixelCnnOptions& options, Generator& gen);
  /// x (N, H W, C) in [0, 1] to (N, H W, outputs).
  Var forward(const Var& x, const Var& context) override;
  std::unique_ptr<CausalSweep> sweep(const Var& context, std::int64_t rows) override;
  std::string kind() const override;
  Shape inspect(const Shape& in, const std::string& name,
                std::vector<LayerInfo>& rows) const override;

  static double parameters_of(const PixelCnnOptions& options);

 private:
  class Sweep;
  /// Both stacks of a layer; options of the convolutions beside them.
  class Block;

  PixelCnnOptions options_;
  std::vector<std::shared_ptr<Block>> blocks_;
  Layer& head_;
};

}  // namespace nf::nn
