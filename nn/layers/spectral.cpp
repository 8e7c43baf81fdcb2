#include "nn/layers/spectral.h"

#include <cmath>

#include "tensor/full_precision.h"

namespace nf::nn {

namespace {

Tensor length_of(const Tensor& x) { return sqrt(sum(square(x))); }

// x / |x|, or `before` where that is no direction.
Tensor direction(const Tensor& x, const Tensor& before) {
  const Tensor length = length_of(x), zero = length.zeros_like();
  const Tensor usable = greater(length, zero);  // NaN is not
  const Tensor divisor = where(usable, length, Tensor::ones({}, x.dtype(), x.device()));
  const Tensor scaled = x / divisor;
  return where(usable.broadcast_to(x.shape()), scaled, before);
}

Shape one_sample(std::int64_t height, std::int64_t width, std::int64_t channels) {
  return {1, height, width, channels};
}

void check_sizes(const SpectralConvOptions& o) {
  NF_CHECK(
      o.in > 0 && o.out > 0 && o.height > 0 && o.width > 0 && o.kernel > 0 && o.kernel % 2 == 1,
      "[SpectralConv2d] sizes must be positive and the kernel odd, got ", o.in, " -> ", o.out,
      " channels, images of ", o.height, " x ", o.width, ", kernel ", o.kernel);
}

Tensor conv_weight(const SpectralConvOptions& o, Generator& gen) {
  check_sizes(o);
  return initial_weight(o.init, gen, o.out, o.in, o.kernel * o.kernel)
      .reshape({o.out, o.in, o.kernel, o.kernel});
}

}  // namespace

// --- SpectralMap --------------------------------------------------------------------------------

SpectralMap::SpectralMap(double coefficient, Tensor weight, Tensor bias, const Shape& in,
                         const Shape& out, Generator& gen)
    : coefficient_(coefficient),
      weight_(add_parameter("weight", std::move(weight))),
      bias_(bias.defined() ? &add_parameter("bias", std::move(bias)) : nullptr),
      u_(add_buffer("u", Tensor::zeros(out))),
      v_(add_buffer("v", normal(gen, in))) {
  NF_CHECK(coefficient > 0, "[SpectralMap] the bound of the norm must be above 0, got ",
           coefficient);
  v_.copy_(direction(v_, v_));
}

Var SpectralMap::sigma() const { return sum(apply(v_, weight_) * Var(u_)); }

Var SpectralMap::bounded_weight() const {
  const Var s = sigma(), c = Tensor::full({}, coefficient_, s.dtype(), s.device());
  return weight_ * (c / maximum(s, c));
}

Tensor SpectralMap::advance() {
  const FullPrecision full;
  const Tensor& weight = weight_.value();
  u_.copy_(direction(apply(v_, weight).value(), u_));
  const Tensor back = transposed(u_, weight);
  v_.copy_(direction(back, v_));
  return length_of(back);  // u^T weight v
}

void SpectralMap::iterate(int steps) {
  const NoGrad no_grad;
  for (int i = 0; i < steps; ++i) advance();
}

int SpectralMap::converge(double tolerance, int most) {
  const NoGrad no_grad;
  double before = 0;
  for (int i = 1; i <= most; ++i) {
    const double now = advance().item();
    if (std::abs(now - before) <= tolerance * now) return i;
    before = now;
  }
  return most;
}

void SpectralMap::set_vectors(const SpectralVectors& vectors) {
  u_.copy_(vectors.u);
  v_.copy_(vectors.v);
}

// --- SpectralLinear -----------------------------------------------------------------------------

SpectralLinear::SpectralLinear(const SpectralLinearOptions& options, Generator& gen)
    : SpectralMap(options.coefficient, initial_weight(options.init, gen, options.out, options.in),
                  Tensor::zeros({options.out}), {1, options.in}, {1, options.out}, gen),
      options_(options) {
  converge();
}

Var SpectralLinear::apply(const Var& x, const Var& weight, const Var& bias) const {
  return linear(x, weight, bias);
}

Tensor SpectralLinear::transposed(const Tensor& y, const Tensor& weight) const {
  return matmul(y, weight);
}

std::string SpectralLinear::kind() const {
  return str("SpectralLinear(", options_.in, " -> ", options_.out, ", ", options_.coefficient, ")");
}

// The product; sigma, and the weight times its factor.
double SpectralLinear::flops(const Shape& in) const {
  const auto weights = static_cast<double>(options_.in * options_.out);
  return linear_flops(in.dim(0), {.in = options_.in, .out = options_.out}) + 3 * weights;
}

// --- SpectralConv2d -----------------------------------------------------------------------------

SpectralConv2d::SpectralConv2d(const SpectralConvOptions& options, Generator& gen)
    : SpectralMap(options.coefficient, conv_weight(options, gen), Tensor::zeros({options.out}),
                  one_sample(options.height, options.width, options.in),
                  one_sample(options.height, options.width, options.out), gen),
      options_(options) {
  converge();
}

Conv2dOptions SpectralConv2d::conv() const {
  const std::int64_t k = options_.kernel, padding = k / 2;
  return {.in = options_.in, .out = options_.out, .kernel = {k, k}, .padding = {padding, padding}};
}

Var SpectralConv2d::apply(const Var& x, const Var& weight, const Var& bias) const {
  NF_CHECK(x.rank() == 4 && x.dim(1) == options_.height && x.dim(2) == options_.width,
           "[SpectralConv2d] its norm is that for images of ", options_.height, " x ",
           options_.width, ", got ", x.shape());
  return conv2d(x, weight, bias, geometry());
}

Tensor SpectralConv2d::transposed(const Tensor& y, const Tensor& weight) const {
  const Shape x = {y.dim(0), options_.height, options_.width, options_.in};
  return conv2d_backward_data(y, weight, x, geometry());
}

std::string SpectralConv2d::kind() const {
  return str("SpectralConv2d(", options_.in, " -> ", options_.out, ", ", options_.kernel, "x",
             options_.kernel, ", ", options_.coefficient, ")");
}

Shape SpectralConv2d::out_shape(const Shape& in) const { return conv_out_shape(conv(), in); }

// The convolution; sigma by that of one image, and the weight times its factor.
double SpectralConv2d::flops(const Shape& in) const {
  Shape one = in;
  one[0] = 1;
  return conv_flops(conv(), options_.in, out_shape(in)) +
         conv_flops(conv(), options_.in, out_shape(one));
}

// --- all of a module ----------------------------------------------------------------------------

std::vector<SpectralMap*> spectral_maps(Module& module) {
  std::vector<SpectralMap*> maps;
  module.for_each_module([&](const std::string&, const Module& part) {
    // `module` may be changed, and so may its parts.
    if (const auto* map = dynamic_cast<const SpectralMap*>(&part)) {
      maps.push_back(const_cast<SpectralMap*>(map));
    }
  });
  return maps;
}

void follow_spectral_norms(Module& module) {
  constexpr double kTolerance = 1e-4;
  constexpr int kMost = 200, kUnseen = 10;
  for (SpectralMap* map : spectral_maps(module)) {
    if (map->device() == Device::CPU) {
      map->converge(kTolerance, kMost);
    } else {
      map->iterate(kUnseen);
    }
  }
}

void converge_spectral_norms(Module& module) {
  for (SpectralMap* map : spectral_maps(module)) map->converge();
}

std::vector<SpectralVectors> spectral_vectors(Module& module) {
  std::vector<SpectralVectors> all;
  for (const SpectralMap* map : spectral_maps(module)) all.push_back(map->vectors());
  return all;
}

void set_spectral_vectors(Module& module, const std::vector<SpectralVectors>& vectors) {
  const std::vector<SpectralMap*> maps = spectral_maps(module);
  NF_CHECK(maps.size() == vectors.size(), "[spectral] ", maps.size(), " maps, but vectors of ",
           vectors.size());
  for (std::size_t i = 0; i < maps.size(); ++i) maps[i]->set_vectors(vectors[i]);
}

}  // namespace nf::nn
