#include "data/decode.h"

#include <zlib.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>

#include "tensor/error.h"
#include "tensor/memory.h"
#include "tensor/text.h"

namespace {

// Pixels unpack to what the file likes. What a picture of its size needs at once is set before it
// is decoded.
thread_local std::size_t most_at_once = 0;

void* bounded_realloc(void* old, std::size_t bytes) {
  return bytes <= most_at_once ? std::realloc(old, bytes) : nullptr;
}

}  // namespace

#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_ONLY_PNG
#define STBI_ONLY_JPEG
#define STBI_NO_STDIO
#define STBI_MALLOC(bytes) bounded_realloc(nullptr, bytes)
#define STBI_REALLOC(old, bytes) bounded_realloc(old, bytes)
#define STBI_FREE(old) std::free(old)
#define STBI_MAX_DIMENSIONS (1 << 15)
#include "stb_image.h"

namespace nf::data {
namespace {

constexpr std::string_view kPng = "\x89PNG\r\n\x1a\n", kJpeg = "\xFF\xD8\xFF";
constexpr std::int64_t kMostPixels = std::int64_t{1} << 27;

bool is_png(std::string_view head) { return head.starts_with(kPng); }

std::uint32_t big_endian(std::string_view bytes, std::size_t at, int count) {
  std::uint32_t value = 0;
  for (int i = 0; i < count; ++i) {
    value = value << 8 | static_cast<std::uint8_t>(bytes[at + static_cast<std::size_t>(i)]);
  }
  return value;
}

const stbi_uc* data_of(std::string_view bytes) {
  return reinterpret_cast<const stbi_uc*>(bytes.data());
}

std::uint32_t crc_of(std::string_view bytes) {
  return static_cast<std::uint32_t>(crc32_z(0, data_of(bytes), bytes.size()));
}

// stb_image believes the lengths of chunks, and an empty IDAT is undefined behaviour there; of a
// chunk that it does not know it writes into memory that all threads share. So a file must consist
// of whole chunks that it knows (length, type, data, checksum), as far as the last one.
void check_chunks(const std::string& name, std::string_view bytes, Checksums checksums) {
  for (std::size_t at = kPng.size(); at < bytes.size();) {
    const std::size_t left = bytes.size() - at;
    const std::uint64_t length = left >= 12 ? big_endian(bytes, at, 4) : 0;
    NF_CHECK(left >= 12 && length <= left - 12, name, " is damaged: a chunk of ", length,
             " bytes at byte ", at, ", where ", left, " are left");
    const std::string_view type = bytes.substr(at + 4, 4);
    NF_CHECK(type != "CgBI", name, " is a PNG in Apple's own form; save it as an ordinary one");
    const bool known = type == "IHDR" || type == "PLTE" || type == "IDAT" || type == "IEND";
    NF_CHECK(known || (type[0] & 0x20) != 0, name, " is no PNG that can be read: ", printable(type),
             " PNG chunk not known");
    NF_CHECK(length > 0 || type != "IDAT", name, " is damaged: an empty IDAT at byte ", at);
    NF_CHECK(checksums == Checksums::Ignore ||
                 crc_of(bytes.substr(at + 4, 4 + length)) == big_endian(bytes, at + 8 + length, 4),
             name, " is damaged: the chunk ", printable(type), " at byte ", at,
             " has a wrong checksum");
    if (type == "IEND") return;
    at += 12 + length;
  }
  fail(name + " is no PNG that can be read: it ends before its last chunk");
}

// Of JPEG, stb_image takes zeros for what is missing, and as many passes as there are. Returns the
// number of components.
int check_segments(const std::string& name, std::string_view bytes) {
  constexpr int kMostScans = 100;  // each goes over all pixels; progressive files have about 10
  int components = 0, scans = 0;
  const auto need = [&](bool there) { NF_CHECK(there, name, " is cut off: JPEG without its end"); };
  for (std::size_t at = 2;;) {
    need(at + 1 < bytes.size());
    const auto here = static_cast<std::uint8_t>(bytes[at]);
    const auto marker = static_cast<std::uint8_t>(bytes[at + 1]);
    NF_CHECK(here == 0xFF, name, " is damaged: no marker at byte ", at);
    const bool restart = marker >= 0xD0 && marker <= 0xD7;
    if (marker == 0xD9) return components;  // end of image
    if (marker == 0xFF || restart || marker == 0x01) {
      at += marker == 0xFF ? 1 : 2;
      continue;
    }
    need(at + 3 < bytes.size());
    const std::size_t length = big_endian(bytes, at + 2, 2);
    NF_CHECK(length >= 2, name, " is damaged: a segment of ", length, " bytes at byte ", at);
    need(at + 2 + length <= bytes.size());
    const bool frame =  // not tables of Huffman codes, arithmetic codes, nor an extension
        marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
    if (frame && length >= 8) components = static_cast<std::uint8_t>(bytes[at + 9]);
    at += 2 + length;
    if (marker != 0xDA) continue;  // start of scan: coded data to the next marker
    NF_CHECK(++scans <= kMostScans, name, " has more than ", kMostScans, " passes of JPEG");
    for (;; ++at) {
      at = bytes.find('\xFF', at);
      need(at != std::string_view::npos && at + 1 < bytes.size());
      const auto next = static_cast<std::uint8_t>(bytes[at + 1]);
      if (next != 0 && !(next >= 0xD0 && next <= 0xD7)) break;
    }
  }
}

// Bytes without which there cannot be so many pixels: deflate makes nothing more than 1032 times
// smaller, and JPEG has at least a bit for each 8 x 8 pixels.
std::uint64_t least_bytes(std::string_view head, const PictureInfo& info) {
  const auto pixels = static_cast<std::uint64_t>(info.width * info.height);
  return is_png(head) ? pixels / 8 / 1032 : pixels / 512;
}

[[noreturn]] void fail_reading(const std::string& name, std::string_view head) {
  const char* const reason = stbi_failure_reason();
  fail(str(name, " is no ", is_png(head) ? "PNG" : "JPEG",
           " that can be read: ", printable(reason ? reason : "of no known form")));
}

/// The first chunk, of which stb_image is not asked: it would go on to others.
PictureInfo png_info(const std::string& name, std::string_view head) {
  constexpr std::size_t kWidth = 16, kColour = 25, kEnd = 29;
  NF_CHECK(head.size() >= kEnd && head.substr(8, 8) == std::string_view("\0\0\0\x0dIHDR", 8), name,
           " is no PNG that can be read: it does not begin with its header");
  constexpr int kChannels[] = {1, 0, 3, 3, 2, 0, 4};  // by the type of its colours
  const auto colour = static_cast<std::uint8_t>(head[kColour]);
  NF_CHECK(colour < std::size(kChannels) && kChannels[colour] > 0, name,
           " is no PNG that can be read: colours of type ", int{colour});
  return {big_endian(head, kWidth, 4), big_endian(head, kWidth + 4, 4), kChannels[colour]};
}

PictureInfo jpeg_info(const std::string& name, std::string_view head) {
  constexpr std::size_t kHeader = 1 << 20;
  most_at_once = kHeader;
  int width = 0, height = 0, channels = 0;
  const int size = static_cast<int>(std::min<std::size_t>(head.size(), INT32_MAX));
  if (!stbi_info_from_memory(data_of(head), size, &width, &height, &channels)) {
    // That does not say why; decoding does, which fails at the same place.
    stbi_image_free(stbi_load_from_memory(data_of(head), size, &width, &height, &channels, 0));
    fail_reading(name, head);
  }
  return {width, height, channels};
}

}  // namespace

bool looks_like_picture(std::string_view head) {
  return head.starts_with(kPng.substr(0, 4)) || head.starts_with(kJpeg);
}

PictureInfo picture_info(const std::string& name, std::string_view head, std::uint64_t file_bytes) {
  NF_CHECK(is_png(head) || head.starts_with(kJpeg), name, " is neither PNG nor JPEG");
  const PictureInfo info = is_png(head) ? png_info(name, head) : jpeg_info(name, head);
  NF_CHECK(info.width > 0 && info.height > 0, name, " is damaged: it has no pixels");
  NF_CHECK(std::max(info.width, info.height) <= STBI_MAX_DIMENSIONS &&
               info.width * info.height <= kMostPixels,
           name, " has ", info.width, " x ", info.height, " pixels; at most ", kMostPixels,
           " are read, and ", STBI_MAX_DIMENSIONS, " a side; make it smaller");
  NF_CHECK(least_bytes(head, info) <= file_bytes, name, " is damaged: ", info.width, " x ",
           info.height, " pixels in ", file_bytes, " bytes");
  return info;
}

Picture decode_picture(const std::string& name, std::string_view bytes, Checksums checksums) {
  NF_CHECK(bytes.size() <= INT32_MAX, name, " has ", bytes.size(),
           " bytes, too many for a picture");
  const PictureInfo info = picture_info(name, bytes, bytes.size());
  Picture out;
  if (is_png(bytes)) {
    check_chunks(name, bytes, checksums);
    constexpr std::size_t kDepth = 24;  // of IHDR, which stb_image has seen
    out.deep = bytes[kDepth] == 16;
  } else {
    out.cmyk = check_segments(name, bytes) == 4;
  }
  // Rows of 4 numbers of 16 bits, twice because deflated data is unpacked into buffers that double,
  // and blocks of JPEG at the borders.
  constexpr std::int64_t kBorder = 64, kPixel = 16, kLarge = 1 << 22;
  const auto padded = static_cast<std::size_t>((info.width + kBorder) * (info.height + kBorder));
  most_at_once = kPixel * padded + 2 * bytes.size() + (1 << 20);
  static std::mutex one_at_a_time;  // of large ones, or threads would take all memory
  std::unique_lock<std::mutex> lock(one_at_a_time, std::defer_lock);
  if (info.width * info.height > kLarge) {
    lock.lock();
    check_memory(static_cast<double>(kPixel * padded), name, "make it smaller");
  }
  int width = 0, height = 0, channels = 0;
  const std::unique_ptr<stbi_uc, void (*)(void*)> pixels(
      stbi_load_from_memory(data_of(bytes), static_cast<int>(bytes.size()), &width, &height,
                            &channels, 0),
      stbi_image_free);
  if (!pixels) fail_reading(name, bytes);
  out.pixels = Tensor::empty({height, width, channels}, DType::U8);
  std::memcpy(out.pixels.mutable_data<std::uint8_t>(), pixels.get(),
              static_cast<std::size_t>(out.pixels.numel()));
  return out;
}

Tensor gray_levels(const Tensor& pixels) {
  const std::int64_t channels = pixels.dim(2), count = pixels.dim(0) * pixels.dim(1);
  Tensor out = Tensor::empty({pixels.dim(0), pixels.dim(1), 1}, DType::U8);
  const std::uint8_t* from = pixels.data<std::uint8_t>();
  auto* to = out.mutable_data<std::uint8_t>();
  for (std::int64_t i = 0; i < count; ++i, from += channels) {
    to[i] = channels < 3
                ? from[0]
                : static_cast<std::uint8_t>((77 * from[0] + 150 * from[1] + 29 * from[2]) / 256);
  }
  return out;
}

}  // namespace nf::data
