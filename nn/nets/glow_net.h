// Glow's network of a coupling. Source: Kingma, Dhariwal, "Glow" (2018), section 3.3; its code.
#pragma once

#include <memory>

#include "nn/nets/mlp.h"

namespace nf::nn {

struct GlowNetOptions {
  std::int64_t in = 0;  ///< channels
  std::int64_t out = 0;
  std::int64_t width = 512;
};

/// 3x3, ReLU, 1x1, ReLU, 3x3: images (N, H, W, in) to (N, H, W, out). The first two convolutions
/// are drawn from N(0, 0.05^2) and begin normalised by the first rows; the last is zeros. Both 3x3
/// are told where the image ends. Throws Error as ScaledConv2d.
std::shared_ptr<Sequential> glow_net(const GlowNetOptions& options, Generator& gen);
/// Its last layer alone: 3x3, weights of zeros, scaled by exp(s), told where the image ends.
std::shared_ptr<Layer> zero_conv(std::int64_t in, std::int64_t out, Generator& gen);

}  // namespace nf::nn
