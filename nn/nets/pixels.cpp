#include "nn/nets/pixels.h"

namespace nf::nn {

Conv2dOptions pointwise(std::int64_t in, std::int64_t out, bool bias) {
  return {.in = in, .out = out, .kernel = {1, 1}, .bias = bias, .init = {Init::Kind::Xavier, 1}};
}

Var taps_before(const Var& x, int axis, std::int64_t taps, bool strict) {
  if (!strict) return pad(x, axis, taps - 1, 0);
  return narrow(pad(x, axis, taps, 0), axis, 0, taps - 1 + x.dim(axis));
}

Var at_every_pixel(Linear* given, const Var& context) {
  if (!given) return {};
  const Var rows = (*given)(context);
  return reshape(rows, {rows.dim(0), 1, 1, rows.dim(1)});
}

std::shared_ptr<Sequential> pixel_head(std::int64_t in, std::int64_t hidden, std::int64_t outputs,
                                       Generator& gen) {
  Conv2dOptions inner = pointwise(in, hidden), last = pointwise(hidden, outputs);
  inner.activation = Activation{UnaryOp::Relu, {}};
  last.init.scale = 0.1;
  // The last one is drawn first: so a seed means what it always meant.
  const auto end = std::make_shared<Conv2d>(last, gen);
  return std::make_shared<Sequential>(
      std::vector<std::shared_ptr<Layer>>{std::make_shared<Conv2d>(inner, gen), end});
}

void PixelWindow::clear() {
  Shape shape = piece_;
  shape[axis_] = taps_;
  held_ = Tensor::zeros(shape, like_.dtype(), like_.device());
}

void PixelWindow::push(const Tensor& piece) {
  if (taps_ == 1) {
    held_ = piece;
    return;
  }
  held_ = concat(std::vector{held_.narrow(axis_, 1, taps_ - 1), piece}, axis_);
}

}  // namespace nf::nn
