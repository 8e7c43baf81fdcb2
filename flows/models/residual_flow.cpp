// residual-flow: residual blocks, the log-determinant by an estimate without bias.
// Source: Chen, Behrmann, Duvenaud, Jacobsen, "Residual flows for invertible generative modeling"
// (2019); "code" is the authors' program, github.com/rtqichen/residual-flows.
#include "flows/models/residual_blocks.h"

namespace nf::flows {

namespace {

class ResidualFlow : public ResidualModel {
 public:
  std::string name() const override { return "residual-flow"; }
  std::string help() const override {
    return "residual blocks, log-det without bias (Chen et al. 2019)";
  }
  Config preset(const DataShape& data, const std::string&) const override;

 protected:
  std::string estimate() const override { return "roulette"; }
};

// Images as in the paper's program: 3 scales of 16 blocks of width 512 and 4 blocks of rows; the
// preset of grey images is what a processor can do in an hour.
Config ResidualFlow::preset(const DataShape& data, const std::string&) const {
  Config config = residual_preset(name(), data);
  ResidualSettings& model = residual_settings(config);
  model.activation = "lipswish";
  model.coefficient = 0.98;
  model.terms = 2;
  if (data.channels == 0) return config;
  model.squeeze_first = data.channels == 1;
  model.blocks = data.channels == 1 ? 4 : 16;
  model.width = data.channels == 1 ? 32 : 512;
  model.hidden_units = 128;
  model.dense_blocks = data.channels == 1 ? 0 : 4;
  config.training.lr = 1e-3;
  config.training.ema = 0.999;
  return config;
}

}  // namespace

std::shared_ptr<const Model> residual_flow_model() { return std::make_shared<ResidualFlow>(); }

}  // namespace nf::flows
