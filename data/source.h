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
  /// Samples in each split; -1 takes the source's own number. Files are never reordered: the last
  /// `valid` samples of the training part are the validation split, and the first `train` and
  /// `test` are taken of what remains.
  ///   built-in densities  100000 / 20000 / 20000
  ///   glyphs              50000 / 10000 / 10000
  ///   a folder of files   5/6 and 1/6 of the training file, the whole test file (MNIST:
  ///   50k/10k/10k) a single file       its first 5/7, the next 1/7 and the last 1/7
  std::int64_t train = -1, valid = -1, test = -1;
};

/// `spec` is the name of a built-in source, a path, or "format:path" (the only format now is idx;
/// without one it is told by the content). A path is a folder that holds MNIST's four files,
/// gzipped or not, or a single file.
///
/// Throws Error for an unknown name (with the nearest one), a missing or malformed file, and counts
/// that the source does not have.
Dataset load(const std::string& spec, const LoadOptions& options = {});

/// glyphs and the densities of toy2d.h.
std::vector<std::string> built_in_sources();

}  // namespace nf::data
