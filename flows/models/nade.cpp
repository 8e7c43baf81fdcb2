// nade: the neural autoregressive distribution estimator, of bits.
// Source: Larochelle, Murray, "The neural autoregressive distribution estimator" (2011).
#include "nn/nets/nade.h"

#include <nlohmann/json.hpp>

#include "data/setting_error.h"
#include "flows/models/levels_model.h"

namespace nf::flows {

namespace {

struct NadeSettings : SettingsOf<NadeSettings> {
  std::int64_t hidden_units = 500;

  std::vector<Field> fields() override {
    return {{"hidden_units", "units, which all bits share", &hidden_units, {}, 1, 1e6}};
  }
};

nn::NadeOptions nade_of(const Config& config, const DataShape& data, std::int64_t context) {
  return {.dims = data.dims,
          .context = context,
          .hidden_units = config.of<NadeSettings>().hidden_units};
}

class NadeModel : public LevelsModel {
 public:
  std::string name() const override { return "nade"; }
  std::string help() const override {
    return "bits, one after the other (Larochelle, Murray 2011)";
  }
  std::string sizes() const override { return "hidden_units"; }
  Config preset(const DataShape&, const std::string&) const override {
    Config config(name(), std::make_unique<NadeSettings>());
    config.training = levels_training(40, 100);
    return config;
  }
  void check(const Config& config, const DataShape& data) const override {
    LevelsModel::check(config, data);
    data::check_setting(data.levels == 2, "binarize",
                        "[binarize] nade is for bits; --binarize static or --bits 1 makes them of "
                        "pixels");
  }
  double parameters(const Config& config, const DataShape& data) const override {
    return nn::Nade::parameters_of(nade_of(config, data, context_of(data)));
  }

 protected:
  std::shared_ptr<LevelOutputs> outputs(const Config&, const DataShape&) const override {
    return bernoulli_outputs();
  }
  std::shared_ptr<nn::CausalNet> net(const Config& config, const DataShape& data, std::int64_t,
                                     std::int64_t context, Generator& weights) const override {
    return std::make_shared<nn::Nade>(nade_of(config, data, context), weights);
  }
  void describe(const Config& config, const DataShape&,
                nlohmann::ordered_json& json) const override {
    json["order"] = "raster";
    json["hidden_units"] = config.of<NadeSettings>().hidden_units;
  }
};

}  // namespace

std::shared_ptr<const Model> nade_model() { return std::make_shared<NadeModel>(); }

}  // namespace nf::flows
