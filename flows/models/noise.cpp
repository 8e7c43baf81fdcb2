#include "flows/models/noise.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "flows/compose.h"
#include "flows/layers/coupling.h"
#include "flows/layers/variational_dequantize.h"
#include "flows/maps/affine.h"
#include "flows/models/idle.h"
#include "nn/nets/residual_net.h"

namespace nf::flows {

std::vector<Field> Noise::fields() {
  return {
      {"dequantize",
       "noise that levels become reals by; variational: a flow draws it, which sees the image (Ho "
       "et al. 2019)",
       &dequantize,
       {"uniform", "variational"}},
      {"dequantize_steps", "couplings of the flow that draws noise", &dequantize_steps, {}, 1, 100},
      {"dequantize_width", "channels within their networks", &dequantize_width, {}, 1, 1e5},
  };
}

bool has_noise_flow(const Noise& settings, const DataShape& data) {
  return data.discrete && settings.dequantize == "variational";
}

namespace {

constexpr int kBlocks = 2;

// A network sees half of the noise, and the image beside all of it.
nn::ResidualNetOptions net_of(const Noise& settings, const DataShape& data) {
  return {.in = 3 * data.channels,
          .out = 2 * data.channels,
          .width = settings.dequantize_width,
          .blocks = kBlocks,
          .gated = true,
          .activation = nn::activation_by_name("elu")};
}

// f32 has 2^16 numbers between 255 and 256. Noise of which much is drawn within one of them, as it
// can be near the ends, would be that number, where a density may be as high as it likes: no bound
// any more. So the log scales of a pixel, which every second coupling changes, add up to kScale at
// most, and its shifts to kShift: a number then gets a tenth of all draws at most.
constexpr double kScale = 1, kShift = 5;

std::shared_ptr<ElementwiseMap> map_of(const Noise& settings) {
  const auto changes = static_cast<double>((settings.dequantize_steps + 1) / 2);
  double grown = 0;  // the sum of shifts of 1, each scaled as much as those behind it can
  for (double i = 0; i < changes; ++i) grown += std::exp(i * kScale / changes);
  return bounded_affine_map(kScale / changes, kShift / grown);
}

}  // namespace

std::shared_ptr<Transform> variational_dequantize(const Noise& settings, const DataShape& data,
                                                  const Generator& noise, Generator& weights,
                                                  bool recompute) {
  auto flow = std::make_shared<Compose>();
  for (std::int64_t i = 0; i < settings.dequantize_steps; ++i) {
    flow->add(str("couplings.", i),
              std::make_shared<Coupling>(
                  Partition::checkerboard(data.channels, i % 2 == 1), map_of(settings),
                  std::make_shared<nn::ResidualNet>(net_of(settings, data), weights)));
  }
  flow->recompute(recompute);
  return std::make_shared<VariationalDequantize>(
      noise, flow, Shape{data.height, data.width, data.channels}, data.levels);
}

double noise_parameters(const Noise& settings, const DataShape& data) {
  if (!has_noise_flow(settings, data)) return 0;
  return static_cast<double>(settings.dequantize_steps) *
         nn::ResidualNet::parameters_of(net_of(settings, data));
}

void describe_noise(const Noise& settings, const DataShape& data, nlohmann::ordered_json& json) {
  if (!data.discrete) return;
  json["dequantize"] = settings.dequantize;
  if (!has_noise_flow(settings, data)) return;
  json["dequantize_steps"] = settings.dequantize_steps;
  json["dequantize_width"] = settings.dequantize_width;
}

std::string why_idle(const Noise& settings, const DataShape& data, const std::string& key) {
  return first_idle({{{"dequantize", "dequantize_steps", "dequantize_width"},
                      !data.discrete,
                      "the data are no levels, and get no noise"},
                     {{"dequantize_steps", "dequantize_width"},
                      !has_noise_flow(settings, data),
                      str("dequantize = ", settings.dequantize, " has no flow")}},
                    key);
}

}  // namespace nf::flows
