// Conv2d: a convolution of images that are stored channels last.
#pragma once

#include <array>
#include <optional>
#include <string>

#include "nn/layers/linear.h"

namespace nf::nn {

/// Pairs are (height, width), with the meaning of torch.nn.Conv2d's.
struct Conv2dOptions {
  std::int64_t in = 0;  ///< channels
  std::int64_t out = 0;
  std::array<std::int64_t, 2> kernel = {3, 3};
  std::int64_t stride = 1;                       ///< 1 or 2, on both axes
  std::array<std::int64_t, 2> padding = {0, 0};  ///< zeros on both sides; smaller than the kernel
  bool bias = true;
  std::optional<Activation> activation = {};
  Init init = {};
  bool exact = false;  ///< as ConvGeometry's: for weights that are masked
};

/// y = act(conv(x, weight) + bias): x (N, H, W, in), y (N, OH, OW, out) with
/// OH = (H + 2 padding - kernel) / stride + 1 rounded down, and so OW; weight (out, in, kh, kw),
/// the order of torch.nn.Conv2d's, bias (out) from 0 (LeCun et al. 1989; no dilation, no groups).
/// What is fused is fused as in Linear. Throws Error for sizes, strides and paddings that are not
/// as above and for images smaller than the kernel when padded.
class Conv2d : public Layer {
 public:
  Conv2d(const Conv2dOptions& options, Generator& gen);
  Var forward(const Var& x) override;
  std::string kind() const override;  ///< "Conv2d(3 -> 8, 3x3, stride 2, padding 1x1, relu)"
  Shape out_shape(const Shape& in) const override;
  double flops(const Shape& in) const override;  ///< the padding counts like the image

 private:
  Conv2dOptions options_;
  Var* weight_;
  Var* bias_ = nullptr;
};

// For layers that convolve with weights of their own making:
ConvGeometry geometry_of(const Conv2dOptions& options);
/// act(conv(x, weight) + bias), the activation within the convolution's kernel where its derivative
/// is a function of its output.
Var activated(const std::optional<Activation>& act, const Var& x, const Var& weight,
              const Var& bias, const ConvGeometry& geometry);
/// Of the output. How many channels `in` has is not looked at: who holds a layer may not know them,
/// where a context stands behind its own.
Shape conv_out_shape(const Conv2dOptions& options, const Shape& in);
/// Of an output of shape `out`, each of whose numbers sees `in` channels: see Module::flops.
double conv_flops(const Conv2dOptions& options, std::int64_t in, const Shape& out);

}  // namespace nf::nn
