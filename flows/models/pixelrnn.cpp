// pixelrnn: pixels one after the other, by LSTMs that go down the rows.
// Sources: van den Oord, Kalchbrenner, Kavukcuoglu, "Pixel recurrent neural networks" (2016), the
// row LSTM; Salimans, Karpathy, Chen, Kingma, "PixelCNN++" (2017), for grey and colour.
#include <nlohmann/json.hpp>

#include "data/setting_error.h"
#include "flows/models/levels_model.h"
#include "nn/nets/pixel_rnn.h"

namespace nf::flows {

namespace {

struct PixelRnnSettings : SettingsOf<PixelRnnSettings>, LevelLikelihood {
  std::int64_t maps = 16;
  std::int64_t layers = 7;
  std::int64_t kernel = 3;
  std::int64_t head = 64;

  std::vector<Field> fields() override {
    return behind({
        {"maps", "channels of the states, twice as many between the LSTMs", &maps, {}, 1, 1e4},
        {"layers", "LSTMs, each over the one before", &layers, {}, 0, 1000},
        {"kernel", "columns of the row above that a step sees, odd", &kernel, {}, 1, 99},
        {"head", "channels of the 1x1 convolutions at the end", &head, {}, 1, 1e5},
    });
  }
};

nn::PixelRnnOptions pixel_rnn_of(const Config& config, const DataShape& data, std::int64_t outputs,
                                 std::int64_t context) {
  const PixelRnnSettings& c = config.of<PixelRnnSettings>();
  return {.height = data.height,
          .width = data.width,
          .channels = data.channels,
          .outputs = outputs,
          .context = context,
          .maps = c.maps,
          .layers = c.layers,
          .head = c.head,
          .kernel = c.kernel};
}

class PixelRnnModel : public LikelihoodModel {
 public:
  std::string name() const override { return "pixelrnn"; }
  std::string help() const override {
    return "pixels by LSTMs down the rows (van den Oord et al. 2016)";
  }
  std::string sizes() const override { return "maps, layers, kernel, head"; }
  bool of_images() const override { return true; }
  Config preset(const DataShape& data, const std::string&) const override {
    Config config(name(), std::make_unique<PixelRnnSettings>());
    config.training = levels_training(20, 50);
    config.training.lr = 3e-3;  // after 80 steps 99 nats of glyphs' bits, with 1e-3 211
    if (data.channels == 3) config.of<PixelRnnSettings>().components = 10;
    return config;
  }
  void check(const Config& config, const DataShape& data) const override {
    LikelihoodModel::check(config, data);
    const std::int64_t kernel = config.of<PixelRnnSettings>().kernel;
    data::check_setting(kernel % 2 == 1, "kernel", "[kernel] ", kernel,
                        " columns have none in the middle; give an odd number");
  }
  double parameters(const Config& config, const DataShape& data) const override {
    const std::int64_t said = outputs(resolved(config, data), data)->outputs();
    return nn::PixelRnn::parameters_of(pixel_rnn_of(config, data, said, context_of(data)));
  }

 protected:
  std::shared_ptr<nn::CausalNet> net(const Config& config, const DataShape& data,
                                     std::int64_t outputs, std::int64_t context,
                                     Generator& weights) const override {
    return std::make_shared<nn::PixelRnn>(pixel_rnn_of(config, data, outputs, context), weights);
  }
  void describe(const Config& config, const DataShape& data,
                nlohmann::ordered_json& json) const override {
    const PixelRnnSettings& c = config.of<PixelRnnSettings>();
    json["image"] = {data.height, data.width, data.channels};
    json["maps"] = c.maps;
    json["layers"] = c.layers;
    json["kernel"] = c.kernel;
    json["head"] = c.head;
    flows::describe(c, json);
  }
};

}  // namespace

std::shared_ptr<const Model> pixelrnn_model() { return std::make_shared<PixelRnnModel>(); }

}  // namespace nf::flows
