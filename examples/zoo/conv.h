// What the convolutional programs share.
#pragma once

#include <memory>

#include "nn/layers/conv2d.h"

namespace zoo {

using namespace nf;

/// A convolution of images (N, H, W, in) with zeros around.
inline std::shared_ptr<nn::Conv2d> conv(std::int64_t in, std::int64_t out, std::int64_t kernel,
                                        std::int64_t stride, std::int64_t padding, Generator& gen) {
  return std::make_shared<nn::Conv2d>(nn::Conv2dOptions{.in = in,
                                                        .out = out,
                                                        .kernel = {kernel, kernel},
                                                        .stride = stride,
                                                        .padding = {padding, padding},
                                                        .activation = {},
                                                        .init = {}},
                                      gen);
}

/// Every pixel of x (N, H, W, C) twice on both axes: (N, 2H, 2W, C).
inline Var repeat_pixels(const Var& x) {
  const std::int64_t n = x.dim(0), h = x.dim(1), w = x.dim(2), c = x.dim(3);
  const Var apart = reshape(x, {n, h, 1, w, 1, c});
  return reshape(broadcast_to(apart, {n, h, 2, w, 2, c}), {n, 2 * h, 2 * w, c});
}

}  // namespace zoo
