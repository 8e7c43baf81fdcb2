// Arrays of files as samples: rows with the geometry of images, and their labels.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace nf::data {

struct Samples {
  Split rows;
  std::int64_t channels = 0, height = 0, width = 0;  ///< all 0 when the rows are not images
  std::vector<std::string> columns;                  ///< names, where the file has them
  std::string family;                                ///< of Dataset
};

/// The array read from `path` as samples: (N, D) rows, (N, H, W) gray images, (N, C, H, W) or
/// (N, H, W, 3) images. Pixels are u8; rows of other types become f32. Throws Error for other
/// shapes, for none, and for numbers that are not finite, naming row and column.
Samples samples_of(const std::string& path, const Tensor& array);

/// Integers (N) or (N, 1) as labels i32 (N) of `samples` samples. Throws Error when they are not
/// whole, negative or absurdly large, or another number.
Tensor labels_of(const std::string& path, const Tensor& array, std::int64_t samples);

}  // namespace nf::data
