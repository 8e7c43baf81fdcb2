// Noise: how the levels of models of images become reals.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "flows/models/config.h"
#include "flows/transform.h"

namespace nf::flows {

/// Settings: struct members of those of a model. They do something where the data are levels.
struct Noise {
  std::string dequantize = "uniform";
  std::int64_t dequantize_steps = 4;
  std::int64_t dequantize_width = 16;

  std::vector<Field> fields();
};

/// Whether a flow draws the noise.
bool has_noise_flow(const Noise& settings, const DataShape& data);
/// The first layer of images (N, D) of the data, where one draws: its noise from `noise`, weights
/// of its networks from `weights`. With `recompute` a step keeps no values between its couplings.
std::shared_ptr<Transform> variational_dequantize(const Noise& settings, const DataShape& data,
                                                  const Generator& noise, Generator& weights,
                                                  bool recompute);
/// How many parameters it has; 0 where there is none.
double noise_parameters(const Noise& settings, const DataShape& data);
/// What a file of weights says of it, where the data are levels (docs/weights.md).
void describe_noise(const Noise& settings, const DataShape& data, nlohmann::ordered_json& json);
/// Why `key`, one of these settings, changes nothing; empty when it does something.
std::string why_idle(const Noise& settings, const DataShape& data, const std::string& key);

}  // namespace nf::flows
