#include "nn/nets/lipschitz_net.h"

namespace nf::nn {

LipschitzNet::LipschitzNet(const std::vector<Step>& steps) {
  NF_CHECK(!steps.empty(), "[LipschitzNet] has no layers");
  for (std::size_t i = 0; i < steps.size(); ++i) {
    Held held{nullptr, nullptr};
    if (steps[i].activation) held.activation = &add_module(str(i, ".act"), steps[i].activation);
    held.map = &add_module(str(i, ".map"), steps[i].map);
    steps_.push_back(held);
  }
}

std::vector<Var> LipschitzNet::weights() const {
  std::vector<Var> all;
  for (const Held& step : steps_) all.push_back(step.map->bounded_weight());
  return all;
}

Var LipschitzNet::value(const Var& x, const std::vector<Var>& weights) const {
  Var h = x;
  for (std::size_t i = 0; i < steps_.size(); ++i) {
    if (steps_[i].activation) h = (*steps_[i].activation)(h);
    const Call call(*steps_[i].map);
    h = steps_[i].map->apply(h, weights[i], steps_[i].map->bias());
  }
  return h;
}

LipschitzNet::Linearized LipschitzNet::linearized(const Var& x,
                                                  const std::vector<Var>& weights) const {
  Linearized at{x, {}, weights};
  for (std::size_t i = 0; i < steps_.size(); ++i) {
    Var slope;
    const Call call(*steps_[i].map);
    if (steps_[i].activation) {
      auto [value, of_value] = steps_[i].activation->bent(at.value);
      at.value = std::move(value);
      slope = std::move(of_value);
    }
    at.value = steps_[i].map->apply(at.value, weights[i], steps_[i].map->bias());
    at.slopes.push_back(std::move(slope));
  }
  return at;
}

Var LipschitzNet::jvp(const Linearized& at, const Var& v) const {
  Var h = v;
  for (std::size_t i = 0; i < steps_.size(); ++i) {
    const Call call(*steps_[i].map);
    if (const Var& slope = at.slopes[i]; slope.defined()) {
      // (K N, ...) as (K, N, ...), which the slopes (N, ...) stand beside.
      const Shape flat = h.shape();
      const std::int64_t n = slope.dim(0), directions = n > 0 ? flat.dim(0) / n : 0;
      h = reshape(reshape(h, slope.shape().with_inserted(0, directions)) * slope, flat);
    }
    h = steps_[i].map->apply(h, at.weights[i]);
  }
  return h;
}

Tensor LipschitzNet::vjp(const Linearized& at, const Tensor& w) const {
  Tensor h = w;
  for (std::size_t i = steps_.size(); i-- > 0;) {
    h = steps_[i].map->transposed(h, at.weights[i].value());
    if (at.slopes[i].defined()) h = h * at.slopes[i].value();
  }
  return h;
}

double LipschitzNet::bound() const {
  double product = 1;
  for (const Held& step : steps_) product *= step.map->coefficient();
  return product;
}

Shape LipschitzNet::inspect(const Shape& in, const std::string& name,
                            std::vector<LayerInfo>& rows) const {
  Shape shape = in;
  for (const auto& [child_name, child] : children()) {
    shape = child->inspect(shape, join_names(name, child_name), rows);
  }
  return shape;
}

// --- networks -----------------------------------------------------------------------------------

std::shared_ptr<LipschitzNet> lipschitz_mlp(const LipschitzMlpOptions& options, Generator& gen) {
  std::vector<LipschitzNet::Step> steps;
  for (int i = 0; i <= options.hidden_layers; ++i) {
    const bool last = i == options.hidden_layers;
    const SpectralLinearOptions map = {.in = i == 0 ? options.dims : options.hidden_units,
                                       .out = last ? options.dims : options.hidden_units,
                                       .coefficient = options.coefficient};
    const bool active = i > 0 || options.first_activation;
    steps.push_back({active ? lipschitz_activation(options.activation) : nullptr,
                     std::make_shared<SpectralLinear>(map, gen)});
  }
  return std::make_shared<LipschitzNet>(steps);
}

std::shared_ptr<LipschitzNet> lipschitz_conv_net(const LipschitzConvOptions& options,
                                                 Generator& gen) {
  const std::int64_t outer = options.channels, inner = options.hidden_channels;
  std::vector<LipschitzNet::Step> steps;
  const auto add = [&](std::int64_t in, std::int64_t out, std::int64_t kernel, bool active) {
    const SpectralConvOptions map = {.in = in,
                                     .out = out,
                                     .height = options.height,
                                     .width = options.width,
                                     .kernel = kernel,
                                     .coefficient = options.coefficient};
    steps.push_back({active ? lipschitz_activation(options.activation) : nullptr,
                     std::make_shared<SpectralConv2d>(map, gen)});
  };
  add(outer, inner, 3, options.first_activation);
  add(inner, inner, 1, true);
  add(inner, outer, 3, true);
  return std::make_shared<LipschitzNet>(steps);
}

}  // namespace nf::nn
