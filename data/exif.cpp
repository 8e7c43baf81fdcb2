#include "data/exif.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace nf::data {
namespace {

/// Numbers of a TIFF, in the order of bytes that it begins with; 0 behind its end.
struct Tiff {
  std::string_view bytes;
  bool big_endian;

  std::uint64_t number(std::size_t at, std::size_t size) const {
    if (at > bytes.size() || size > bytes.size() - at) return 0;
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < size; ++i) {
      const std::size_t next = at + (big_endian ? i : size - 1 - i);
      value = value << 8 | static_cast<std::uint8_t>(bytes[next]);
    }
    return value;
  }
};

}  // namespace

int exif_orientation(std::string_view segment) {
  constexpr std::string_view kExif("Exif\0\0", 6);
  constexpr std::uint64_t kOrientation = 0x0112, kShort = 3;
  if (!segment.starts_with(kExif)) return 1;
  segment.remove_prefix(kExif.size());
  if (!segment.starts_with("II") && !segment.starts_with("MM")) return 1;
  const Tiff tiff{segment, segment[0] == 'M'};
  const std::size_t directory = tiff.number(4, 4);
  const std::size_t entries = tiff.number(directory, 2);
  for (std::size_t i = 0; i < entries; ++i) {
    const std::size_t at = directory + 2 + 12 * i;  // tag, type, count, value
    if (at >= segment.size()) break;
    if (tiff.number(at, 2) != kOrientation || tiff.number(at + 2, 2) != kShort) continue;
    const std::uint64_t value = tiff.number(at + 8, 2);
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

Tensor upright(const Tensor& pixels, int orientation) {
  if (orientation == 1) return pixels;
  const bool side = lies_on_its_side(orientation);
  const bool from_below =
      orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  const bool from_right =
      orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  const std::int64_t height = pixels.dim(0), width = pixels.dim(1), channels = pixels.dim(2);
  const std::int64_t rows = side ? width : height, columns = side ? height : width;
  Tensor out = Tensor::empty({rows, columns, channels}, DType::U8);
  const std::uint8_t* const from = pixels.data<std::uint8_t>();
  auto* to = out.mutable_data<std::uint8_t>();
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t c = 0; c < columns; ++c) {
      const std::int64_t y = side ? c : r, x = side ? r : c;
      const std::int64_t line = from_below ? height - 1 - y : y;
      const std::int64_t at = line * width + (from_right ? width - 1 - x : x);
      to = std::copy_n(from + at * channels, channels, to);
    }
  }
  return out;
}

}  // namespace nf::data
