// What every data source becomes: rows of numbers in three splits.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "tensor/tensor.h"

namespace nf::data {

/// Of a byte: 0..255.
inline constexpr int kLevels = 256;

struct Parts;  // formats.h

struct Split {
  /// (N, D): u8 for pixels, of fewer bits their levels (levels.h). Real numbers are f64 when they
  /// come from a file, because columns far from 0 lose digits in f32 before they can be
  /// standardised; built-in densities are f32.
  Tensor x;
  Tensor labels = {};  ///< i32 (N), or undefined
  /// i32 (N): which row of its file each is, from 0; undefined for what is drawn.
  Tensor numbers = {};
  /// What x depends on in a conditional density (given.h): i32 (N, 1) of labels, f64 (N, G) of
  /// columns, or of what a table says of pictures; undefined where nothing is given.
  Tensor given = {};

  std::int64_t size() const { return x.defined() ? x.dim(0) : 0; }
};

/// Samples of D numbers each. Images are rows too, channels last (D = height*width*channels), with
/// their geometry beside.
struct Dataset {
  std::string name;
  std::string family;  ///< "mnist", "cifar-10", "cifar-100", "svhn", or empty: what its form says
  std::int64_t dims = 0;                             ///< D
  std::int64_t channels = 0, height = 0, width = 0;  ///< all 0 when the rows are not images
  bool discrete = false;                             ///< u8 levels 0..K-1, else real numbers
  int levels = kLevels;                              ///< K of pixels; fewer where bits are left out
  Tensor intensities = {};  ///< u8 (N, D): pixels whose bits training draws anew in each epoch, in
                            ///< the place of train.x; undefined without any (levels.h)
  int classes = 0;          ///< number of labels, 0 without labels
  std::vector<std::string> class_names;  ///< of the labels, as printable() shows them; or none
  std::vector<std::string> columns;      ///< D names, or none
  std::vector<std::string> given;  ///< names of the G columns of Split::given: "label", or columns
  int given_classes = 0;           ///< number of labels that may be given, 0 of columns
  Split train, valid, test;
  std::string cut;                    ///< in words: where the three parts come from
  std::string valid_file, test_file;  ///< of parts that are files of their own, else empty
  /// Of all rows and labels of a file in its order, before any cut; of a built-in source, of its
  /// name, seed and training rows. Equal texts: the same data.
  std::string checksum;
  std::vector<std::string> notes;      ///< what was decided on the way that its owner should know
  std::shared_ptr<const Parts> parts;  ///< with LoadOptions::keep_parts: what the cuts are made of
  std::int64_t skipped = 0;  ///< pictures that could not be read, or lines that lack a number
  /// None, or D numbers: of a column that is constant in the training part alone, its deviation in
  /// all rows; 0 for the others (columns.h).
  std::vector<double> spread;
  std::vector<std::string> whole;  ///< columns of whole numbers that no type is said of
  std::vector<std::string> texts;  ///< columns of categories, the same
  /// None, or of each column the names of the values 0, 1, ... of a category; none of numbers.
  std::vector<std::vector<std::string>> categories;
  std::string label;  ///< the column whose values the labels are; or none
  std::string form;   ///< of a CSV file: how its columns are separated, in words
  /// Real numbers around 0 of size 1, all of one unit: those of a built-in density.
  bool unit_scale = false;
  /// Differential entropy in nats where the true density is known: the lowest possible negative
  /// log-likelihood. Otherwise NaN.
  double entropy = std::numeric_limits<double>::quiet_NaN();

  bool images() const { return height > 0; }
};

/// Whether a column, from 0, holds a category.
inline bool is_category(const Dataset& data, std::int64_t column) {
  return !data.categories.empty() && !data.categories[static_cast<std::size_t>(column)].empty();
}

/// The shape of n samples: (n, H, W, C) of images, else (n, D).
inline Shape shape_of(const Dataset& data, std::int64_t n) {
  return data.images() ? Shape{n, data.height, data.width, data.channels} : Shape{n, data.dims};
}

/// Whether samples can be drawn (png.h): images of 1, 3 or 4 channels, and points in the plane.
inline bool has_picture(const Dataset& data) {
  const std::int64_t c = data.channels;
  return data.images() ? c == 1 || c == 3 || c == 4 : data.dims == 2;
}

}  // namespace nf::data
