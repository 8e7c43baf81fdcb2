// glow: steps of ActNorm, 1x1 convolution and coupling, on several scales.
// Source: Kingma, Dhariwal, "Glow: generative flow with invertible 1x1 convolutions" (2018).
// "code" is the authors' program, github.com/openai/glow, model.py and train.py.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "flows/layers/elementwise.h"
#include "flows/maps/affine.h"
#include "flows/models/idle.h"
#include "flows/models/image_flow.h"

#include "flows/models/kinds.h"
#include "flows/models/multi_scale.h"
#include "nn/nets/glow_net.h"

namespace nf::flows {

namespace {

struct GlowSettings : SettingsOf<GlowSettings>, StepSettings {
  std::string recipe = "paper";
  std::string coupling = "affine";
  bool learn_top = true;

  std::vector<Field> fields() override;
};

std::vector<Field> GlowSettings::fields() {
  std::vector<Field> all = {
      {"recipe", "the paper's, or that of its authors' program", &recipe, recipe_names().all()},
      {"coupling", "what a coupling does", &coupling, {"additive", "affine"}},
      {"learn_top", "location and scale of the coarsest latents are learned", &learn_top}};
  const std::vector<Field> more = StepSettings::fields();
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

std::vector<std::int64_t> steps_of(const GlowSettings& settings, const DataShape& data) {
  return std::vector<std::int64_t>(static_cast<std::size_t>(levels_of(settings.levels, data)),
                                   settings.steps_per_level);
}

// The last layer's network takes what is given, or as many zeros as it makes parameters.
std::int64_t top_inputs(const GlowSettings& settings, std::int64_t context, std::int64_t channels) {
  if (context > 0 && settings.conditional_prior) return context;
  return settings.learn_top ? 2 * channels : 0;
}

std::shared_ptr<Transform> top_of(const GlowSettings& settings, std::int64_t context,
                                  std::int64_t channels, Generator& weights) {
  const std::int64_t inputs = top_inputs(settings, context, channels);
  if (inputs == 0) return nullptr;
  const bool given = context > 0 && settings.conditional_prior;
  return std::make_shared<LearnedPrior>(inputs, gaussian_map(),
                                        nn::zero_conv(inputs, 2 * channels, weights), given);
}

/// `weights` outlives the frame.
MultiScale frame_of(const GlowSettings& settings, const DataShape& data, Generator& weights) {
  const std::int64_t context = context_dims(settings, data);
  const bool code = recipe_names().at(settings.recipe) == Recipe::Code;
  const auto as_recipe = [code](std::shared_ptr<ElementwiseMap> map) {
    return code ? interleaved(std::move(map)) : map;
  };
  const bool additive = settings.coupling == "additive";
  return {
      .steps = steps_of(settings, data),
      .mixing = channel_mixings().at(settings.mixing),
      .map = [=] { return additive ? additive_map() : as_recipe(sigmoid_map()); },
      .net =
          [&weights, width = settings.width](std::int64_t in, std::int64_t out, std::int64_t) {
            return nn::glow_net({.in = in, .out = out, .width = width}, weights);
          },
      .prior_map = [=] { return as_recipe(gaussian_map()); },
      .prior = [&weights](std::int64_t in, std::int64_t out,
                          std::int64_t) { return nn::zero_conv(in, out, weights); },
      .top = [&weights, settings, context](
                 std::int64_t channels) { return top_of(settings, context, channels, weights); },
      .context = context};
}

class Glow : public ImageFlow {
 public:
  std::string name() const override { return "glow"; }
  std::string help() const override { return "images, by 1x1 convolutions (Kingma et al. 2018)"; }
  std::vector<std::string> recipes() const override { return recipe_names().all(); }
  Config preset(const DataShape& data, const std::string& recipe) const override;
  std::string why_idle(const Config& config, const DataShape& data,
                       const std::string& key) const override;

 protected:
  ImageFlowSettings& shared(Config& config) const override { return config.of<GlowSettings>(); }
  std::string preprocess_of_levels() const override { return "symmetric"; }
  std::shared_ptr<Compose> scales(const Config& config, const DataShape& data,
                                  Generator& weights) const override {
    return multi_scale(frame_of(config.of<GlowSettings>(), data, weights), image_of(data, name()),
                       weights);
  }
  double scales_parameters(const Config& config, const DataShape& data) const override;
  void describe(const Config& config, nlohmann::ordered_json& json) const override;
};

// The paper has no MNIST: that preset is ours, and so is what a processor can do in an hour. That
// CIFAR's images are shifted by a tenth is in the program alone, with which the paper's figures
// were made.
Config Glow::preset(const DataShape& data, const std::string& recipe) const {
  Config config(name(), std::make_unique<GlowSettings>());
  GlowSettings& model = config.of<GlowSettings>();
  model.recipe = recipe;
  if (data.channels != 1) {
    const bool imagenet = data.family.starts_with("imagenet");
    model.steps_per_level = imagenet ? 48 : 32;
    model.width = 512;
    if (imagenet && data.height >= 64) model.levels = 4;
  }
  if (data.family.starts_with("cifar-")) config.training.shift = data.width / 10;
  config.training.epochs = 100;
  config.training.batch_size = 64;
  config.training.optimizer = "adamax";
  config.training.beta2 = 0.999;
  config.training.eps = 1e-8;
  config.training.warmup = 1000;
  config.output.temperature = 0.7;
  return config;
}

std::string Glow::why_idle(const Config& full, const DataShape& data,
                           const std::string& key) const {
  const GlowSettings& c = full.of<GlowSettings>();
  const std::string why = ImageFlow::why_idle(full, data, key);
  if (!why.empty()) return why;
  return first_idle({{{"learn_top"},
                      !data.given.empty() && c.conditional_prior,
                      "conditional_prior learns location and scale from what is given"}},
                    key);
}

double Glow::scales_parameters(const Config& full, const DataShape& data) const {
  const GlowSettings& c = full.of<GlowSettings>();
  Generator none(0);
  const MultiScale frame = frame_of(c, data, none);
  const auto width = static_cast<double>(c.width);
  const auto zero = [](double in, double out, std::int64_t = 0) {
    return 9 * (in + 1) * out + 2 * out;
  };
  const auto net = [&](double in, double out, std::int64_t) {
    return 9 * (in + 1) * width + width * width + 4 * width + zero(width, out);
  };
  const auto top = [&](double channels) {
    const auto inputs =
        static_cast<double>(top_inputs(c, frame.context, static_cast<std::int64_t>(channels)));
    return inputs > 0 ? zero(inputs, 2 * channels) : 0;
  };
  const int per_dim = c.coupling == "additive" ? 1 : 2;
  return multi_scale_parameters(frame, data.channels, per_dim, net, zero, top);
}

void Glow::describe(const Config& full, nlohmann::ordered_json& json) const {
  const GlowSettings& c = full.of<GlowSettings>();
  c.StepSettings::describe(json);
  json["recipe"] = c.recipe;
  json["coupling"] = c.coupling;
  json["learn_top"] = c.learn_top;
}

}  // namespace

std::shared_ptr<const Model> glow_model() { return std::make_shared<Glow>(); }

}  // namespace nf::flows
