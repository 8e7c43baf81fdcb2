// pixelcnn: pixels one after the other, by masked convolutions with gates.
// Sources: van den Oord et al., "Conditional image generation with PixelCNN decoders" (2016);
// Salimans, Karpathy, Chen, Kingma, "PixelCNN++" (2017), for grey and colour.
#include <nlohmann/json.hpp>

#include "flows/models/levels_model.h"
#include "nn/nets/pixel_cnn.h"

namespace nf::flows {

namespace {

struct PixelCnnSettings : SettingsOf<PixelCnnSettings>, LevelLikelihood {
  std::int64_t maps = 32;
  std::int64_t layers = 7;
  std::int64_t head = 64;

  std::vector<Field> fields() override {
    return behind({
        {"maps", "channels of the stacks of convolutions", &maps, {}, 1, 1e4},
        {"layers", "layers of both stacks, behind the first one", &layers, {}, 0, 1000},
        {"head", "channels of the 1x1 convolutions at the end", &head, {}, 1, 1e5},
    });
  }
};

nn::PixelCnnOptions pixel_cnn_of(const Config& config, const DataShape& data, std::int64_t outputs,
                                 std::int64_t context) {
  const PixelCnnSettings& c = config.of<PixelCnnSettings>();
  return {.height = data.height,
          .width = data.width,
          .channels = data.channels,
          .outputs = outputs,
          .context = context,
          .maps = c.maps,
          .layers = c.layers,
          .head = c.head};
}

class PixelCnnModel : public LikelihoodModel {
 public:
  std::string name() const override { return "pixelcnn"; }
  std::string help() const override {
    return "gated masked convolutions (van den Oord et al. 2016)";
  }
  std::string sizes() const override { return "maps, layers, head"; }
  bool of_images() const override { return true; }
  Config preset(const DataShape& data, const std::string&) const override {
    Config config(name(), std::make_unique<PixelCnnSettings>());
    config.training = levels_training(20, 50);
    config.training.lr = 3e-3;  // after 80 steps 94 nats of glyphs' bits, with 1e-3 131
    if (data.channels == 3) config.of<PixelCnnSettings>().components = 10;
    return config;
  }
  double parameters(const Config& config, const DataShape& data) const override {
    const std::int64_t said = outputs(resolved(config, data), data)->outputs();
    return nn::PixelCnn::parameters_of(pixel_cnn_of(config, data, said, context_of(data)));
  }

 protected:
  std::shared_ptr<nn::CausalNet> net(const Config& config, const DataShape& data,
                                     std::int64_t outputs, std::int64_t context,
                                     Generator& weights) const override {
    return std::make_shared<nn::PixelCnn>(pixel_cnn_of(config, data, outputs, context), weights);
  }
  void describe(const Config& config, const DataShape& data,
                nlohmann::ordered_json& json) const override {
    const PixelCnnSettings& c = config.of<PixelCnnSettings>();
    json["image"] = {data.height, data.width, data.channels};
    json["maps"] = c.maps;
    json["layers"] = c.layers;
    json["head"] = c.head;
    flows::describe(c, json);
  }
};

}  // namespace

std::shared_ptr<const Model> pixelcnn_model() { return std::make_shared<PixelCnnModel>(); }

}  // namespace nf::flows
