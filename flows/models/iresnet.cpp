// iresnet: residual blocks, the log-determinant by a truncated series.
// Source: Behrmann, Grathwohl, Chen, Duvenaud, Jacobsen, "Invertible residual networks" (2019);
// "code" is the authors' program, github.com/jhjacobsen/invertible-resnet.
#include "flows/models/residual_blocks.h"

namespace nf::flows {

namespace {

class IResNet : public ResidualModel {
 public:
  std::string name() const override { return "iresnet"; }
  std::string help() const override {
    return "residual blocks: 2-D, tables, images (Behrmann et al. 2019)";
  }
  Config preset(const DataShape& data, const std::string&) const override;

 protected:
  std::string estimate() const override { return "series"; }
};

// Images as the paper has them: 3 scales of 16 blocks of width 512, nothing leaves early; the
// preset of grey images is what a processor can do in an hour.
Config IResNet::preset(const DataShape& data, const std::string&) const {
  Config config = residual_preset(name(), data);
  ResidualSettings& model = residual_settings(config);
  if (data.channels == 0) return config;
  model.blocks = data.channels == 1 ? 4 : 16;
  model.width = data.channels == 1 ? 32 : 512;
  config.training.optimizer = "adamax";
  config.training.beta2 = 0.999;
  config.training.lr = 3e-3;
  config.training.batch_size = 128;
  return config;
}

}  // namespace

std::shared_ptr<const Model> iresnet_model() { return std::make_shared<IResNet>(); }

}  // namespace nf::flows
