// What this machine can do at most: what measured times are set beside.
#pragma once

#include <cstdint>

#include "tensor/dtype.h"

namespace nf {

/// GFLOP/s of multiply-adds whose operands all are in registers, by num_threads() threads at once,
/// with the kernels in use: no product of f32 or f64 numbers is faster. Of f32 they are in the
/// precision that the CPU's products are set to (Backend::set_precision). It takes as long as 5 *
/// 10^7 multiply-adds of whole vectors.
double peak_gflops(DType dtype = DType::F32);

/// GB/s (10^9 bytes) of an optimizer's update of `numbers` f32 numbers in place, by num_threads()
/// threads with the kernels in use: of each, 16 bytes are read (parameter, gradient and two
/// moments) and 12 written (all but the gradient). Every line that is written was read, so nothing
/// else moves; and there is next to no arithmetic: no update by Adam is faster. Numbers that fit a
/// cache are measured there. 16 bytes each are allocated; from 2^25 numbers on it is the rate of so
/// many.
double update_gbs(std::int64_t numbers);

/// GB/s of a[i] = b[i] + s * c[i] on arrays of `numbers` f32 numbers, by num_threads() threads: two
/// arrays read, one written. As in McCalpin's STREAM, what a processor reads of `a` before it
/// writes there is not counted: with it, a third more bytes move. The arrays are 192 MB by default,
/// which the last caches of some servers hold in part, together.
double triad_gbs(std::int64_t numbers = std::int64_t{16} << 20);

}  // namespace nf
