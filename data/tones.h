// tones: signals that sound like plucked strings, made from a seed. No download.
#pragma once

#include <cstdint>

#include "tensor/tensor.h"

namespace nf::data {

inline constexpr int kToneLength = 256;  ///< samples of a signal

/// u8 (n, 256): signals of 8 bits. Each is a sum of one to three decaying sinusoids of 2 to 32
/// periods and noise, as mu-law has it (ITU-T G.711, mu = 255): level 128 is silence, and steps are
/// smaller where it is quieter. Row i is a pure function of (seed, stream, i).
Tensor tones(std::int64_t n, std::uint64_t seed, std::uint64_t stream);

/// The level, 0..255, of x in [-1, 1]: sign(x) ln(1 + 255 |x|) / ln 256, in 256 steps.
int mu_law_level(double x);

}  // namespace nf::data
