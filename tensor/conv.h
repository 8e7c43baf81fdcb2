// Convolutions of images that are stored channels last: x (N, H, W, C), weights (O, C, kh, kw) as
// in PyTorch's files, out (N, OH, OW, O).
//
//   out[n, i, j, o] = sum over c, ky, kx of w[o, c, ky, kx] x[n, i s - pad_h + ky, j s - pad_w +
//   kx, c]
//
// where terms outside the image are left out. s is the stride.
#pragma once

#include <cstdint>
#include <optional>

#include "tensor/shape.h"

namespace nf {

/// How a kernel goes over an image: in steps of `stride` (1 or 2) on both axes, beginning `pad_h`
/// rows above and `pad_w` columns left of it and ending as far outside. The padding is smaller than
/// the kernel, so that every window holds a pixel.
struct ConvGeometry {
  std::int64_t stride = 1;
  std::int64_t pad_h = 0, pad_w = 0;
  /// Each output, and each gradient of x, depends on what its window holds and on nothing else, to
  /// the last bit: Winograd's way is not taken, whatever winograd() says. Where weights are masked,
  /// a pixel behind a zero then changes nothing.
  bool exact = false;
};

/// All sizes of one convolution.
struct ConvSizes {
  std::int64_t n, h, w, c;  ///< of the images
  std::int64_t o, kh, kw;   ///< of the weights
  std::int64_t oh, ow;      ///< of what comes out
  std::int64_t stride, pad_h, pad_w;
  bool exact;

  Shape out_shape() const { return {n, oh, ow, o}; }
};

/// Throws Error "[conv2d] ..." for images (N, H, W, C) and weights (O, C, kh, kw) that do not fit
/// each other or the geometry.
ConvSizes conv_sizes(const Shape& x, const Shape& w, const ConvGeometry& geometry);

/// Whether the CPU takes Winograd's way for convolutions and their gradients with respect to x:
/// with f32, kernels of 3x3 and stride 1 it needs a quarter of the multiplications. Where all
/// pixels are of one size its errors are two to three times as large, more with more channels
/// (tensor/cpu/gemm/winograd.h). They are relative to the largest number in 6x6 pixels: what lies
/// outside an output's window, by up to 5 pixels, shows in its last digits, and fully where it is
/// larger by 1e6 or not finite. Where an output may not depend on a neighbour at all, as behind a
/// causal mask, or where numbers come near f32's limits, ask for ConvGeometry::exact.
enum class Winograd : std::uint8_t {
  Off,   ///< never
  Auto,  ///< where it is faster: 12 channels or more on both sides, 512 pairs of them, maps that
         ///< fill at least half of their tiles of 4x4; whatever the number of images is
  On     ///< wherever it is possible
};

/// What was set, else what NF_WINOGRAD in the environment said when this was first asked (off, auto
/// or on), else Auto. Throws Error when it says something else.
Winograd winograd();
const char* name_of(Winograd way);  ///< "off", "auto" or "on"

/// For the whole program; nothing: as if it had never been set.
void set_winograd(std::optional<Winograd> way);

}  // namespace nf
