// Models of levels, place after place: the common frame of nade, pixelcnn,
// pixelrnn and wavenet.
#pragma once

#include <string>
#include <vector>

#include "flows/layers/level_outputs.h"
#include "flows/models/model.h"
#include "nn/nets/causal.h"

namespace nf::flows {

/// How the levels of a place are distributed: struct members of a model's settings.
struct LevelLikelihood {
  std::string likelihood = "auto";
  std::int64_t components = 5;

  /// The model's own, then these.
  std::vector<Field> behind(std::vector<Field> own);
};

/// What such models share: a LevelsDensity of a net and the distribution of its outputs, which may
/// see what is given, a label as a 1 at its place among zeros.
class LevelsModel : public Model {
 public:
  bool conditional() const override { return true; }
  void check(const Config& config, const DataShape& data) const override;
  std::shared_ptr<Density> build(const Config& config, const DataShape& data) const override;
  nlohmann::ordered_json described(const Config& config, const DataShape& data) const override;

 protected:
  virtual std::shared_ptr<LevelOutputs> outputs(const Config& config,
                                                const DataShape& data) const = 0;
  /// A net of so many outputs of a place and numbers of a context.
  virtual std::shared_ptr<nn::CausalNet> net(const Config& config, const DataShape& data,
                                             std::int64_t outputs, std::int64_t context,
                                             Generator& weights) const = 0;
  /// The model's own settings, for described().
  virtual void describe(const Config& config, const DataShape& data,
                        nlohmann::ordered_json& json) const = 0;
  /// Numbers of a context.
  static std::int64_t context_of(const DataShape& data);
};

/// A model whose settings derive from LevelLikelihood, too; of images, where it takes these alone.
class LikelihoodModel : public LevelsModel {
 public:
  Config resolved(const Config& config, const DataShape& data) const override;
  void check(const Config& config, const DataShape& data) const override;
  std::string why_idle(const Config& config, const DataShape& data,
                       const std::string& key) const override;

 protected:
  std::shared_ptr<LevelOutputs> outputs(const Config& config, const DataShape& data) const override;
  /// What "auto" is of levels that are no single bits.
  virtual std::string likelihood_of_levels() const { return "logistic"; }
  /// The places as the model reads them.
  virtual DataShape read_as(const DataShape& data) const { return data; }
};

/// "auto" is bernoulli of single bits, else `otherwise`.
void resolve(LevelLikelihood& settings, const DataShape& data, const std::string& otherwise);
/// Throws data::SettingError for a likelihood that the data cannot have.
void check(const LevelLikelihood& resolved, const DataShape& data);
std::shared_ptr<LevelOutputs> outputs_of(const LevelLikelihood& resolved, const DataShape& data);
void describe(const LevelLikelihood& resolved, nlohmann::ordered_json& json);
/// Why `key`, one of these settings, changes nothing; empty when it does something.
std::string why_idle(const LevelLikelihood& resolved, const std::string& key);

/// Adam as it is published, with a rate that falls as a cosine: how these models are trained.
TrainingSettings levels_training(std::int64_t epochs, std::int64_t batch_size);

}  // namespace nf::flows
