#include "flows/models/resize.h"

#include <algorithm>
#include <map>

#include "flows/models/build.h"

namespace nf::flows {

namespace {

DataShape of_size(DataShape data, std::int64_t height, std::int64_t width) {
  data.height = height;
  data.width = width;
  data.dims = height * width * data.channels;
  return data;
}

std::map<std::string, Tensor> by_name(Density& density) {
  std::map<std::string, Tensor> all;
  for (const auto& [name, tensor] : density.state()) all.emplace(name, tensor);
  return all;
}

// Nothing is trained here: that images of training were shifted by more than a small side is no
// matter.
std::shared_ptr<Density> of_other_size(Config config, const DataShape& data) {
  config.training.flip = false;
  config.training.shift = 0;
  return make_density(config, data);
}

// "layer cdf (LevelCdf(784))" of the tensor "cdf.below".
std::string layer_of(const std::string& tensor, const Density& density) {
  const std::size_t dot = tensor.rfind('.');
  const std::string layer = dot == std::string::npos ? "" : tensor.substr(0, dot);
  std::string kind;
  density.for_each_module([&](const std::string& name, const nn::Module& module) {
    if (name == layer) kind = module.kind();
  });
  return str("layer ", layer, " (", kind, ")");
}

}  // namespace

std::string layer_of_one_size(const Config& config, const DataShape& data, Density& density) {
  // As small as possible: what stands for each pixel may be a matrix of them.
  std::int64_t side = std::max<std::int64_t>(2, model_by_name(config.model).side_step(config));
  if (side == data.height && side == data.width) side *= 2;
  const auto small = by_name(*of_other_size(config, of_size(data, side, side)));
  for (const auto& [name, tensor] : density.state()) {
    const auto found = small.find(name);
    if (found == small.end() || found->second.shape() != tensor.shape()) {
      return layer_of(name, density);
    }
  }
  return "";
}

std::shared_ptr<Density> resized(const Config& config, const DataShape& data, Density& density,
                                 std::int64_t height, std::int64_t width) {
  const std::shared_ptr<Density> other = of_other_size(config, of_size(data, height, width));
  other->to(density.device());
  other->load_state(by_name(density));
  other->mark_initialized();
  other->eval();
  return other;
}

}  // namespace nf::flows
