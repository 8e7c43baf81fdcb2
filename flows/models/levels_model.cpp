#include "flows/models/levels_model.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "data/setting_error.h"
#include "flows/models/conditioning.h"
#include "flows/models/idle.h"
#include "flows/models/levels_density.h"
#include "flows/models/multi_scale.h"

namespace nf::flows {

namespace {

constexpr Conditioning kPlainLabels = {.embedding = 0, .conditional_prior = false};

std::int64_t channels_of(const DataShape& data) { return std::max<std::int64_t>(1, data.channels); }

}  // namespace

std::vector<Field> LevelLikelihood::behind(std::vector<Field> own) {
  own.push_back(
      {"likelihood",
       "of the levels of a place: bernoulli of a bit, a softmax of one channel, or a mixture of "
       "discretised logistics, channel after channel; auto by the data",
       &likelihood,
       {"auto", "bernoulli", "logistic", "softmax"}});
  own.push_back({"components", "logistics of a mixture", &components, {}, 1, 256});
  return own;
}

void resolve(LevelLikelihood& settings, const DataShape& data, const std::string& otherwise) {
  if (settings.likelihood != "auto") return;
  settings.likelihood = data.levels == 2 && channels_of(data) == 1 ? "bernoulli" : otherwise;
}

void check(const LevelLikelihood& c, const DataShape& data) {
  data::check_setting(c.likelihood != "bernoulli" || data.levels == 2, "likelihood",
                      "[likelihood] bernoulli is for 2 levels, these data have ", data.levels,
                      "; give logistic, or --bits 1");
  data::check_setting(c.likelihood == "logistic" || channels_of(data) == 1, "likelihood",
                      "[likelihood] ", c.likelihood, " is for one channel, these images have ",
                      channels_of(data), "; give logistic");
}

std::shared_ptr<LevelOutputs> outputs_of(const LevelLikelihood& c, const DataShape& data) {
  if (c.likelihood == "bernoulli") return bernoulli_outputs();
  if (c.likelihood == "softmax") return softmax_outputs(data.levels);
  return logistic_outputs(data.levels, channels_of(data), c.components);
}

void describe(const LevelLikelihood& c, nlohmann::ordered_json& json) {
  json["likelihood"] = c.likelihood;
  if (c.likelihood == "logistic") json["components"] = c.components;
}

std::string why_idle(const LevelLikelihood& c, const std::string& key) {
  const bool mixture = c.likelihood == "logistic";
  return first_idle({{{"components"}, !mixture, str("likelihood = ", c.likelihood, " has none")}},
                    key);
}

TrainingSettings levels_training(std::int64_t epochs, std::int64_t batch_size) {
  TrainingSettings training;
  training.epochs = epochs;
  training.batch_size = batch_size;
  training.beta2 = 0.999;
  training.eps = 1e-8;
  training.schedule = "cosine";
  training.clip = 5;
  return training;
}

std::int64_t LevelsModel::context_of(const DataShape& data) {
  return context_dims(kPlainLabels, data);
}

void LevelsModel::check(const Config&, const DataShape& data) const {
  data::check_setting(data.discrete, "data", "[data] ", name(),
                      " is for levels, as pixels have them, and these data are real numbers: made "
                      "and maf take such; levels that are no pictures are saved as bytes, uint8 "
                      "of .npy");
}

std::shared_ptr<Density> LevelsModel::build(const Config& config, const DataShape& data) const {
  Generator weights(static_cast<std::uint64_t>(config.training.seed), Stream::kWeights);
  const auto condition = make_condition(kPlainLabels, data, weights);
  const std::shared_ptr<LevelOutputs> said = outputs(config, data);
  return std::make_shared<LevelsDensity>(
      net(config, data, said->outputs(), context_of(data), weights), said, data.levels, condition);
}

nlohmann::ordered_json LevelsModel::described(const Config& config, const DataShape& data) const {
  nlohmann::ordered_json json = {{"dims", data.dims}, {"levels", data.levels}};
  describe(config, data, json);
  describe_given(kPlainLabels, data, json);
  return json;
}

// --- LikelihoodModel ----------------------------------------------------------------------------

Config LikelihoodModel::resolved(const Config& config, const DataShape& data) const {
  Config full = config;
  resolve(full.of<LevelLikelihood>(), read_as(data), likelihood_of_levels());
  return full;
}

void LikelihoodModel::check(const Config& config, const DataShape& data) const {
  LevelsModel::check(config, data);
  if (of_images()) image_of(data, name(), "wavenet takes them");
  flows::check(config.of<LevelLikelihood>(), read_as(data));
}

std::string LikelihoodModel::why_idle(const Config& config, const DataShape& data,
                                      const std::string& key) const {
  return flows::why_idle(resolved(config, data).of<LevelLikelihood>(), key);
}

std::shared_ptr<LevelOutputs> LikelihoodModel::outputs(const Config& config,
                                                       const DataShape& data) const {
  return outputs_of(config.of<LevelLikelihood>(), read_as(data));
}

}  // namespace nf::flows
