#include "flows/train/mmd.h"

#include "tensor/full_precision.h"

namespace nf::flows {

namespace {

// The mean of k over all pairs of rows.
Var kernel_mean(const Var& x, const Var& y, double scale) {
  const FullPrecision full;  // a distance is a small difference of large numbers
  const Var rounded = reshape(sum_squares(x, {1}), {x.dim(0), 1}) + sum_squares(y, {1}) -
                      2 * matmul(x, transpose(y, 0, 1));
  const Var squares = relu(rounded);  // of equal rows it may be below 0
  Var k;
  for (const double width : {0.5, 1.0, 2.0, 4.0}) {
    const double sigma = scale * width;
    const Var one = exp(squares * (-0.5 / (sigma * sigma)));
    k = k.defined() ? k + one : one;
  }
  return mean(k);
}

}  // namespace

Var mmd_squared(const Var& x, const Var& y, double scale) {
  NF_CHECK(scale > 0, "[mmd_squared] needs a scale above 0, got ", scale);
  return kernel_mean(x, x, scale) + kernel_mean(y, y, scale) - 2 * kernel_mean(x, y, scale);
}

}  // namespace nf::flows
