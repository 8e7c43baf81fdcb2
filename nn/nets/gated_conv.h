// Encoders and decoders of images by gated convolutions. Source: van den Berg, Hasenclever,
// Tomczak, Welling, "Sylvester normalizing flows for variational inference" (2018), its code.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "nn/nets/mlp.h"

namespace nf::nn {

/// a * sigmoid(b) of the two halves of what `inner` gives, along the last axis (Dauphin et al.
/// 2017).
class Gated : public Layer {
 public:
  explicit Gated(std::shared_ptr<Layer> inner) : inner_(add_module("inner", std::move(inner))) {}
  Var forward(const Var& x) override;
  std::string kind() const override { return "Gated(" + inner_.kind() + ")"; }
  Shape out_shape(const Shape& in) const override;
  Shape inspect(const Shape& in, const std::string& name,
                std::vector<LayerInfo>& rows) const override;

 private:
  Layer& inner_;
};

struct GatedConvOptions {
  std::int64_t height = 0, width = 0, channels = 0;  ///< of images; sides are multiples of 4
  std::int64_t maps = 32;  ///< channels of the first convolutions, twice as many of the later ones
};

/// Rows of images (N, H W C) to (N, hidden): five gated 5x5 convolutions with maps, maps, 2 maps, 2
/// maps, 2 maps channels, the second and the fourth of stride 2, and a gated linear layer (the
/// 7x7 convolution of the source). Throws Error for other sides.
std::shared_ptr<Sequential> gated_encoder(const GatedConvOptions& options, std::int64_t hidden,
                                          Generator& gen);
/// (N, latents) to rows of images (N, H W C), the same backwards: where the source has transposed
/// convolutions, 3x3 ones with four times the channels, which become squares of pixels. The last
/// layer is a 1x1 convolution, drawn by `last_init`.
std::shared_ptr<Sequential> gated_decoder(const GatedConvOptions& options, std::int64_t latents,
                                          const Init& last_init, Generator& gen);

/// How many parameters both have together.
double gated_parameters(const GatedConvOptions& options, std::int64_t hidden, std::int64_t latents);

}  // namespace nf::nn
