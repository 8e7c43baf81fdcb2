// Winograd's convolution F(4x4, 3x3), for kernels of 3x3 with stride 1, in f32: 4x4 outputs for 36
// multiplications of channels instead of 144.
//
// An output tile Y of 4x4 pixels sees an input tile D of 6x6. With fixed matrices
//
//   Y = A^T [ sum_c (G g_c G^T) * (B^T D_c B) ] A      (* element by element)
//
// so that for each of the 36 elements there is a product (tiles x C) (C x O) by the usual tiles.
//
// The matrices follow from five points, at which polynomials are multiplied, and from infinity.
// The error depends on the points. Ours are 0, +-5/8, +-3/2, infinity: all constants of A and B are
// exact. Usual are 0, +-1, +-2, infinity, with errors of 2.3 times the size. Measured against f64
// with normal numbers, relative to the root mean square of the outputs:
//
//                    rms, C = 32   rms, C = 128   largest, C = 128
//   direct               3.0e-7         5.6e-7            4e-6
//   these points         6.0e-7         1.1e-6            9e-6
//   0, +-1, +-2          1.3e-6         2.3e-6           23e-6
//
// A number that is not finite reaches all pixels of the output tiles that see it, at most 5 pixels
// away instead of 1 (sums of infinities are NaN there).
#pragma once

#include "tensor/cpu/gemm/conv.h"

namespace nf::cpu {

/// Whether `exact`, nf::winograd() and the sizes say so; never the number of images: the bits of an
/// image's result do not depend on the others.
bool takes_winograd(const Windows<float>& windows);

/// What the direct way gives, but for rounding. For kernels of 3x3, steps of 1 and frames that
/// spread by 1.
void convolve_winograd(const Convolution<float>& conv);

}  // namespace nf::cpu
