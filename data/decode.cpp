#include "data/decode.h"

#include <zlib.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>

#include "data/exif.h"
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

/// A part of a JPEG file: two bytes of marker, two of length, data.
struct Segment {
  std::uint8_t marker;
  std::string_view data = {};  ///< none of markers that stand alone
};

/// The segment at `at`, which is moved behind it.
Segment next_segment(const std::string& name, std::string_view bytes, std::size_t& at) {
  const auto need = [&](std::size_t end) {
    NF_CHECK(end <= bytes.size(), name, " is cut off: JPEG without its end");
  };
  need(at + 2);
  NF_CHECK(bytes[at] == '\xFF', name, " is damaged: no marker at byte ", at);
  while (bytes[at + 1] == '\xFF') need(++at + 2);
  const auto marker = static_cast<std::uint8_t>(bytes[at + 1]);
  NF_CHECK(marker != 0, name, " is damaged: no marker at byte ", at);
  at += 2;
  if (marker == 0x01 || (marker >= 0xD0 && marker <= 0xD9)) return {marker};
  need(at + 2);
  const std::size_t length = big_endian(bytes, at, 2);
  NF_CHECK(length >= 2, name, " is damaged: a segment of ", length, " bytes at byte ", at);
  need(at + length);
  const std::string_view data = bytes.substr(at + 2, length - 2);
  at += length;
  return {marker, data};
}

/// Whether a segment says the size: a start of frame, not tables of Huffman codes or arithmetic
/// codes, nor an extension.
bool is_frame(std::uint8_t marker) {
  return marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
}

/// Huffman tables, of which stb_image takes any number of codes.
void check_codes(const std::string& name, std::string_view data) {
  constexpr std::size_t kCounts = 16, kMostCodes = 256;
  while (!data.empty()) {
    std::size_t codes = 0;
    for (std::size_t i = 1; i <= kCounts && i < data.size(); ++i) {
      codes += static_cast<std::uint8_t>(data[i]);
    }
    NF_CHECK(codes <= kMostCodes && 1 + kCounts + codes <= data.size(), name,
             " is damaged: a table of ", codes, " Huffman codes in ", data.size(), " bytes");
    data.remove_prefix(1 + kCounts + codes);
  }
}

/// Where coded data end: at the next marker that is none of their own.
std::size_t end_of_codes(const std::string& name, std::string_view bytes, std::size_t at) {
  for (;; ++at) {
    at = bytes.find('\xFF', at);
    NF_CHECK(at != std::string_view::npos && at + 1 < bytes.size(), name,
             " is cut off: JPEG without its end");
    const auto next = static_cast<std::uint8_t>(bytes[at + 1]);
    if (next != 0 && !(next >= 0xD0 && next <= 0xD7)) return at;
  }
}

// Of JPEG, stb_image takes zeros for what is missing, and as many passes as there are.
void check_segments(const std::string& name, std::string_view bytes) {
  constexpr int kMostScans = 100;  // each goes over all pixels; progressive files have about 10
  constexpr std::uint8_t kCodes = 0xC4, kScan = 0xDA, kEnd = 0xD9;
  int scans = 0, frames = 0;
  for (std::size_t at = 2;;) {
    const Segment segment = next_segment(name, bytes, at);
    if (segment.marker == kEnd) return;
    if (segment.marker == kCodes) check_codes(name, segment.data);
    frames += is_frame(segment.marker);
    NF_CHECK(frames <= 1, name, " is damaged: it has two frames");
    if (segment.marker != kScan) continue;
    NF_CHECK(++scans <= kMostScans, name, " has more than ", kMostScans, " passes of JPEG");
    at = end_of_codes(name, bytes, at);
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

/// The components of a JPEG file, with its size.
struct Frame {
  std::int64_t width, height;
  int components, orientation;
};

/// The first frame. stb_image is not asked: it would go through the tables before, as they are.
Frame find_frame(const std::string& name, std::string_view head) {
  constexpr std::uint8_t kApp1 = 0xE1;
  int orientation = 1;
  for (std::size_t at = 2;;) {
    const Segment segment = next_segment(name, head, at);
    if (segment.marker == kApp1 && orientation == 1) orientation = exif_orientation(segment.data);
    const bool ends = segment.marker == 0xD9 || segment.marker == 0xDA;
    NF_CHECK(!ends, name, " is no JPEG that can be read: no frame before its codes");
    if (!is_frame(segment.marker)) continue;
    constexpr std::size_t kBytes = 6;  // precision, height, width, components
    NF_CHECK(segment.data.size() >= kBytes, name, " is damaged: a frame of ", segment.data.size(),
             " bytes");
    return {big_endian(segment.data, 3, 2), big_endian(segment.data, 1, 2),
            static_cast<std::uint8_t>(segment.data[5]), orientation};
  }
}

PictureInfo jpeg_info(const std::string& name, std::string_view head) {
  const Frame frame = find_frame(name, head);
  NF_CHECK(frame.components == 1 || frame.components == 3 || frame.components == 4, name,
           " is no JPEG that can be read: ", frame.components, " components");
  const bool side = lies_on_its_side(frame.orientation);
  return {side ? frame.height : frame.width, side ? frame.width : frame.height,
          frame.components == 1 ? 1 : 3, frame.orientation};
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
    check_segments(name, bytes);
    out.cmyk = find_frame(name, bytes).components == 4;
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
  out.pixels = upright(out.pixels, info.orientation);
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
