// Data sources by name: what the user types as DATA becomes a Dataset.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace nf::data {

struct LoadOptions {
  /// Of the built-in sources, which are drawn; files do not depend on it.
  std::uint64_t seed = 0;
  /// Samples in each split; -1 takes the source's own number:
  ///   built-in densities  100000 / 20000 / 20000
  ///   glyphs              50000 / 10000 / 10000
  ///   files with parts    their own parts; without one for validation, the last samples of the
  ///                       training part: 1/6 of MNIST (50k/10k/10k), 1/5 of CIFAR (40k/10k/10k, as
  ///                       in NICE's paper), 1/10 of others
  ///   one array or table  put in an order drawn at random, the same every time; then the last 1/10
  ///                       is for test and the 1/10 before it for validation
  /// Asked for fewer, training and test parts give their first samples. Where a part is cut from
  /// another, the count asked for moves the cut.
  std::int64_t train = -1, valid = -1, test = -1;
  /// One array or table is cut in the order of the file instead: train, valid and test one after
  /// the other are then its rows as they stand.
  bool in_file_order = false;
};

/// `spec` is the name of a built-in source, a path, or "format:path" (formats.h). A path is a
/// folder with the files of MNIST, CIFAR or SVHN, or a single file: IDX, .npy, .npz, .mat, CSV or
/// CIFAR's records, told by the content and gzipped or not.
///
/// Throws Error for an unknown name (with the nearest one), a missing or malformed file, and counts
/// that the source does not have.
Dataset load(const std::string& spec, const LoadOptions& options = {});

/// glyphs and the densities of toy2d.h.
std::vector<std::string> built_in_sources();

}  // namespace nf::data
