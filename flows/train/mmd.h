// The maximum mean discrepancy: how far apart two samples are, as kernels see it, with a gradient.
#pragma once

#include "autograd/functions.h"

namespace nf::flows {

/// MMD^2 of rows x (N, D) and y (M, D), a scalar (Gretton et al., "A kernel two-sample test"
/// (2012), eq. 5):
///
///   mean of k(x, x') + mean of k(y, y') - 2 mean of k(x, y),
///   k(a, b) = sum over w of exp(-|a - b|^2 / (2 (w scale)^2)),  w = 1/2, 1, 2, 4
///
/// Means are over all pairs, those of a row with itself too, so it stays above 0 for samples of one
/// distribution; of distributions it is 0 for equal ones only. Throws Error for a scale that is not
/// above 0.
Var mmd_squared(const Var& x, const Var& y, double scale);

}  // namespace nf::flows
