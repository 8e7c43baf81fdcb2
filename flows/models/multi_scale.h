// The frame of glow and image-plus: on each scale a squeeze, steps of ActNorm, mixing of channels
// and coupling, and half the channels that leave. Source: Kingma, Dhariwal, "Glow" (2018),
// figure 2.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "flows/compose.h"
#include "flows/maps/map.h"
#include "flows/models/image_flow.h"
#include "nn/layers/linear.h"
#include "tensor/names.h"

namespace nf::flows {

/// What mixes the channels of images, or the dimensions of rows, between layers: a learned matrix,
/// one kept as LU factors, or a fixed order.
enum class ChannelMixing { Linear, Lu, Permute, Reverse };
const Names<ChannelMixing>& channel_mixings();
/// That layer; what is random is drawn from `gen`.
std::shared_ptr<Transform> mixing_of(ChannelMixing kind, std::int64_t channels, Generator& gen);
/// How many parameters it has.
double mixing_parameters(ChannelMixing kind, double channels);

/// A base of the settings of models in this frame.
struct StepSettings : ImageFlowSettings {
  std::int64_t steps_per_level = 8;
  std::string mixing = "linear";

  std::vector<Field> fields();
  void describe(nlohmann::ordered_json& json) const;  ///< as Model::described
};

/// (H, W, C) of the data. Throws data::SettingError for `model` where they are no images; `instead`
/// says what takes them.
Shape image_of(const DataShape& data, const std::string& model,
               const std::string& instead = "nice takes them, realnvp-2d too");
/// Scales: `asked`, or with 0 as many as the sides can be halved, at most 3. Throws
/// data::SettingError where a side cannot be halved so often.
std::int64_t levels_of(std::int64_t asked, const DataShape& data);

/// A network from images of `in` channels to images of `out` channels, on a scale (0: the finest).
using MakeNet = std::function<std::shared_ptr<nn::Layer>(std::int64_t in, std::int64_t out,
                                                         std::int64_t level)>;

struct MultiScale {
  std::vector<std::int64_t> steps;  ///< on each scale
  std::int64_t boards = 0;          ///< couplings on checkerboards before each squeeze
  ChannelMixing mixing = ChannelMixing::Linear;
  std::function<std::shared_ptr<ElementwiseMap>()> map;        ///< of a coupling
  MakeNet net;                                                 ///< its conditioner
  std::function<std::shared_ptr<ElementwiseMap>()> prior_map;  ///< of channels that leave
  MakeNet prior;
  /// The last layer for so many channels; none gives nothing.
  std::function<std::shared_ptr<Transform>(std::int64_t channels)> top;
  std::int64_t context = 0;  ///< channels that conditioners get beside the image's
};

/// Images (H, W, C) to rows (FactorOut says their order). What is random is drawn from `weights`.
std::shared_ptr<Compose> multi_scale(const MultiScale& frame, const Shape& image,
                                     Generator& weights);

/// Parameters of the frame, where `net_parameters` and `prior_parameters` count those of the
/// networks, by (in, out, level), and `top` those of the last layer.
using CountNet = std::function<double(double in, double out, std::int64_t level)>;
double multi_scale_parameters(const MultiScale& frame, std::int64_t channels, int per_dim,
                              const CountNet& net, const CountNet& prior,
                              const std::function<double(double channels)>& top);

}  // namespace nf::flows
