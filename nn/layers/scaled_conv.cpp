#include "nn/layers/scaled_conv.h"

namespace nf::nn {

namespace {

Shape weight_shape(const Conv2dOptions& options, std::int64_t in) {
  return {options.out, in, options.kernel[0], options.kernel[1]};
}

Tensor drawn(const Conv2dOptions& options, std::int64_t in, Generator& gen) {
  const std::int64_t window = options.kernel[0] * options.kernel[1];
  return initial_weight(options.init, gen, options.out, in, window)
      .reshape(weight_shape(options, in));
}

// One number for each output channel, as it stands beside weights (out, in, kh, kw).
Var beside_weights(const Var& x) { return reshape(x, {x.numel(), 1, 1, 1}); }

std::string text_of(const char* name, const Conv2dOptions& o, const char* more) {
  std::string text = str(name, "(", o.in, " -> ", o.out, ", ", o.kernel[0], "x", o.kernel[1], more);
  if (o.activation) text += str(", ", name_of(o.activation->op));
  return text + ")";
}

}  // namespace

// --- ScaledConv2d -------------------------------------------------------------------------------

ScaledConv2d::ScaledConv2d(const ScaledConv2dOptions& options, Generator& gen) : options_(options) {
  Conv2dOptions& conv = options_.conv;
  NF_CHECK(conv.in > 0 && conv.out > 0 && conv.kernel[0] % 2 == 1 && conv.kernel[1] % 2 == 1 &&
               conv.stride == 1,
           "[ScaledConv2d] needs positive channels, odd kernels and stride 1, got ", conv.in,
           " -> ", conv.out, ", kernel (", conv.kernel[0], ", ", conv.kernel[1], "), stride ",
           conv.stride);
  conv.padding = {conv.kernel[0] / 2, conv.kernel[1] / 2};
  conv.bias = true;
  const std::int64_t in = conv.in + (options.edge ? 1 : 0);
  weight_ = &add_parameter("weight", drawn(conv, in, gen));
  bias_ = &add_parameter("bias", Tensor::zeros({conv.out}));
  log_scale_ = &add_parameter("log_scale", Tensor::zeros({conv.out}), {.rate = options.rate});
}

// x (N, H, W, C) to (N, H + 2 ph, W + 2 pw, C + 1): zeros around it, and the channel that tells.
Var ScaledConv2d::with_edge(const Var& x) const {
  const auto [ph, pw] = options_.conv.padding;
  const Var image = pad(pad(x, 1, ph, ph), 2, pw, pw);
  const Var inside = Tensor::zeros({x.dim(0), x.dim(1), x.dim(2), 1}, x.dtype(), x.device());
  return concat({image, pad(pad(inside, 1, ph, ph, 1), 2, pw, pw, 1)}, 3);
}

Var ScaledConv2d::convolve(const Var& x, const Var& weight, const Var& bias,
                           const std::optional<Activation>& act) const {
  const Conv2dOptions& conv = options_.conv;
  if (!options_.edge) return activated(act, x, weight, bias, geometry_of(conv));
  // What the edge adds is the same for all images. It goes where fewer numbers are copied: into the
  // input, or, as what it adds, onto the output.
  if (conv.in < conv.out) return activated(act, with_edge(x), weight, bias, {1, 0, 0, conv.exact});
  const Var nothing = Tensor::zeros({1, x.dim(1), x.dim(2), conv.in}, x.dtype(), x.device());
  const Var edge = conv2d(narrow(with_edge(nothing), 3, conv.in, 1), narrow(weight, 1, conv.in, 1),
                          bias, {1, 0, 0, conv.exact});
  const Var out = conv2d(x, narrow(weight, 1, 0, conv.in), {}, geometry_of(conv)) + edge;
  return act ? (*act)(out) : out;
}

Var ScaledConv2d::forward(const Var& x) {
  const Var scale = exp(*log_scale_);
  return convolve(x, *weight_ * beside_weights(scale), *bias_ * scale, options_.conv.activation);
}

Var ScaledConv2d::initialize(const Var& x) {
  if (!options_.from_data) return (*this)(x);
  const Tensor plain = convolve(x, *weight_, bias_->value().zeros_like(), {}).value();
  bias_->mutable_value().copy_(-mean(plain, {0, 1, 2}));
  log_scale_->mutable_value().copy_(standardizing_log_scale(variance(plain, {0, 1, 2})));
  return (*this)(x);
}

std::string ScaledConv2d::kind() const {
  return text_of("ScaledConv2d", options_.conv, options_.edge ? ", edge" : "");
}

Shape ScaledConv2d::out_shape(const Shape& in) const { return conv_out_shape(options_.conv, in); }

double ScaledConv2d::flops(const Shape& in) const {
  const std::int64_t inputs = options_.conv.in + (options_.edge ? 1 : 0);
  const auto scaled = static_cast<double>(weight_->numel() + 2 * options_.conv.out);
  return conv_flops(options_.conv, inputs, out_shape(in)) + scaled;
}

// --- WeightNormConv2d ---------------------------------------------------------------------------

WeightNormConv2d::WeightNormConv2d(const WeightNormOptions& options, Generator& gen)
    : options_(options) {
  const Conv2dOptions& conv = options.conv;
  NF_CHECK(conv.in > 0 && conv.out > 0 && conv.kernel[0] > 0 && conv.kernel[1] > 0,
           "[WeightNormConv2d] sizes must be positive, got ", conv.in, " -> ", conv.out,
           ", kernel (", conv.kernel[0], ", ", conv.kernel[1], ")");
  const Tensor weight = drawn(conv, conv.in, gen);
  weight_ = &add_parameter("weight", weight, {.decayed = false});
  if (options.magnitude) {
    const Tensor size = sqrt(sum_squares(weight, {1, 2, 3})) * options.start;
    magnitude_ = &add_parameter("magnitude", size, {.decayed = true});
  }
  if (conv.bias) bias_ = &add_parameter("bias", Tensor::zeros({conv.out}));
}

Var WeightNormConv2d::forward(const Var& x) {
  const Var norm = rsqrt(sum_squares(*weight_, {1, 2, 3}));
  const Var factor = magnitude_ ? *magnitude_ * norm : norm;
  return activated(options_.conv.activation, x, *weight_ * beside_weights(factor),
                   bias_ ? *bias_ : Var(), geometry_of(options_.conv));
}

std::string WeightNormConv2d::kind() const {
  return text_of("WeightNormConv2d", options_.conv, options_.magnitude ? "" : ", |w| = 1");
}

Shape WeightNormConv2d::out_shape(const Shape& in) const {
  return conv_out_shape(options_.conv, in);
}

double WeightNormConv2d::flops(const Shape& in) const {
  const auto weights = static_cast<double>(weight_->numel());
  return conv_flops(options_.conv, options_.conv.in, out_shape(in)) + 3 * weights;
}

}  // namespace nf::nn
