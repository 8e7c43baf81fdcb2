// Convolutions of images that are stored channels last: x (N, H, W, C), weights (O, C, kh, kw) as
// in PyTorch's files, out (N, OH, OW, O).
//
//   out[n, i, j, o] = sum over c, ky, kx of w[o, c, ky, kx] x[n, i s - pad_h + ky, j s - pad_w +
//   kx, c]
//
// where terms outside the image are left out. s is the stride.
#pragma once

#include <cstdint>

#include "tensor/shape.h"

namespace nf {

/// How a kernel goes over an image: in steps of `stride` (1 or 2) on both axes, beginning `pad_h`
/// rows above and `pad_w` columns left of it and ending as far outside. The padding is smaller than
/// the kernel, so that every window holds a pixel.
struct ConvGeometry {
  std::int64_t stride = 1;
  std::int64_t pad_h = 0, pad_w = 0;
};

/// All sizes of one convolution.
struct ConvSizes {
  std::int64_t n, h, w, c;  ///< of the images
  std::int64_t o, kh, kw;   ///< of the weights
  std::int64_t oh, ow;      ///< of what comes out
  std::int64_t stride, pad_h, pad_w;

  Shape out_shape() const { return {n, oh, ow, o}; }
};

/// Throws Error "[conv2d] ..." for images (N, H, W, C) and weights (O, C, kh, kw) that do not fit
/// each other or the geometry.
ConvSizes conv_sizes(const Shape& x, const Shape& w, const ConvGeometry& geometry);

}  // namespace nf
