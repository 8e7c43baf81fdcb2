// Pixels of fewer than 8 bits, by rounding or at random.
#pragma once

#include <string>

#include "data/dataset.h"
#include "tensor/random.h"

namespace nf::data {

/// The K = 2^bits levels of 8-bit pixels: floor(x / 2^(8 - bits)), 0..K-1 (Kingma, Dhariwal 2018).
/// pixels u8, on the CPU, of any shape. bits: 1..8.
Tensor levels_of_pixels(const Tensor& pixels, int bits);
/// Levels 0..K-1 as grey of 8 bits, so that black is 0 and white 255: 255 k / (K - 1), rounded.
/// levels_of_pixels() of that is k again. levels u8, or floats, between which lie the greys
/// between, on any device; the result on the CPU.
Tensor pixels_of_levels(const Tensor& levels, int count);
/// The rows of all parts become levels of so many bits; 8: nothing changes. A note tells where
/// nothing is left of the training pixels. Throws SettingError when fewer are asked of real
/// numbers.
void reduce_bits(Dataset& data, int bits);

/// Bits drawn with the grey of pixels as their probability: 1 with pixel / 255, else 0
/// (Salakhutdinov, Murray 2008). pixels u8 (N, D), on any device; the result too. With a placed
/// generator the bits of a row are a function of its sample and round.
Tensor draw_bits(Generator& gen, const Tensor& pixels);
/// The rows of all parts become bits, levels 0 and 1: "none": nothing changes; "static": drawn
/// once, from a fixed seed, as a function of (row of its file, pixel), so they are always the same;
/// "dynamic": the same, and the training pixels are kept beside (Dataset::intensities), so that
/// training draws theirs anew. Pixels that are 0 and 1 already stay as they are. Throws
/// SettingError for real numbers and pixels of fewer than 8 bits.
void binarize(Dataset& data, const std::string& how);

}  // namespace nf::data
