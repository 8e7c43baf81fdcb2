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
  int zoom = 1;              ///< every pixel becomes zoom x zoom
};

/// Writes u8 images as one picture, atomically. Shapes: (H, W) one gray image, (N, H, W) or
/// (N, 1, H, W) gray, (N, 3, H, W) RGB. Throws Error for others and when the file cannot be
/// written.
void write_png(const std::string& path, const Tensor& images, const GridOptions& options = {});

struct Bounds {
  double left, right, bottom, top;
};

/// The smallest square around the points (N, 2) with 5 % margin. Points that are not finite do not
/// count. To show data and samples side by side, take one's bounds for both.
Bounds bounds_of(const Tensor& points);

/// f32 or f64 points (N, 2) as a size x size picture of their density, log-scaled, dark to bright;
/// y points up. Points outside the bounds (default: bounds_of) or not finite are left out.
void write_scatter_png(const std::string& path, const Tensor& points, int size = 512,
                       std::optional<Bounds> bounds = {});

}  // namespace nf::data
