#include "nn/nets/gated_conv.h"

#include "nn/layers/conv2d.h"

namespace nf::nn {

Var Gated::forward(const Var& x) {
  const Var both = inner_(x);
  const std::int64_t half = both.dim(-1) / 2;
  return narrow(both, -1, 0, half) * sigmoid(narrow(both, -1, half, half));
}

Shape Gated::out_shape(const Shape& in) const {
  Shape out = inner_.out_shape(in);
  out[out.rank() - 1] /= 2;
  return out;
}

Shape Gated::inspect(const Shape& in, const std::string& name, std::vector<LayerInfo>& rows) const {
  inner_.inspect(in, join_names(name, "inner"), rows);
  const Shape out = out_shape(in);
  rows.push_back({.name = name,
                  .kind = "gate",
                  .out_shape = out,
                  .flops = 2.0 * static_cast<double>(out.numel())});  // sigmoid, times
  return out;
}

namespace {

/// (N, ...) as (N, `sample`...), the same numbers.
class Reshaped : public Layer {
 public:
  explicit Reshaped(const Shape& sample) : sample_(sample) {}
  Var forward(const Var& x) override { return reshape(x, out_shape(x.shape())); }
  std::string kind() const override { return str("Reshaped", sample_); }
  Shape out_shape(const Shape& in) const override { return sample_.with_inserted(0, in.dim(0)); }

 private:
  Shape sample_;
};

/// (N, H, W, 4 C) to (N, 2 H, 2 W, C): channels a C to (a + 1) C - 1 are the pixel (a / 2, a % 2)
/// of a square.
class ToSquares : public Layer {
 public:
  Var forward(const Var& x) override {
    const std::int64_t n = x.dim(0), h = x.dim(1), w = x.dim(2), c = x.dim(3) / 4;
    const Var squares = permute(reshape(x, {n, h, w, 2, 2, c}), {0, 1, 3, 2, 4, 5});
    return reshape(squares, {n, 2 * h, 2 * w, c});
  }
  std::string kind() const override { return "ToSquares"; }
  Shape out_shape(const Shape& in) const override {
    return {in.dim(0), 2 * in.dim(1), 2 * in.dim(2), in.dim(3) / 4};
  }
};

void check_sides(const GatedConvOptions& o) {
  NF_CHECK(o.height > 0 && o.width > 0 && o.height % 4 == 0 && o.width % 4 == 0,
           "[gated convolutions] images of ", o.height, " x ", o.width,
           " cannot be halved twice: sides are multiples of 4");
}

std::shared_ptr<Layer> gated_conv(std::int64_t in, std::int64_t out, std::int64_t kernel,
                                  std::int64_t stride, Generator& gen) {
  const std::int64_t border = kernel / 2;
  return std::make_shared<Gated>(
      std::make_shared<Conv2d>(Conv2dOptions{.in = in,
                                             .out = 2 * out,
                                             .kernel = {kernel, kernel},
                                             .stride = stride,
                                             .padding = {border, border}},
                               gen));
}

std::shared_ptr<Layer> gated_linear(std::int64_t in, std::int64_t out, Generator& gen) {
  return std::make_shared<Gated>(
      std::make_shared<Linear>(LinearOptions{.in = in, .out = 2 * out}, gen));
}

}  // namespace

std::shared_ptr<Sequential> gated_encoder(const GatedConvOptions& o, std::int64_t hidden,
                                          Generator& gen) {
  check_sides(o);
  const std::int64_t m = o.maps, inner = o.height / 4 * (o.width / 4) * 2 * m;
  return std::make_shared<Sequential>(std::vector<std::shared_ptr<Layer>>{
      std::make_shared<Reshaped>(Shape{o.height, o.width, o.channels}),
      gated_conv(o.channels, m, 5, 1, gen), gated_conv(m, m, 5, 2, gen),
      gated_conv(m, 2 * m, 5, 1, gen), gated_conv(2 * m, 2 * m, 5, 2, gen),
      gated_conv(2 * m, 2 * m, 5, 1, gen), std::make_shared<Reshaped>(Shape{inner}),
      gated_linear(inner, hidden, gen)});
}

std::shared_ptr<Sequential> gated_decoder(const GatedConvOptions& o, std::int64_t latents,
                                          const Init& last_init, Generator& gen) {
  check_sides(o);
  const std::int64_t m = o.maps, h = o.height / 4, w = o.width / 4;
  return std::make_shared<Sequential>(std::vector<std::shared_ptr<Layer>>{
      gated_linear(latents, h * w * 2 * m, gen), std::make_shared<Reshaped>(Shape{h, w, 2 * m}),
      gated_conv(2 * m, 2 * m, 5, 1, gen), gated_conv(2 * m, 4 * m, 3, 1, gen),
      std::make_shared<ToSquares>(), gated_conv(m, m, 5, 1, gen), gated_conv(m, 4 * m, 3, 1, gen),
      std::make_shared<ToSquares>(), gated_conv(m, m, 5, 1, gen),
      std::make_shared<Conv2d>(
          Conv2dOptions{.in = m, .out = o.channels, .kernel = {1, 1}, .init = last_init}, gen),
      std::make_shared<Reshaped>(Shape{o.height * o.width * o.channels})});
}

double gated_parameters(const GatedConvOptions& o, std::int64_t hidden, std::int64_t latents) {
  const auto m = static_cast<double>(o.maps), channels = static_cast<double>(o.channels);
  const double places = static_cast<double>(o.height / 4 * (o.width / 4));
  const auto conv = [](double in, double out, double taps) { return (in * taps + 1) * 2 * out; };
  const double encoder = conv(channels, m, 25) + conv(m, m, 25) + conv(m, 2 * m, 25) +
                         2 * conv(2 * m, 2 * m, 25) +
                         conv(places * 2 * m, static_cast<double>(hidden), 1);
  return encoder + conv(static_cast<double>(latents), places * 2 * m, 1) + conv(2 * m, 2 * m, 25) +
         conv(2 * m, 4 * m, 9) + 2 * conv(m, m, 25) + conv(m, 4 * m, 9) + (m + 1) * channels;
}

}  // namespace nf::nn
