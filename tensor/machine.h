// What this machine can do at most: what measured times are set beside.
#pragma once

#include "tensor/dtype.h"

namespace nf {

/// GFLOP/s of multiply-adds whose operands all are in registers, by num_threads() threads at once,
/// with the kernels in use: no product of f32 or f64 numbers is faster. Takes about 50 ms.
double peak_gflops(DType dtype = DType::F32);

/// GB/s (10^9 bytes) of a[i] = b[i] + s * c[i] over arrays that fit no cache (192 MB together), by
/// num_threads() threads: two arrays read, one written. As in McCalpin's STREAM, what a processor
/// reads of `a` before it writes there is not counted.
double triad_gbs();

}  // namespace nf
