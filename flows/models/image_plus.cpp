// image-plus: our own flow for images, the one to take without a GPU. The frame of glow with few
// steps, couplings on checkerboards before each squeeze, mixtures of logistics, gated residual
// networks, and noise that a flow draws (chapter 11 of the book says why).
#include <algorithm>
#include <nlohmann/json.hpp>

#include "data/setting_error.h"
#include "flows/layers/elementwise.h"
#include "flows/maps/affine.h"
#include "flows/maps/mixture.h"
#include "flows/maps/spline.h"
#include "flows/models/idle.h"
#include "flows/models/image_flow.h"
#include "flows/models/multi_scale.h"
#include "nn/nets/dense_net.h"
#include "nn/nets/glow_net.h"
#include "nn/nets/residual_net.h"

namespace nf::flows {

namespace {

struct ImagePlusSettings : SettingsOf<ImagePlusSettings>, StepSettings {
  std::int64_t boards = 0;
  std::string coupling = "mixture";
  std::int64_t components = 4;
  double scale_limit = 2;
  std::string net = "gated";
  std::int64_t blocks = 2;
  std::int64_t growth = 32;
  std::string activation = "elu";

  std::vector<Field> fields() override;
};

std::vector<Field> ImagePlusSettings::fields() {
  std::vector<Field> all = {
      {"boards", "couplings on checkerboards before each squeeze", &boards, {}, 0, 1000},
      {"coupling", "what a coupling does", &coupling, {"affine", "mixture", "spline"}},
      {"components", "logistics of a mixture, bins of a spline", &components, {}, 1, 256},
      {"scale_limit", "bound of the log scales of affine maps", &scale_limit, {}, 1e-3, 50},
      {"net",
       "network of a coupling: residual blocks, with a gate, with a gate and layer norm; or "
       "densely connected layers",
       &net,
       {"residual", "gated", "normalised", "dense"}},
      {"blocks", "residual blocks or dense layers of a network", &blocks, {}, 0, 1000},
      {"growth", "channels that a dense layer adds", &growth, {}, 1, 1e5},
      {"activation", "of the networks", &activation, nn::activation_names()}};
  const std::vector<Field> more = StepSettings::fields();
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

std::shared_ptr<ElementwiseMap> map_of(const ImagePlusSettings& c) {
  if (c.coupling == "affine") return affine_map(c.scale_limit);
  const int parts = static_cast<int>(c.components);
  return c.coupling == "spline" ? spline_map(parts) : mixture_map(parts, c.scale_limit);
}

nn::DenseNetOptions dense_of(const ImagePlusSettings& c, std::int64_t in, std::int64_t out) {
  return {.in = in,
          .out = out,
          .width = c.width,
          .growth = c.growth,
          .layers = static_cast<int>(c.blocks),
          .activation = nn::activation_by_name(c.activation)};
}

nn::ResidualNetOptions residual_of(const ImagePlusSettings& c, std::int64_t in, std::int64_t out) {
  return {.in = in,
          .out = out,
          .width = c.width,
          .blocks = static_cast<int>(c.blocks),
          .gated = c.net != "residual",
          .normalised = c.net == "normalised",
          .activation = nn::activation_by_name(c.activation)};
}

std::shared_ptr<nn::Layer> net_of(const ImagePlusSettings& c, std::int64_t in, std::int64_t out,
                                  Generator& weights) {
  if (c.net == "dense") return std::make_shared<nn::DenseNet>(dense_of(c, in, out), weights);
  return std::make_shared<nn::ResidualNet>(residual_of(c, in, out), weights);
}

// Log deviations of latents lie within +-kPriorLimit, so that an image unlike all others has a
// likelihood that is a number.
constexpr double kPriorLimit = 5;

/// `weights` outlives the frame.
MultiScale frame_of(const ImagePlusSettings& settings, const DataShape& data, Generator& weights) {
  const auto levels = static_cast<std::size_t>(levels_of(settings.levels, data));
  const std::int64_t context = context_dims(settings, data);
  const bool given = context > 0 && settings.conditional_prior;
  return {.steps = std::vector<std::int64_t>(levels, settings.steps_per_level),
          .boards = settings.boards,
          .mixing = channel_mixings().at(settings.mixing),
          .map = [settings] { return map_of(settings); },
          .net = [&weights, settings](std::int64_t in, std::int64_t out,
                                      std::int64_t) { return net_of(settings, in, out, weights); },
          .prior_map = [] { return gaussian_map(kPriorLimit); },
          .prior = [&weights](std::int64_t in, std::int64_t out,
                              std::int64_t) { return nn::zero_conv(in, out, weights); },
          .top =
              [&weights, context, given](std::int64_t channels) {
                const std::int64_t inputs = given ? context : 2 * channels;
                return std::make_shared<LearnedPrior>(inputs, gaussian_map(kPriorLimit),
                                                      nn::zero_conv(inputs, 2 * channels, weights),
                                                      given);
              },
          .context = context};
}

class ImagePlus : public ImageFlow {
 public:
  std::string name() const override { return "image-plus"; }
  std::string help() const override { return "our own for images, best for a processor's hour"; }
  Config preset(const DataShape& data, const std::string& recipe) const override;
  void check(const Config& config, const DataShape& data) const override;
  std::string why_idle(const Config& config, const DataShape& data,
                       const std::string& key) const override;

 protected:
  ImageFlowSettings& shared(Config& config) const override {
    return config.of<ImagePlusSettings>();
  }
  std::string preprocess_of_levels() const override { return "logit"; }
  std::shared_ptr<Compose> scales(const Config& config, const DataShape& data,
                                  Generator& weights) const override {
    return multi_scale(frame_of(config.of<ImagePlusSettings>(), data, weights),
                       image_of(data, name()), weights);
  }
  double scales_parameters(const Config& config, const DataShape& data) const override;
  void describe(const Config& config, nlohmann::ordered_json& json) const override;
};

Config ImagePlus::preset(const DataShape& data, const std::string&) const {
  Config config(name(), std::make_unique<ImagePlusSettings>());
  ImagePlusSettings& model = config.of<ImagePlusSettings>();
  model.boards = 3;
  model.steps_per_level = 3;
  model.width = 32;
  model.dequantize = "variational";
  if (data.channels > 1) model.alpha = 0.05;  // photographs have few black or white pixels
  config.training.epochs = 20;
  config.training.budget = 60;  // on a processor, unless an end is asked for
  config.training.batch_size = 32;
  config.training.optimizer = "adamax";
  config.training.lr = 2e-3;
  config.training.beta2 = 0.999;
  config.training.eps = 1e-8;
  config.training.schedule = "cosine";
  config.training.warmup = 200;
  config.training.clip = 100;
  config.training.ema = 0.999;
  return config;
}

void ImagePlus::check(const Config& config, const DataShape& data) const {
  ImageFlow::check(config, data);
  const ImagePlusSettings& c = config.of<ImagePlusSettings>();
  data::check_setting(c.coupling != "spline" || c.components >= 2, "components",
                      "[components] a spline needs 2 bins or more, got ", c.components);
}

std::string ImagePlus::why_idle(const Config& full, const DataShape& data,
                                const std::string& key) const {
  const ImagePlusSettings& c = full.of<ImagePlusSettings>();
  const std::string why = ImageFlow::why_idle(full, data, key);
  if (!why.empty()) return why;
  return first_idle({{{"components"}, c.coupling == "affine", "coupling = affine has none"},
                     {{"scale_limit"}, c.coupling == "spline", "coupling = spline has no scales"},
                     {{"growth"}, c.net != "dense", str("net = ", c.net, " does not grow")}},
                    key);
}

double ImagePlus::scales_parameters(const Config& full, const DataShape& data) const {
  const ImagePlusSettings& c = full.of<ImagePlusSettings>();
  Generator none(0);
  const MultiScale frame = frame_of(c, data, none);
  // 3x3 with one more channel for the edge, bias and scale of each output.
  const auto edged = [](double in, double out, std::int64_t = 0) {
    return 9 * (in + 1) * out + 2 * out;
  };
  const auto net = [&](double in, double out, std::int64_t) {
    const auto inputs = static_cast<std::int64_t>(in), outputs = static_cast<std::int64_t>(out);
    return c.net == "dense" ? nn::DenseNet::parameters_of(dense_of(c, inputs, outputs))
                            : nn::ResidualNet::parameters_of(residual_of(c, inputs, outputs));
  };
  const auto top = [&](double channels) {
    const bool given = frame.context > 0 && c.conditional_prior;
    return edged(given ? static_cast<double>(frame.context) : 2 * channels, 2 * channels);
  };
  return multi_scale_parameters(frame, data.channels, map_of(c)->parameters_per_dim(), net, edged,
                                top);
}

void ImagePlus::describe(const Config& full, nlohmann::ordered_json& json) const {
  const ImagePlusSettings& c = full.of<ImagePlusSettings>();
  c.StepSettings::describe(json);
  json["boards"] = c.boards;
  json["coupling"] = c.coupling;
  json["components"] = c.components;
  json["scale_limit"] = c.scale_limit;
  json["blocks"] = c.blocks;
  if (c.net == "dense") json["growth"] = c.growth;
  json["net"] = c.net;
  json["activation"] = c.activation;
}

}  // namespace

std::shared_ptr<const Model> image_plus_model() { return std::make_shared<ImagePlus>(); }

}  // namespace nf::flows
