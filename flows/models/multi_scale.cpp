#include "flows/models/multi_scale.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "data/setting_error.h"
#include "flows/layers/coupling.h"
#include "flows/layers/factor_out.h"
#include "flows/layers/permute.h"
#include "flows/layers/reshape.h"
#include "flows/layers/scaling.h"

namespace nf::flows {

const Names<ChannelMixing>& channel_mixings() {
  static const Names<ChannelMixing> names("mixing", {{"linear", ChannelMixing::Linear},
                                                     {"lu", ChannelMixing::Lu},
                                                     {"permute", ChannelMixing::Permute},
                                                     {"reverse", ChannelMixing::Reverse}});
  return names;
}

std::vector<Field> StepSettings::fields() {
  std::vector<Field> all = ImageFlowSettings::fields();
  all.insert(all.end(),
             {{"steps_per_level",
               "ActNorm, 1x1 convolution and coupling so often on each scale",
               &steps_per_level,
               {},
               1,
               1000},
              {"mixing", "before each coupling: a learned matrix, its LU factors, or a fixed order",
               &mixing, channel_mixings().all()}});
  return all;
}

void StepSettings::describe(nlohmann::ordered_json& json) const {
  json["steps_per_level"] = steps_per_level;
  json["mixing"] = mixing;
}

Shape image_of(const DataShape& data, const std::string& model, const std::string& instead) {
  data::check_setting(data.channels > 0, "model", "[", model, "] is for images; rows of ",
                      data.dims, " numbers have no height and width (", instead, ")");
  return {data.height, data.width, data.channels};
}

std::int64_t levels_of(std::int64_t asked, const DataShape& data) {
  constexpr std::int64_t kMost = 3;
  std::int64_t possible = 0;
  for (std::int64_t h = data.height, w = data.width; h > 0 && h % 2 == 0 && w % 2 == 0;
       ++possible) {
    h /= 2;
    w /= 2;
  }
  data::check_setting(possible > 0, "levels", "[levels] images of ", data.height, " x ", data.width,
                      " pixels have no halves; give them even sides, as with --images resize:",
                      std::max<std::int64_t>(2, data.width / 2 * 2), "x",
                      std::max<std::int64_t>(2, data.height / 2 * 2));
  data::check_setting(asked <= possible, "levels", "[levels] images of ", data.height, " x ",
                      data.width, " can be halved ", possible, " times; give 1 to so many levels");
  return asked > 0 ? asked : std::min(possible, kMost);
}

std::shared_ptr<Transform> mixing_of(ChannelMixing kind, std::int64_t channels, Generator& gen) {
  switch (kind) {
    case ChannelMixing::Linear:
      return std::make_shared<InvertibleLinear>(channels, gen);
    case ChannelMixing::Lu:
      return std::make_shared<InvertibleLu>(channels, gen);
    case ChannelMixing::Permute:
      return Permute::random(channels, gen);
    case ChannelMixing::Reverse:
      break;
  }
  return Permute::reverse(channels);
}

double mixing_parameters(ChannelMixing kind, double channels) {
  if (kind == ChannelMixing::Linear) return channels * channels;
  return kind == ChannelMixing::Lu ? 2 * channels * channels + channels : 0;
}

namespace {

// Of one channel there is nothing to mix.
void add_step(const MultiScale& frame, std::int64_t level, const std::string& name,
              const Partition& partition, Generator& weights, Compose& flow) {
  const std::int64_t channels = partition.dims();
  flow.add(name + ".actnorm", std::make_shared<ActNorm>(channels));
  if (channels > 1) flow.add(name + ".mixing", mixing_of(frame.mixing, channels, weights));
  const auto map = frame.map();
  const auto net = frame.net(partition.passive() + frame.context,
                             partition.active() * map->parameters_per_dim(), level);
  flow.add(name + ".coupling", std::make_shared<Coupling>(partition, map, net));
}

std::shared_ptr<Compose> scale_of(const MultiScale& frame, std::int64_t level, const Shape& image,
                                  Generator& weights) {
  auto flow = std::make_shared<Compose>();
  for (std::int64_t i = 0; i < frame.boards; ++i) {
    const Partition board = Partition::checkerboard(image.dim(2), i % 2 == 1);
    add_step(frame, level, str("boards.", i), board, weights, *flow);
  }
  flow->add("squeeze", std::make_shared<Squeeze>());
  const Shape small = {image.dim(0) / 2, image.dim(1) / 2, 4 * image.dim(2)};
  const std::int64_t channels = small.dim(2);
  for (std::int64_t i = 0; i < frame.steps[level]; ++i) {
    add_step(frame, level, str("steps.", i), Partition::halves(channels), weights, *flow);
  }
  if (level + 1 < std::ssize(frame.steps)) {
    const std::int64_t stays = channels - channels / 2;
    const auto rest = scale_of(frame, level + 1, {small.dim(0), small.dim(1), stays}, weights);
    const auto map = frame.prior_map();
    const auto prior =
        frame.prior(stays + frame.context, channels / 2 * map->parameters_per_dim(), level);
    flow->add("factor_out", std::make_shared<FactorOut>(small, rest, map, prior));
    return flow;
  }
  if (const auto top = frame.top(channels)) flow->add("top", top);
  flow->add("row", std::make_shared<Flatten>(small));
  return flow;
}

}  // namespace

std::shared_ptr<Compose> multi_scale(const MultiScale& frame, const Shape& image,
                                     Generator& weights) {
  return scale_of(frame, 0, image, weights);
}

double multi_scale_parameters(const MultiScale& frame, std::int64_t image_channels, int per_dim,
                              const CountNet& net, const CountNet& prior,
                              const std::function<double(double channels)>& top) {
  const auto context = static_cast<double>(frame.context);
  auto channels = static_cast<double>(image_channels);
  double count = 0;
  // A step that shows `shown` of the channels to its network, and changes as many.
  const auto step_of = [&](double shown, std::int64_t level) {
    double step = 2 * channels + net(shown + context, per_dim * shown, level);
    if (channels < 2) return step;
    return step + mixing_parameters(frame.mixing, channels);
  };
  for (std::int64_t level = 0; level < std::ssize(frame.steps); ++level) {
    count += static_cast<double>(frame.boards) * step_of(channels, level);
    channels *= 4;
    count += static_cast<double>(frame.steps[level]) * step_of(channels / 2, level);
    const bool last = level + 1 == std::ssize(frame.steps);
    count += last ? top(channels) : prior(channels / 2 + context, channels, level);
    channels /= 2;
  }
  return count;
}

}  // namespace nf::flows
