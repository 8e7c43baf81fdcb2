// Pixels of fewer than 8 bits.
#pragma once

#include "data/dataset.h"

namespace nf::data {

/// The K = 2^bits levels of 8-bit pixels: floor(x / 2^(8 - bits)), 0..K-1 (Kingma, Dhariwal 2018).
/// pixels u8, on the CPU, of any shape. bits: 1..8.
Tensor levels_of_pixels(const Tensor& pixels, int bits);
/// Levels 0..K-1 as grey of 8 bits, so that black is 0 and white 255: 255 k / (K - 1), rounded.
/// levels_of_pixels() of that is k again. levels u8 or floats, on any device; the result on the
/// CPU.
Tensor pixels_of_levels(const Tensor& levels, int count);
/// The rows of all parts become levels of so many bits; 8: nothing changes. Throws SettingError
/// when fewer are asked of real numbers.
void reduce_bits(Dataset& data, int bits);

}  // namespace nf::data
