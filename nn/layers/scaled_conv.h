// Convolutions whose outputs have learned scales: Glow's, and weight normalisation.
#pragma once

#include <optional>
#include <string>

#include "nn/layers/conv2d.h"

namespace nf::nn {

struct ScaledConv2dOptions {
  Conv2dOptions conv =
      {};           ///< stride 1, odd kernels, padded to keep the size; `bias` is not looked at
  double rate = 3;  ///< of the log scales (ParameterOptions)
  /// The first rows make each output channel begin with mean 0 and deviation 1.
  bool from_data = false;
  /// One more input channel, 0 in the image and 1 outside: the padding is told from zeros.
  bool edge = false;
};

/// y = act((conv(x, w) + b) * exp(s)), b and s one number for each output channel: x (N, H, W, in),
/// y (N, H, W, out), weight (out, in, kh, kw), with `edge` (out, in + 1, kh, kw). Scales go into
/// the weights, so that bias, scale and activation are the convolution's own. With from_data this
/// is a convolution and its ActNorm; with weights of zeros Glow's last layer (Kingma, Dhariwal
/// 2018, section 3.3, and its code). Throws Error for strides and paddings other than these.
class ScaledConv2d : public Layer {
 public:
  ScaledConv2d(const ScaledConv2dOptions& options, Generator& gen);
  Var forward(const Var& x) override;
  Var initialize(const Var& x) override;
  std::int64_t initial_rows() const override { return options_.from_data ? 256 : 0; }
  std::string kind() const override;
  Shape out_shape(const Shape& in) const override;
  double flops(const Shape& in) const override;

 private:
  Var convolve(const Var& x, const Var& weight, const Var& bias,
               const std::optional<Activation>& act) const;
  Var with_edge(const Var& x) const;

  ScaledConv2dOptions options_;
  Var* weight_;
  Var* bias_;
  Var* log_scale_;
};

/// Conv2d with weights w / |w| * g, |w| over the inputs of an output channel (Salimans, Kingma
/// 2016), no epsilon; g is learned ("magnitude", beginning as `start` times |w|), or 1. Weight
/// decay is for g: the size of w has no effect. Throws Error as Conv2d.
struct WeightNormOptions {
  Conv2dOptions conv = {};
  bool magnitude = true;
  double start = 1;
};
class WeightNormConv2d : public Layer {
 public:
  WeightNormConv2d(const WeightNormOptions& options, Generator& gen);
  Var forward(const Var& x) override;
  std::string kind() const override;
  Shape out_shape(const Shape& in) const override;
  double flops(const Shape& in) const override;

 private:
  WeightNormOptions options_;
  Var* weight_;
  Var* magnitude_ = nullptr;
  Var* bias_ = nullptr;
};

}  // namespace nf::nn
