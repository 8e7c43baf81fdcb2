// wavenet: samples of a signal one after the other, by dilated causal convolutions.
// Source: van den Oord et al., "WaveNet: a generative model for raw audio" (2016).
#include <nlohmann/json.hpp>

#include "flows/models/levels_model.h"
#include "nn/nets/wave_net.h"

namespace nf::flows {

namespace {

struct WaveNetSettings : SettingsOf<WaveNetSettings>, LevelLikelihood {
  std::int64_t maps = 32;
  std::int64_t skip = 64;
  std::int64_t layers = 7;
  std::int64_t blocks = 1;

  std::vector<Field> fields() override {
    return behind({
        {"maps", "channels of the residual layers", &maps, {}, 1, 1e4},
        {"skip", "channels of what all layers add up", &skip, {}, 1, 1e5},
        {"layers", "layers of a block, of dilations 1, 2, 4, ...", &layers, {}, 1, 30},
        {"blocks", "blocks of layers", &blocks, {}, 1, 100},
    });
  }
};

nn::WaveNetOptions wave_net_of(const Config& config, const DataShape& data, std::int64_t outputs,
                               std::int64_t context) {
  const WaveNetSettings& c = config.of<WaveNetSettings>();
  return {.length = data.dims,
          .outputs = outputs,
          .context = context,
          .maps = c.maps,
          .skip = c.skip,
          .layers = c.layers,
          .blocks = c.blocks};
}

class WaveNetModel : public LikelihoodModel {
 public:
  std::string name() const override { return "wavenet"; }
  std::string help() const override {
    return "dilated convolutions of signals (van den Oord et al. 2016)";
  }
  std::string sizes() const override { return "maps, skip, layers, blocks"; }
  Config preset(const DataShape&, const std::string&) const override {
    Config config(name(), std::make_unique<WaveNetSettings>());
    config.data.source = "tones";
    config.training = levels_training(10, 50);
    config.training.lr = 3e-3;  // after 120 steps 1027 nats of tones, with 1e-3 1170
    return config;
  }
  double parameters(const Config& config, const DataShape& data) const override {
    const std::int64_t said = outputs(resolved(config, data), data)->outputs();
    return nn::WaveNet::parameters_of(wave_net_of(config, data, said, context_of(data)));
  }

 protected:
  std::string likelihood_of_levels() const override { return "softmax"; }
  /// A row is a signal, whatever it was: of an image, one number after the other.
  DataShape read_as(const DataShape& data) const override {
    DataShape row = data;
    row.channels = 0;
    return row;
  }
  std::shared_ptr<nn::CausalNet> net(const Config& config, const DataShape& data,
                                     std::int64_t outputs, std::int64_t context,
                                     Generator& weights) const override {
    return std::make_shared<nn::WaveNet>(wave_net_of(config, data, outputs, context), weights);
  }
  void describe(const Config& config, const DataShape&,
                nlohmann::ordered_json& json) const override {
    const WaveNetSettings& c = config.of<WaveNetSettings>();
    json["maps"] = c.maps;
    json["skip"] = c.skip;
    json["layers"] = c.layers;
    json["blocks"] = c.blocks;
    flows::describe(c, json);
  }
};

}  // namespace

std::shared_ptr<const Model> wavenet_model() { return std::make_shared<WaveNetModel>(); }

}  // namespace nf::flows
