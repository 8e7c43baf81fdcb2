#include "nn/layers/conv2d.h"

namespace nf::nn {

Conv2d::Conv2d(const Conv2dOptions& options, Generator& gen) : options_(options) {
  const auto [kh, kw] = options.kernel;
  NF_CHECK(options.in > 0 && options.out > 0 && kh > 0 && kw > 0,
           "[Conv2d] sizes must be positive, got ", options.in, " -> ", options.out, ", kernel (",
           kh, ", ", kw, ")");
  const Shape shape = {options.out, options.in, kh, kw};
  conv_sizes({1, kh, kw, options.in}, shape, geometry_of(options_));  // refuses the wrong ones
  const Tensor drawn = initial_weight(options.init, gen, options.out, options.in, kh * kw);
  weight_ = &add_parameter("weight", drawn.reshape(shape));
  if (options.bias) bias_ = &add_parameter("bias", Tensor::zeros({options.out}));
}

Var Conv2d::forward(const Var& x) {
  return activated(options_.activation, x, *weight_, bias_ ? *bias_ : Var(), geometry_of(options_));
}

std::string Conv2d::kind() const {
  const auto [kh, kw] = options_.kernel;
  const auto [pad_h, pad_w] = options_.padding;
  std::string text = str("Conv2d(", options_.in, " -> ", options_.out, ", ", kh, "x", kw);
  if (options_.stride != 1) text += str(", stride ", options_.stride);
  if (pad_h > 0 || pad_w > 0) text += str(", padding ", pad_h, "x", pad_w);
  if (options_.activation) text += str(", ", name_of(options_.activation->op));
  return text + ")";
}

Shape Conv2d::out_shape(const Shape& in) const { return conv_out_shape(options_, in); }

double Conv2d::flops(const Shape& in) const {
  return conv_flops(options_, options_.in, out_shape(in));
}

// --- shared by layers that convolve -------------------------------------------------------------

Shape conv_out_shape(const Conv2dOptions& options, const Shape& in) {
  const Shape own = in.rank() == 4 ? in.without(3).with_inserted(3, options.in) : in;
  const Shape weight = {options.out, options.in, options.kernel[0], options.kernel[1]};
  return conv_sizes(own, weight, geometry_of(options)).out_shape();
}

ConvGeometry geometry_of(const Conv2dOptions& options) {
  return {options.stride, options.padding[0], options.padding[1], options.exact};
}

Var activated(const std::optional<Activation>& act, const Var& x, const Var& weight,
              const Var& bias, const ConvGeometry& geometry) {
  if (!act) return conv2d(x, weight, bias, geometry);
  if (needs_of(act->op) == Needs::Input) return (*act)(conv2d(x, weight, bias, geometry));
  return conv2d(x, weight, bias, geometry, &act->op, act->args);
}

double conv_flops(const Conv2dOptions& options, std::int64_t in, const Shape& out) {
  const auto outputs = static_cast<double>(out.numel());
  const auto products = static_cast<double>(in * options.kernel[0] * options.kernel[1]);
  // A sum of products has one addition less; the bias is one more.
  return outputs * (2 * products - (options.bias ? 0 : 1) + (options.activation ? 1 : 0));
}

}  // namespace nf::nn
