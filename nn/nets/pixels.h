// What nets of pixels share that know those above and to the left.
#pragma once

#include <memory>

#include "nn/layers/conv2d.h"
#include "nn/nets/mlp.h"

namespace nf::nn {

/// A convolution of 1x1.
Conv2dOptions pointwise(std::int64_t in, std::int64_t out, bool bias = true);

/// x with zeros before `axis`, so that `taps` of it end at each place, or with `strict` before it.
Var taps_before(const Var& x, int axis, std::int64_t taps, bool strict);

/// What a context (N, A) adds at every pixel, (N, 1, 1, O); undefined without `given` (A -> O).
Var at_every_pixel(Linear* given, const Var& context);

/// 1x1, ReLU, 1x1: how such a net ends, behind a ReLU.
std::shared_ptr<Sequential> pixel_head(std::int64_t in, std::int64_t hidden, std::int64_t outputs,
                                       Generator& gen);

/// The last `taps` pieces of something along an axis, each of length 1, zeros at first.
class PixelWindow {
 public:
  PixelWindow(const Shape& piece, int axis, std::int64_t taps, const Tensor& like)
      : axis_(axis), taps_(taps), piece_(piece), like_(like) {
    clear();
  }
  void clear();
  void push(const Tensor& piece);
  const Tensor& held() const { return held_; }

 private:
  int axis_;
  std::int64_t taps_;
  Shape piece_;
  Tensor like_, held_;
};

}  // namespace nf::nn
