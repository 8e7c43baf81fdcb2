// PNG and JPEG as pixels, decoded by stb_image. What it believes unseen is looked at before.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "tensor/tensor.h"

namespace nf::data {

/// What the header of a picture says, of the picture as it is to be seen.
struct PictureInfo {
  std::int64_t width = 0, height = 0;  ///< pixels
  int channels = 0;                    ///< 1 gray, 2 with opacity, 3 colour, 4 with opacity
  int orientation = 1;                 ///< of the pixels in a JPEG file (exif.h)
  bool gray() const { return channels <= 2; }
};

struct Picture {
  Tensor pixels;      ///< u8 (H, W, C) as in PictureInfo, upright
  bool deep = false;  ///< had 16 bits for each number; the upper 8 are kept
  bool cmyk = false;  ///< had the colours of print, turned into RGB without a colour profile
};

/// Whether a file that begins with these bytes is PNG or JPEG, whatever it is called.
bool looks_like_picture(std::string_view head);

/// `head`: the first bytes of a file of `file_bytes`, as many as its header has (of JPEG, all that
/// stands before the frame). Throws Error, which begins with `name`, for other files, more than
/// 2^27 pixels or 2^15 a side, and for more of them than such a file can hold.
PictureInfo picture_info(const std::string& name, std::string_view head, std::uint64_t file_bytes);

enum class Checksums : std::uint8_t { Check, Ignore };  ///< of PNG; fuzzing would never guess them

/// A whole file. Throws Error, which begins with `name`, for what picture_info() refuses, and for
/// files that are cut off or damaged, as far as that shows: PNG has checksums, JPEG has none.
Picture decode_picture(const std::string& name, std::string_view bytes,
                       Checksums checksums = Checksums::Check);

/// The luma of colours, u8 (H, W, 1), opacity left out: (77 R + 150 G + 29 B) / 256.
Tensor gray_levels(const Tensor& pixels);

}  // namespace nf::data
