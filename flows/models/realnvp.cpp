// realnvp: couplings of checkerboards and of channels, on several scales.
// Source: Dinh, Sohl-Dickstein, Bengio, "Density estimation using Real NVP" (2017). "code" is the
// authors' program, github.com/tensorflow/models, research/real_nvp.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "flows/layers/batch_norm.h"
#include "flows/layers/coupling.h"
#include "flows/layers/elementwise.h"
#include "flows/layers/factor_out.h"
#include "flows/layers/reshape.h"
#include "flows/layers/scaling.h"
#include "flows/maps/affine.h"
#include "flows/models/idle.h"
#include "flows/models/image_flow.h"
#include "flows/models/kinds.h"
#include "flows/models/multi_scale.h"
#include "nn/nets/glow_net.h"
#include "nn/nets/realnvp_net.h"

namespace nf::flows {

namespace {

std::vector<std::string> all_recipes() { return {"nf", "paper", "code"}; }

struct RealNvpSettings : SettingsOf<RealNvpSettings>, ImageFlowSettings {
  std::string recipe = "nf";
  std::string norm = "act";
  double norm_lag = 0;
  bool masked = false;
  std::int64_t blocks = 8;

  std::vector<Field> fields() override;
};

std::vector<Field> RealNvpSettings::fields() {
  std::vector<Field> all = {
      {"recipe",
       "nf: the paper's sizes; paper, and code, which is the same here: its batch norm, masks and "
       "weight decay, too",
       &recipe, all_recipes()},
      {"norm",
       "act: ActNorm and convolutions with learned scales; batch: batch norm, weight norm",
       &norm,
       {"act", "batch"}},
      {"norm_lag",
       "batch norm in training by running averages, this much of the old ones and the rest of the "
       "batch's (0: the batch's alone)",
       &norm_lag,
       {},
       0,
       0.999},
      {"masked", "networks see a checkerboard as a whole map with zeros, at twice the work",
       &masked},
      {"blocks", "residual blocks of a coupling's network", &blocks, {}, 0, 1000}};
  const std::vector<Field> more = ImageFlowSettings::fields();
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

constexpr int kBoards = 3, kBoardsAtTheEnd = 4, kOfChannels = 3;

/// One coupling: what its network is, and what it does.
struct Step {
  std::string name;
  Partition partition;
  nn::RealNvpNetOptions net;
};

/// One scale, of images (H, W, C).
struct ScalePlan {
  Shape image;
  std::vector<Step> boards, of_channels;  // these on squeezed images; none at the end
  bool last;
};

std::vector<ScalePlan> plan_of(const RealNvpSettings& c, const DataShape& data) {
  const std::int64_t context = context_dims(c, data), levels = levels_of(c.levels, data);
  const auto net = [&](std::int64_t channels, std::int64_t width, std::optional<int> board) {
    return nn::RealNvpNetOptions{.in = channels,
                                 .context = context,
                                 .out = 2 * channels,
                                 .width = width,
                                 .blocks = static_cast<int>(c.blocks),
                                 .batch_norm = c.norm == "batch",
                                 .lag = c.norm_lag,
                                 .board = board};
  };
  std::vector<ScalePlan> scales;
  Shape image = {data.height, data.width, data.channels};
  std::int64_t width = c.width;
  for (std::int64_t level = 0; level < levels; ++level, width *= 2) {
    const std::int64_t channels = image.dim(2);
    ScalePlan scale{.image = image, .boards = {}, .of_channels = {}, .last = level + 1 == levels};
    for (int i = 0; i < (scale.last ? kBoardsAtTheEnd : kBoards); ++i) {
      const bool swap = i % 2 == 1;
      const auto board = c.masked ? std::optional<int>(swap ? 1 : 0) : std::nullopt;
      scale.boards.push_back({str("boards.", i), Partition::checkerboard(channels, swap, c.masked),
                              net(channels, width, board)});
    }
    for (int i = 0; i < kOfChannels && !scale.last; ++i) {
      scale.of_channels.push_back({str("channels.", i), Partition::halves(4 * channels, i % 2 == 1),
                                   net(2 * channels, 2 * width, std::nullopt)});
    }
    scales.push_back(scale);
    image = {image.dim(0) / 2, image.dim(1) / 2, 2 * channels};
  }
  return scales;
}

// The scale of a coupling's logarithm begins as the paper's code has it: 0 for a checkerboard,
// which is then weighed down too. With networks that begin as zeros it would stay there.
std::shared_ptr<ElementwiseMap> map_of(const RealNvpSettings& c, bool board) {
  const bool from_zero = board && c.norm == "batch";
  return tanh_map(from_zero ? 0 : 1, from_zero);
}

void add_step(const RealNvpSettings& c, const Step& step, bool board, Generator& weights,
              Compose& flow) {
  flow.add(step.name + ".coupling",
           std::make_shared<Coupling>(step.partition, map_of(c, board),
                                      std::make_shared<nn::RealNvpNet>(step.net, weights)));
  if (c.norm == "batch") {
    flow.add(step.name + ".norm", std::make_shared<BatchNorm>(step.partition, c.norm_lag));
  } else {
    flow.add(step.name + ".norm", std::make_shared<ActNorm>(step.partition.dims()));
  }
}

std::shared_ptr<Compose> scale_of(const RealNvpSettings& c, const std::vector<ScalePlan>& scales,
                                  std::size_t level, std::int64_t context, Generator& weights) {
  const ScalePlan& scale = scales[level];
  const Shape& image = scale.image;
  auto flow = std::make_shared<Compose>();
  for (const Step& step : scale.boards) add_step(c, step, true, weights, *flow);
  if (scale.last) {
    if (context > 0 && c.conditional_prior) {
      const auto net = nn::zero_conv(context, 2 * image.dim(2), weights);
      flow->add("top", std::make_shared<LearnedPrior>(context, gaussian_map(), net, true));
    }
    flow->add("row", std::make_shared<Flatten>(image));
    return flow;
  }
  flow->add("squeeze", std::make_shared<Squeeze>());
  for (const Step& step : scale.of_channels) add_step(c, step, false, weights, *flow);
  flow->add("unsqueeze", std::make_shared<Unsqueeze>());
  flow->add("by_colour", std::make_shared<Squeeze>(SqueezeOrder::ByColour));
  const Shape small = {image.dim(0) / 2, image.dim(1) / 2, 4 * image.dim(2)};
  const auto rest = scale_of(c, scales, level + 1, context, weights);
  flow->add("factor_out", std::make_shared<FactorOut>(small, rest));
  return flow;
}

class RealNvp : public ImageFlow {
 public:
  std::string name() const override { return "realnvp"; }
  std::string help() const override { return "images, by checkerboards (Dinh et al. 2017)"; }
  std::vector<std::string> recipes() const override { return all_recipes(); }
  std::string sizes() const override { return "width, blocks, levels"; }
  Config preset(const DataShape& data, const std::string& recipe) const override;
  std::string why_idle(const Config& config, const DataShape& data,
                       const std::string& key) const override;

 protected:
  ImageFlowSettings& shared(Config& config) const override { return config.of<RealNvpSettings>(); }
  std::string preprocess_of_levels() const override { return "logit"; }
  std::shared_ptr<Compose> scales(const Config& config, const DataShape& data,
                                  Generator& weights) const override {
    const RealNvpSettings& c = config.of<RealNvpSettings>();
    return scale_of(c, plan_of(c, data), 0, context_dims(c, data), weights);
  }
  double scales_parameters(const Config& config, const DataShape& data) const override;
  void describe(const Config& config, nlohmann::ordered_json& json) const override;
};

// The paper has no grey images: their presets are ours, of a size for a processor. Its flips are of
// CIFAR, CelebA and LSUN; which pictures of a folder may be mirrored, only their owner knows.
Config RealNvp::preset(const DataShape& data, const std::string& recipe) const {
  Config config(name(), std::make_unique<RealNvpSettings>());
  RealNvpSettings& model = config.of<RealNvpSettings>();
  model.recipe = recipe;
  const auto halves = [&](std::int64_t size) {
    return data.height % size == 0 && data.width % size == 0;
  };
  // CIFAR has 2 scales, and small ImageNet of the same size 4. Fewer than 5 do not see a whole
  // face.
  const bool large = data.height >= 64 && halves(32);
  if (large || data.family == "imagenet-32") {
    model.levels = large ? 5 : 4;
  } else {
    model.levels = data.height > 0 && halves(4) ? 2 : 0;
  }
  if (data.channels == 1) {
    model.width = large ? 16 : 32;  // the width doubles with each scale
    model.blocks = large ? 1 : 2;
  } else {
    model.alpha = 0.05;
    if (model.levels > 2) {
      model.width = 32;
      model.blocks = 4;
    }
  }
  if (recipe != "nf") {
    model.norm = "batch";
    model.masked = true;
    config.training.weight_decay = 1e-4;  // the gradient of 5e-5 g^2 is 1e-4 g
  }
  config.training.flip = data.family.starts_with("cifar-");
  config.training.epochs = 100;
  config.training.batch_size = 64;
  config.training.beta2 = 0.999;
  config.training.eps = 1e-8;
  config.training.clip = 100;
  return config;
}

std::string RealNvp::why_idle(const Config& full, const DataShape& data,
                              const std::string& key) const {
  const std::string why = ImageFlow::why_idle(full, data, key);
  if (!why.empty()) return why;
  return first_idle({{{"norm_lag"},
                      full.of<RealNvpSettings>().norm != "batch",
                      "norm = act has no statistics of batches"}},
                    key);
}

double RealNvp::scales_parameters(const Config& full, const DataShape& data) const {
  const RealNvpSettings& c = full.of<RealNvpSettings>();
  double count = 0;
  std::int64_t channels = 0;
  for (const ScalePlan& scale : plan_of(c, data)) {
    for (const std::vector<Step>* steps : {&scale.boards, &scale.of_channels}) {
      for (const Step& step : *steps) {
        count += nn::RealNvpNet::parameters_of(step.net) + 1;  // a
        if (c.norm == "act") count += 2 * static_cast<double>(step.partition.dims());
      }
    }
    channels = scale.image.dim(2);
  }
  const std::int64_t context = context_dims(c, data);
  if (context == 0 || !c.conditional_prior) return count;
  // A 3x3 convolution that is told the edge, with a bias and a scale for each output.
  return count + static_cast<double>(2 * channels * (9 * (context + 1) + 2));
}

void RealNvp::describe(const Config& full, nlohmann::ordered_json& json) const {
  const RealNvpSettings& c = full.of<RealNvpSettings>();
  json["norm"] = c.norm;
  json["masked"] = c.masked;
  json["blocks"] = c.blocks;
}

}  // namespace

std::shared_ptr<const Model> realnvp_model() { return std::make_shared<RealNvp>(); }

}  // namespace nf::flows
