#include "nn/nets/mlp.h"

#include <algorithm>

namespace nf::nn {

// --- Sequential ---------------------------------------------------------------------------------

Sequential::Sequential(std::vector<std::shared_ptr<Layer>> layers) {
  for (auto& layer : layers) push_back(std::move(layer));
}

void Sequential::push_back(std::shared_ptr<Layer> layer) {
  add_module(std::to_string(layers_.size()), layer);
  layers_.push_back(std::move(layer));
}

Var Sequential::forward(const Var& x) {
  Var h = x;
  for (const auto& layer : layers_) h = (*layer)(h);
  return h;
}

Var Sequential::initialize(const Var& x) {
  Var h = x;
  for (const auto& layer : layers_) h = layer->initialize(h);
  return h;
}

std::int64_t Sequential::initial_rows() const {
  std::int64_t rows = 0;
  for (const auto& layer : layers_) rows = std::max(rows, layer->initial_rows());
  return rows;
}

Shape Sequential::out_shape(const Shape& in) const {
  Shape shape = in;
  for (const auto& layer : layers_) shape = layer->out_shape(shape);
  return shape;
}

Shape Sequential::inspect(const Shape& in, const std::string& name,
                          std::vector<LayerInfo>& rows) const {
  Shape shape = in;
  for (const auto& [child_name, child] : children()) {
    shape = child->inspect(shape, join_names(name, child_name), rows);
  }
  return shape;
}

std::shared_ptr<Sequential> mlp(const MlpOptions& options, Generator& gen) {
  auto net = std::make_shared<Sequential>();
  std::int64_t in = options.in;
  for (int i = 0; i < options.hidden_layers; ++i) {
    net->push_back(std::make_shared<Linear>(LinearOptions{.in = in,
                                                          .out = options.hidden_units,
                                                          .activation = options.activation,
                                                          .init = options.init},
                                            gen));
    in = options.hidden_units;
  }
  net->push_back(std::make_shared<Linear>(
      LinearOptions{.in = in, .out = options.out, .init = options.last_init}, gen));
  return net;
}

}  // namespace nf::nn
