// Pictures: grids of images and densities of 2-D points, as PNG files.
#pragma once

#include <optional>
#include <string>

#include "tensor/tensor.h"

namespace nf::data {

struct GridOptions {
  std::int64_t columns = 0;  ///< 0: as square as it gets
  int padding = 2;           ///< pixels between and around the images
  int background = 64;       ///< gray level of the padding
  int zoom = 1;  ///< every pixel becomes zoom x zoom; 0: as often as the picture stays small
};

/// Throws Error when a grid of n images, each height x width, is too large for one picture: to be
/// asked before they are computed.
void check_grid(std::int64_t n, std::int64_t height, std::int64_t width,
                const GridOptions& options = {});

/// u8 images as one picture: the bytes of a PNG file. Shapes: (H, W) one gray image, (N, H, W) or
/// (N, H, W, 1) gray, (N, H, W, 3) RGB, (N, H, W, 4) RGB with opacity. Throws Error for others.
std::string grid_png(const Tensor& images, const GridOptions& options = {});
/// The same as a file, written atomically. Throws Error when that fails, too.
void write_png(const std::string& path, const Tensor& images, const GridOptions& options = {});

/// A small PNG as gray levels, u8 (H, W), colours by their luma, without transparency. For masks:
/// at most 64 KiB and 1024 pixels a side. Throws Error, naming the file, for larger ones and for
/// what is no PNG or damaged.
Tensor read_png(const std::string& path);

struct Bounds {
  double left, right, bottom, top;
};

/// Which lengths of a picture's two axes are alike.
enum class Axes {
  OneUnit,  ///< a square box, unless one side would be an eighth of the other or less
  OwnUnits  ///< each column of a table has a side of its own
};

/// The smallest box around the points (N, 2) with 5 % margin. Points that are not finite do not
/// count. To show data and samples side by side, take one's bounds for both.
Bounds bounds_of(const Tensor& points, Axes axes = Axes::OneUnit);

/// f32 or f64 points (N, 2) as a size x size picture of their density, log-scaled, dark to bright;
/// y points up. Points outside the bounds (default: bounds_of) or not finite are left out.
std::string scatter_png(const Tensor& points, int size = 512, std::optional<Bounds> bounds = {});
void write_scatter_png(const std::string& path, const Tensor& points, int size = 512,
                       std::optional<Bounds> bounds = {});

/// f32 or f64 values (H, W), the first row on top, in the same colours: 0 and below (and NaN) dark,
/// 1 and above bright.
std::string heat_png(const Tensor& values);

}  // namespace nf::data
