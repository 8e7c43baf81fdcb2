// glyphs: handwritten-looking digits in MNIST's size, drawn from strokes. No download.
#pragma once

#include <cstdint>
#include <string>

#include "data/dataset.h"

namespace nf::data {

inline constexpr int kGlyphSize = 28;

/// The files have streams of their own, so that neither depends on the other's length.
enum class GlyphSet : std::uint64_t { Train, Test };

/// Images first, first+1, ..., first+count-1 of a set: x is u8 (count, 784), ink 255 on 0, labels
/// 0..9. Every image is a pure function of (seed, set, its index), whatever the number of threads.
Split glyphs(std::uint64_t seed, GlyphSet set, std::int64_t first, std::int64_t count);

/// Writes four IDX files with MNIST's names into `folder`, which is made when missing.
void write_glyphs(const std::string& folder, std::uint64_t seed, std::int64_t train = 60000,
                  std::int64_t test = 10000);

}  // namespace nf::data
