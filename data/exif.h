// How a camera was held: EXIF's orientation in JPEG files.
#pragma once

#include <string_view>

#include "tensor/tensor.h"

namespace nf::data {

/// From 1 to 8, as tag 0x0112 of the first directory says (EXIF 2.3, section 4.6.4); 1, which is
/// upright, where a segment APP1 has none, is no EXIF or is damaged.
int exif_orientation(std::string_view segment);

/// Whether height and width are exchanged.
inline bool lies_on_its_side(int orientation) { return orientation >= 5; }

/// u8 (H, W, C) as it is to be seen: (W, H, C) of one that lies on its side.
Tensor upright(const Tensor& pixels, int orientation);

}  // namespace nf::data
