#include "nn/nets/dense_net.h"

#include "nn/layers/scaled_conv.h"

namespace nf::nn {

DenseNet::DenseNet(const DenseNetOptions& options, Generator& gen) : options_(options) {
  NF_CHECK(options.layers >= 0 && options.growth > 0,
           "[DenseNet] needs 0 layers or more and a positive growth, got ", options.layers, " and ",
           options.growth);
  const auto add = [&](const std::string& name, std::int64_t in, std::int64_t out,
                       std::int64_t kernel, bool edge) {
    const ScaledConv2dOptions layer{.conv = {.in = in,
                                             .out = out,
                                             .kernel = {kernel, kernel},
                                             .activation = options.activation},
                                    .rate = 1,
                                    .from_data = true,
                                    .edge = edge};
    return &add_module(name, std::make_shared<ScaledConv2d>(layer, gen));
  };
  first_ = add("first", options.in, options.width, 3, true);
  for (std::size_t i = 0; i < static_cast<std::size_t>(options.layers); ++i) {
    const std::string name = str("layers.", i, ".");
    Layer* const inner = add(name + "inner", channels_before(i), options.width, 1, false);
    layers_.emplace_back(inner, add(name + "outer", options.width, options.growth, 3, false));
  }
  const ScaledConv2dOptions last{.conv = {.in = channels_before(layers_.size()),
                                          .out = options.out,
                                          .init = {Init::Kind::Zeros, 0}},
                                 .rate = 3};
  last_ = &add_module("last", std::make_shared<ScaledConv2d>(last, gen));
}

std::int64_t DenseNet::channels_before(std::size_t layer) const {
  return options_.width + static_cast<std::int64_t>(layer) * options_.growth;
}

template <class Run>
Var DenseNet::passed_through(const Var& x, const Run& run) const {
  const Var start = run(*first_, x);
  Shape shape = start.shape();
  shape[3] = channels_before(layers_.size());
  Var all = append(Tensor::empty(shape, start.dtype(), start.device()), 3, 0, start);
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const std::int64_t channels = channels_before(i);
    const auto& [inner, outer] = layers_[i];
    all = append(all, 3, channels, run(*outer, run(*inner, narrow(all, 3, 0, channels))));
  }
  return run(*last_, all);
}

Var DenseNet::forward(const Var& x) {
  return passed_through(x, [](Layer& layer, const Var& h) { return layer(h); });
}

Var DenseNet::initialize(const Var& x) {
  return passed_through(x, [](Layer& layer, const Var& h) { return layer.initialize(h); });
}

// Convolutions with bias and scale of each output; the first sees one channel more, for the edge.
double DenseNet::parameters_of(const DenseNetOptions& options) {
  const auto in = static_cast<double>(options.in), out = static_cast<double>(options.out);
  const auto width = static_cast<double>(options.width),
             growth = static_cast<double>(options.growth);
  const double layers = options.layers;
  const double seen = layers * width + growth * layers * (layers - 1) / 2;  // by all 1x1
  return width * (9 * (in + 1) + 2) + width * (seen + 2 * layers) +
         layers * growth * (9 * width + 2) + out * (9 * (width + layers * growth) + 2);
}

std::string DenseNet::kind() const {
  return str("DenseNet(", options_.layers, " layers of ", options_.width, " -> ", options_.growth,
             ")");
}

Shape DenseNet::inspect(const Shape& in, const std::string& name,
                        std::vector<LayerInfo>& rows) const {
  Shape shape = first_->inspect(in, join_names(name, "first"), rows);
  rows.back().beside =  // the buffer of all channels, and its gradient
      2 * static_cast<double>(shape.numel() / shape[3] * channels_before(layers_.size()));
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const std::string layer = join_names(name, str("layers.", i));
    const Shape inner = layers_[i].first->inspect(shape, join_names(layer, "inner"), rows);
    layers_[i].second->inspect(inner, join_names(layer, "outer"), rows);
    shape[3] = channels_before(i + 1);
  }
  return last_->inspect(shape, join_names(name, "last"), rows);
}

}  // namespace nf::nn
