// What is done to pictures before they are samples: crops, sizes, gray or colour, patches.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tensor/tensor.h"

namespace nf::data {

struct PictureSize {
  std::int64_t width = 0, height = 0;

  bool operator==(const PictureSize&) const = default;
};
/// "178 x 218", width first.
std::string size_text(const PictureSize& size);

/// The setting `images`, taken apart: steps with commas between them, done in this order.
///   crop:WxH     the middle W x H pixels; crop:N is crop:NxN
///   random:WxH   W x H pixels at a place that a checksum of the picture draws
///   square       the middle square, as large as the shorter side
///   resize:WxH   to that size, whatever the shape was; resize:N is resize:NxN
///   short:N      to that length of the shorter side, the shape kept
///   patches:N    N x N tiles, row by row, none over another; what is left at the right and at the
///                bottom is left out. The last step.
///   gray, colour to one channel, or three. Else: one where all files have one.
///   celeba       of the aligned 178 x 218 pixels the rows 40 to 187 and columns 15 to 162, to
///                64 x 64 (as papers of GANs and flows have them)
///   lsun         short:96,random:64 (Dinh et al. 2017, section 4.1)
struct PictureSteps {
  enum class Kind { Crop, Random, Square, Resize, Short, Face };
  struct Step {
    Kind kind;
    PictureSize size = {};
  };
  std::vector<Step> steps;
  std::int64_t patch = 0;  ///< side of a tile, 0: none
  int channels = 0;        ///< 1 or 3; 0: as the files are
};

/// Throws SettingError of "images" for a step that does not exist (with the nearest one), or whose
/// numbers are out of range.
PictureSteps parse_picture_steps(const std::string& text);

/// The size that a picture has in the end, before it is cut into patches. Throws Error, which
/// begins with `name`, for one that is too small for a crop, or has not the size that a step is
/// for.
PictureSize size_after(const PictureSteps& steps, const std::string& name, PictureSize size);

/// All steps but `patches` on a picture of 1 or 3 channels, u8 (H, W, C).
Tensor apply_steps(const PictureSteps& steps, const std::string& name, Tensor pixels);

/// u8 (H, W, C) in another size. Along an axis that shrinks each new pixel is the mean of what it
/// covers of the old ones, parts of pixels in proportion (area, which leaves nothing to alias).
/// Along one that grows it lies between the two nearest by their distance (bilinear, centres at
/// i + 1/2, borders repeated). Rounded once, to the nearest level.
Tensor resized(const Tensor& pixels, PictureSize size);

/// Opacity is taken as over black: u8 (H, W, 2 or 4) -> (H, W, 1 or 3), each level times opacity /
/// 255, to the nearest. Opaque pixels stay as they are. Others have no opacity and stay, too.
Tensor over_black(const Tensor& pixels);

}  // namespace nf::data
