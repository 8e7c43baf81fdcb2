// Convolutions with few outputs, such as the gradient of images of 3 channels.
//
// A tile's vector holds outputs: with 3 of them, 13 of 16 lanes multiply for nothing. Instead each
// pixel is multiplied with the weights of all taps and outputs at once,
//
//   columns[y, x, (ky, kx, o)] = sum_c in[y, x, c] w[o, c, ky, kx]
//
// and an output is the sum of the taps that meet it: out[y, x, o] = sum columns[y + ky, x + kx,
// (ky, kx, o)]. Only kh rows of columns are kept at a time; they stay in a near cache.
#pragma once

#include "tensor/cpu/gemm/conv.h"

namespace nf::cpu {

/// Whether the sizes say so; never the number of images.
template <class T>
bool takes_columns(const Convolution<T>& conv);

/// What the direct way gives, but for rounding: c is summed first, then the taps.
template <class T>
void convolve_columns(const Convolution<T>& conv);

}  // namespace nf::cpu
