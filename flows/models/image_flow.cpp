#include "flows/models/image_flow.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "data/dataset.h"
#include "flows/flow_density.h"
#include "flows/layers/reshape.h"
#include "flows/models/idle.h"
#include "flows/models/multi_scale.h"

namespace nf::flows {

std::vector<Field> ImageFlowSettings::fields() {
  std::vector<Field> all = {
      {"levels",
       "scales, each of half the side (0: as many as fit, at most 3)",
       &levels,
       {},
       0,
       20},
      {"width", "channels within the couplings' networks", &width, {}, 1, 1e5},
      {"memory",
       "of a step: tape keeps what layers compute; invertible recovers it from the output, in "
       "memory that does not grow with depth",
       &memory,
       {"tape", "invertible"}},
  };
  for (const std::vector<Field>& more :
       {Preprocessing::fields(), Noise::fields(), Conditioning::fields()}) {
    all.insert(all.end(), more.begin(), more.end());
  }
  return all;
}

Config ImageFlow::resolved(const Config& config, const DataShape& data) const {
  Config full = config;
  ImageFlowSettings& settings = shared(full);
  if (data.channels > 0) settings.levels = levels_of(settings.levels, data);
  std::string& kind = settings.preprocess;
  kind = kind == "auto" && data.discrete ? preprocess_of_levels() : resolved_preprocess(kind, data);
  return full;
}

void ImageFlow::check(const Config& config, const DataShape& data) const {
  image_of(data, name());
  levels_of(shared(config).levels, data);
  check_preprocessing(shared(config), config.data, data);
}

std::string ImageFlow::why_idle(const Config& full, const DataShape& data,
                                const std::string& key) const {
  const Config whole = resolved(full, data);  // preprocess auto may have a logit
  const ImageFlowSettings& c = shared(whole);
  std::string why = flows::why_idle(static_cast<const Conditioning&>(c), data, key);
  if (why.empty()) why = flows::why_idle(static_cast<const Noise&>(c), data, key);
  if (!why.empty()) return why;
  return first_idle(
      {{{"alpha"}, !has_logit(c, data), str("preprocess = ", c.preprocess, " has no logit")}}, key);
}

double ImageFlow::parameters(const Config& full, const DataShape& data) const {
  const ImageFlowSettings& c = shared(full);
  return embedding_parameters(c, data) + noise_parameters(c, data) + scales_parameters(full, data);
}

std::shared_ptr<Density> ImageFlow::build(const Config& full, const DataShape& data) const {
  const ImageFlowSettings& settings = shared(full);
  const auto seed = static_cast<std::uint64_t>(full.training.seed);
  Generator weights(seed, Stream::kWeights), noise_weights(seed, Stream::kNoiseWeights);
  const Generator noise(seed, Stream::kNoise);
  auto flow = std::make_shared<Compose>();
  const std::shared_ptr<Condition> condition = make_condition(settings, data, weights);
  const bool recompute = settings.memory == "invertible";
  const auto drawing = has_noise_flow(settings, data)
                           ? variational_dequantize(settings, data, noise, noise_weights, recompute)
                           : nullptr;
  const Convention convention = add_preprocessing(settings, full.data, data, *flow, noise, drawing);
  flow->add("image", std::make_shared<Unflatten>(image_of(data, name())));
  const std::shared_ptr<Compose> all = scales(full, data, weights);
  all->recompute(recompute);
  flow->add("scales", all);
  return std::make_shared<FlowDensity>(flow, base_by_name("gaussian"), data.dims, convention,
                                       condition);
}

nlohmann::ordered_json ImageFlow::described(const Config& full, const DataShape& data) const {
  const ImageFlowSettings& c = shared(full);
  // "levels" are those of a pixel, as in all models; scales are halvings of the image.
  nlohmann::ordered_json json = {{"dims", data.dims},
                                 {"image", {data.height, data.width, data.channels}},
                                 {"levels", data.discrete ? data.levels : 0},
                                 {"preprocess", c.preprocess},
                                 {"alpha", c.alpha},
                                 {"scales", levels_of(c.levels, data)},
                                 {"width", c.width}};
  describe_noise(c, data, json);
  describe(full, json);
  describe_given(c, data, json);
  return json;
}

}  // namespace nf::flows
