#include "data/png.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <vector>

#include "data/decode.h"
#include "tensor/files.h"

// stb's own compression has fixed codes only, and makes files half as long again.
static unsigned char* deflated(unsigned char* data, int size, int* packed_size, int level) {
  uLongf packed = compressBound(static_cast<uLong>(size));
  auto* const bytes = static_cast<unsigned char*>(std::malloc(packed));
  if (bytes && compress2(bytes, &packed, data, static_cast<uLong>(size), level) != Z_OK) {
    std::free(bytes);
    return nullptr;
  }
  *packed_size = static_cast<int>(packed);
  return bytes;
}

#define STBIW_ZLIB_COMPRESS deflated
#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#define STBI_WRITE_NO_STDIO
#include "stb_image_write.h"

namespace nf::data {
namespace {

void check_size(std::int64_t width, std::int64_t height) {
  constexpr std::int64_t kMostPixels = std::int64_t{1} << 28;
  NF_CHECK(width > 0 && height > 0 && width <= kMostPixels && height <= kMostPixels / width,
           "[png] a picture of ", width, " x ", height,
           " pixels is too large or empty; write fewer images");
}

struct Canvas {
  std::int64_t width, height;
  int channels;
  std::vector<std::uint8_t> pixels;  // (height, width, channels)

  Canvas(std::int64_t w, std::int64_t h, int c, int value) : width(w), height(h), channels(c) {
    check_size(w, h);
    pixels.assign(static_cast<std::size_t>(w * h * c), static_cast<std::uint8_t>(value));
    constexpr int kRgba = 4;
    if (c != kRgba) return;
    for (std::size_t i = kRgba - 1; i < pixels.size(); i += kRgba) pixels[i] = 255;  // opaque
  }
  std::uint8_t* at(std::int64_t x, std::int64_t y) { return &pixels[(y * width + x) * channels]; }
};

std::string encoded(const Canvas& canvas) {
  std::string bytes;
  const auto append = [](void* out, void* data, int size) {
    static_cast<std::string*>(out)->append(static_cast<const char*>(data),
                                           static_cast<std::size_t>(size));
  };
  const int ok = stbi_write_png_to_func(append, &bytes, static_cast<int>(canvas.width),
                                        static_cast<int>(canvas.height), canvas.channels,
                                        canvas.pixels.data(), 0);
  NF_CHECK(ok, "[png] out of memory for a picture of ", canvas.width, " x ", canvas.height,
           " pixels");
  return bytes;
}

/// Where the images of a grid are, in pixels.
struct Grid {
  std::int64_t zoom, columns, rows, gap, width, height;

  Grid(std::int64_t n, std::int64_t h, std::int64_t w, const GridOptions& options)
      : columns(options.columns > 0 ? std::min(options.columns, n) : square_side(n)),
        rows((n + columns - 1) / columns),
        gap(options.padding) {
    constexpr std::int64_t kSmall = 900;  // a grid is enlarged while its sides stay below
    const std::int64_t side = std::max(columns * (w + gap), rows * (h + gap));
    zoom = options.zoom > 0 ? options.zoom : std::clamp<std::int64_t>(kSmall / side, 1, 8);
    width = columns * (w * zoom + gap) + gap;
    height = rows * (h * zoom + gap) + gap;
  }
  static std::int64_t square_side(std::int64_t n) {
    return static_cast<std::int64_t>(std::ceil(std::sqrt(static_cast<double>(n))));
  }
};

}  // namespace

void check_grid(std::int64_t n, std::int64_t height, std::int64_t width,
                const GridOptions& options) {
  const Grid grid(n, height, width, options);
  check_size(grid.width, grid.height);
}

std::string grid_png(const Tensor& images, const GridOptions& options) {
  Tensor x = images;
  if (x.rank() == 2) x = x.unsqueeze(0);
  if (x.rank() == 3) x = x.unsqueeze(3);
  NF_CHECK(
      x.dtype() == DType::U8 && x.rank() == 4 && (x.dim(3) == 1 || x.dim(3) == 3 || x.dim(3) == 4),
      "[png] cannot draw ", describe(images),
      "; expected u8 (H, W), (N, H, W), or (N, H, W, C) with 1, 3 or 4 channels");
  NF_CHECK(x.numel() > 0, "[png] no images to draw in ", describe(images));
  x = x.to(Device::CPU).contiguous();
  const std::int64_t n = x.dim(0), h = x.dim(1), w = x.dim(2);
  const int channels = static_cast<int>(x.dim(3));
  GridOptions layout = options;
  if (images.rank() == 2) layout.padding = 0;
  const Grid grid(n, h, w, layout);
  const std::int64_t zoom = grid.zoom, gap = grid.gap;
  Canvas canvas(grid.width, grid.height, channels, options.background);
  const std::uint8_t* from = x.data<std::uint8_t>();
  for (std::int64_t i = 0; i < n; ++i) {
    const std::int64_t left = gap + i % grid.columns * (w * zoom + gap);
    const std::int64_t top = gap + i / grid.columns * (h * zoom + gap);
    for (std::int64_t y = 0; y < h * zoom; ++y) {
      for (std::int64_t col = 0; col < w * zoom; ++col) {
        const std::uint8_t* const pixel = from + ((i * h + y / zoom) * w + col / zoom) * channels;
        std::copy(pixel, pixel + channels, canvas.at(left + col, top + y));
      }
    }
  }
  return encoded(canvas);
}

Tensor read_png(const std::string& path) {
  constexpr std::uint64_t kLargestFile = 64 << 10;
  constexpr std::int64_t kLargestSide = 1024;
  const std::string bytes = read_file(path, kLargestFile), name = str("[png] '", path, "'");
  NF_CHECK(bytes.starts_with("\x89PNG"), name, " is no PNG that can be read");
  const PictureInfo info = picture_info(name, bytes, bytes.size());
  NF_CHECK(std::max(info.width, info.height) <= kLargestSide, name, " has ", info.width, " x ",
           info.height, " pixels; at most ", kLargestSide, " a side are read here");
  const Tensor gray = gray_levels(decode_picture(name, bytes).pixels);
  return gray.reshape({info.height, info.width});
}

Bounds bounds_of(const Tensor& points, Axes axes) {
  NF_CHECK(points.rank() == 2 && points.dim(1) == 2, "[scatter] expected points (N, 2), got ",
           describe(points));
  const std::vector<double> xy = points.to(DType::F64).to_vector<double>();
  double low[2] = {INFINITY, INFINITY}, high[2] = {-INFINITY, -INFINITY};
  for (std::size_t i = 0; i < xy.size(); i += 2) {
    if (!std::isfinite(xy[i]) || !std::isfinite(xy[i + 1])) continue;
    for (int k = 0; k < 2; ++k) {
      low[k] = std::min(low[k], xy[i + k]);
      high[k] = std::max(high[k], xy[i + k]);
    }
  }
  if (low[0] > high[0]) return {-1, 1, -1, 1};
  constexpr double kMargin = .05, kFlat = 8;
  double half[2], middle[2];
  for (int k = 0; k < 2; ++k) {
    half[k] = (.5 + kMargin) * (high[k] - low[k]);
    middle[k] = low[k] + (high[k] - low[k]) / 2;
  }
  const double longer = std::max(half[0], half[1]), shorter = std::min(half[0], half[1]);
  const bool square = axes == Axes::OneUnit && kFlat * shorter > longer;
  for (int k = 0; k < 2; ++k) {
    if (square) half[k] = longer;
    // All in one place: what f64 can tell from it.
    if (half[k] == 0) half[k] = std::max(1., 1e-3 * std::abs(middle[k]));
  }
  return {middle[0] - half[0], middle[0] + half[0], middle[1] - half[1], middle[1] + half[1]};
}

namespace {

/// Dark violet over red and orange to light yellow, brightness rising evenly (after matplotlib's
/// "inferno"); t in [0, 1].
std::array<std::uint8_t, 3> heat(double t) {
  static constexpr double kStops[][3] = {{8, 6, 30},     {60, 13, 96},   {121, 29, 109},
                                         {187, 55, 84},  {232, 100, 44}, {251, 165, 40},
                                         {252, 248, 176}};
  constexpr int kLast = std::size(kStops) - 1;
  const double at = std::clamp(t, 0., 1.) * kLast;
  const int i = std::min(static_cast<int>(at), kLast - 1);
  std::array<std::uint8_t, 3> rgb;
  for (int c = 0; c < 3; ++c) {
    rgb[c] = static_cast<std::uint8_t>(
        std::lround(kStops[i][c] + (at - i) * (kStops[i + 1][c] - kStops[i][c])));
  }
  return rgb;
}

}  // namespace

std::string scatter_png(const Tensor& points, int size, std::optional<Bounds> bounds) {
  const Bounds box = bounds ? *bounds : bounds_of(points);
  NF_CHECK(points.rank() == 2 && points.dim(1) == 2, "[scatter] expected points (N, 2), got ",
           describe(points));
  NF_CHECK(box.left < box.right && box.bottom < box.top, "[scatter] the bounds are empty");
  Canvas canvas(size, size, 3, 0);
  // Every point is a small Gaussian spot of unit weight.
  constexpr int kReach = 3;
  constexpr double kSpread = 1.1;  // pixels
  std::vector<float> density(static_cast<std::size_t>(size) * size);
  const std::vector<double> xy = points.to(DType::F64).to_vector<double>();
  for (std::size_t i = 0; i < xy.size(); i += 2) {
    const double px = (xy[i] - box.left) / (box.right - box.left) * size - .5;
    const double py = (box.top - xy[i + 1]) / (box.top - box.bottom) * size - .5;
    if (!(px > -kReach && px < size + kReach && py > -kReach && py < size + kReach)) continue;
    const int cx = static_cast<int>(std::lround(px)), cy = static_cast<int>(std::lround(py));
    for (int y = std::max(0, cy - kReach); y <= std::min(size - 1, cy + kReach); ++y) {
      for (int x = std::max(0, cx - kReach); x <= std::min(size - 1, cx + kReach); ++x) {
        const double d2 = (x - px) * (x - px) + (y - py) * (y - py);
        density[y * size + x] += static_cast<float>(std::exp(-d2 / (2 * kSpread * kSpread)));
      }
    }
  }
  const double scale =
      1 / std::log1p(std::max(1e-9F, *std::max_element(density.begin(), density.end())));
  for (std::size_t i = 0; i < density.size(); ++i) {
    const auto rgb = heat(std::log1p(density[i]) * scale);
    std::copy(rgb.begin(), rgb.end(), &canvas.pixels[3 * i]);
  }
  return encoded(canvas);
}

std::string heat_png(const Tensor& values) {
  NF_CHECK(values.rank() == 2 && values.numel() > 0, "[heat] expected values (H, W), got ",
           describe(values));
  Canvas canvas(values.dim(1), values.dim(0), 3, 0);
  const std::vector<double> level = values.to(DType::F64).to_vector<double>();
  for (std::size_t i = 0; i < level.size(); ++i) {
    const auto rgb = heat(level[i] > 0 ? level[i] : 0);  // NaN: dark
    std::copy(rgb.begin(), rgb.end(), &canvas.pixels[3 * i]);
  }
  return encoded(canvas);
}

void write_png(const std::string& path, const Tensor& images, const GridOptions& options) {
  atomic_write(path, grid_png(images, options));
}

void write_scatter_png(const std::string& path, const Tensor& points, int size,
                       std::optional<Bounds> bounds) {
  atomic_write(path, scatter_png(points, size, bounds));
}

}  // namespace nf::data
