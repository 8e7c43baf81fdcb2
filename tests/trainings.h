// Small trainings, for tests of them.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "data/toy2d.h"
#include "flows/models/build.h"
#include "flows/models/coupling_flow.h"
#include "flows/models/model.h"

namespace nf::test {

using namespace nf::flows;

inline data::Dataset moons(std::int64_t train, std::int64_t valid) {
  const data::Toy2d& toy = *data::find_toy2d("moons");
  data::Dataset data;
  data.name = "moons";
  data.dims = 2;
  data.unit_scale = true;
  data.entropy = toy.entropy;
  data.train.x = data::sample_toy2d(toy, train, 1, 0);
  data.valid.x = data::sample_toy2d(toy, valid, 1, 1);
  return data;
}

/// Sets those of these settings that the model has, as "hidden_units" to 8.
inline void set_where_known(Config& config, const std::map<std::string, std::int64_t>& values) {
  for (const Field& field : config.fields()) {
    const auto found = values.find(field.key);
    if (found != values.end()) set(config, str(field.key, "=", found->second));
  }
}

/// Whether a model takes levels alone, whose exact probabilities it has.
inline bool of_levels(const std::string& model) {
  return model == "nade" || model == "pixelcnn" || model == "pixelrnn" || model == "wavenet";
}

/// Of samples of so many numbers that a model takes: rows, or where it takes images alone those of
/// dims/4 x 4 pixels; of nade bits.
inline DataShape shape_for(const std::string& model, std::int64_t dims, bool discrete) {
  DataShape shape{.dims = dims, .discrete = discrete || of_levels(model)};
  if (model == "nade") shape.levels = 2;
  if (!model_by_name(model).of_images()) return shape;
  shape.channels = 1;
  shape.height = dims / 4;
  shape.width = 4;
  return shape;
}

inline Config small(const std::string& model) {
  Config config = preset(model);
  coupling_flow(config).couplings = 4;
  coupling_flow(config).hidden_units = 16;
  coupling_flow(config).hidden_layers = 1;
  config.training.seed = 3;
  return config;
}

inline std::shared_ptr<FlowDensity> build(const Config& config, const data::Dataset& data) {
  return make_flow(config,
                   {.dims = data.dims, .discrete = data.discrete, .unit_scale = data.unit_scale});
}

inline std::vector<float> weights(Density& density) {
  std::vector<float> all;
  for (auto& [name, p] : density.parameters()) {
    for (float v : p->value().to_vector<float>()) all.push_back(v);
  }
  return all;
}

}  // namespace nf::test
