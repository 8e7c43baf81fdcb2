// Small pictures, for tests and fuzzing: PNG byte by byte (ISO 15948), and JPEG files that libjpeg
// wrote.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "tests/file_makers.h"

namespace nf::test {

inline std::string big(std::uint32_t value) {
  std::string out = little(value, 4);
  return {out.rbegin(), out.rend()};
}

/// Length, type, data, checksum.
inline std::string png_chunk(const std::string& type, const std::string& data) {
  const std::string checked = type + data;
  const auto crc =
      crc32(0, reinterpret_cast<const Bytef*>(checked.data()), static_cast<uInt>(checked.size()));
  return big(static_cast<std::uint32_t>(data.size())) + checked +
         big(static_cast<std::uint32_t>(crc));
}

enum PngColour { kGray = 0, kRgb = 2, kPalette = 3, kGrayAlpha = 4, kRgba = 6 };

/// `rows`: the numbers of all rows, without filters. `before`: chunks between header and pixels.
inline std::string png_file(std::uint32_t width, std::uint32_t height, PngColour colour, int depth,
                            const std::string& rows, const std::string& before = "") {
  std::string header = big(width) + big(height);
  header += static_cast<char>(depth);
  header += static_cast<char>(colour);
  header += std::string(3, '\0');
  std::string filtered;
  for (std::size_t y = 0; height <= rows.size() && y < height; ++y) {
    const std::size_t bytes = rows.size() / height;
    filtered += '\0' + rows.substr(y * bytes, bytes);
  }
  return "\x89PNG\r\n\x1a\n" + png_chunk("IHDR", header) + before +
         png_chunk("IDAT", zlib(filtered)) + png_chunk("IEND", "");
}

/// A gray PNG, every pixel of this level.
inline std::string gray_png(std::uint32_t width, std::uint32_t height, int level) {
  return png_file(width, height, kGray, 8,
                  std::string(std::size_t{width} * height, static_cast<char>(level)));
}
/// The same in colours.
inline std::string rgb_png(std::uint32_t width, std::uint32_t height, const std::string& rgb) {
  std::string rows;
  for (std::size_t i = 0; i < std::size_t{width} * height; ++i) rows += rgb;
  return png_file(width, height, kRgb, 8, rows);
}

inline std::string from_hex(std::string_view digits) {
  const auto value = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  std::string out;
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2) {
    out += static_cast<char>(value(digits[i]) * 16 + value(digits[i + 1]));
  }
  return out;
}

/// 8 x 8, one component, level 16 x + 8 y (within 2).
inline std::string gray_jpeg() {
  return from_hex(
      "ffd8ffe000104a46494600010100000100010000ffdb00430002010101010102010101020202020204030202"
      "02020504040304060506060605060606070908060709070606080b08090a0a0a0a0a06080b0c0b0a0c090a0a"
      "0affc0000b080008000801011100ffc40014000100000000000000000000000000000008ffc4001a10000007"
      "0000000000000000000000000000080924344252ffda0008010100003f0027a6d96d80c3351fffd9");
}

/// 16 x 8, three components, the second and third at half the width and height: red (200, 40, 40)
/// on the left, blue (40, 40, 200) on the right (within 4).
inline std::string colour_jpeg() {
  return from_hex(
      "ffd8ffe000104a46494600010100000100010000ffdb00430003020203020203030303040303040508050504"
      "04050a070706080c0a0c0c0b0a0b0b0d0e12100d0e110e0b0b1016101113141515150c0f1718161418121415"
      "14ffdb00430103040405040509050509140d0b0d141414141414141414141414141414141414141414141414"
      "1414141414141414141414141414141414141414141414141414ffc000110800080010030122000211010311"
      "01ffc4001500010100000000000000000000000000000007ffc4001410010000000000000000000000000000"
      "0000ffc40014010100000000000000000000000000000007ffc4001911000203010000000000000000000000"
      "0000074483c2c3ffda000c03010002110311003f008a25e0474f4faba0b2d485660fffd9");
}

/// The same, progressive.
inline std::string progressive_jpeg() {
  return from_hex(
      "ffd8ffe000104a46494600010100000100010000ffdb00430003020203020203030303040303040508050504"
      "04050a070706080c0a0c0c0b0a0b0b0d0e12100d0e110e0b0b1016101113141515150c0f1718161418121415"
      "14ffdb00430103040405040509050509140d0b0d141414141414141414141414141414141414141414141414"
      "1414141414141414141414141414141414141414141414141414ffc200110800080010030122000211010311"
      "01ffc4001500010100000000000000000000000000000006ffc4001401010000000000000000000000000000"
      "0006ffda000c03010002100310000001899711acffc40014100100000000000000000000000000000010ffda"
      "00080101000105023fffc40018110002030000000000000000000000000000064382c1ffda0008010301013f"
      "016a86d87fffc40018110002030000000000000000000000000000064382c2ffda0008010201013f014f9eba"
      "3fffc40014100100000000000000000000000000000010ffda0008010100063f023fffc40014100100000000"
      "000000000000000000000010ffda0008010100013f213fffda000c03010002000300000010ff00ffc4001411"
      "0100000000000000000000000000000000ffda0008010301013f102fffc40014110100000000000000000000"
      "000000000000ffda0008010201013f1077ffc40014100100000000000000000000000000000010ffda000801"
      "0100013f103fffd9");
}

/// 8 x 8, Adobe's CMYK, of which plain formulas make (225, 49, 49).
inline std::string cmyk_jpeg() {
  return from_hex(
      "ffd8ffee000e41646f626500640000000000ffdb004300030202030202030303030403030405080505040405"
      "0a070706080c0a0c0c0b0a0b0b0d0e12100d0e110e0b0b1016101113141515150c0f171816141812141514ff"
      "c000140800080008044311004d11005911004b1100ffc4001500010100000000000000000000000000000809"
      "ffc40014100100000000000000000000000000000000ffda000e0443004d0059004b00003f00aa61e078a06f"
      "ffd9");
}

}  // namespace nf::test
