// maf: affine autoregressive layers with batch norm, each in the order opposite to the one before.
// Source: Papamakarios, Pavlakou, Murray, "Masked autoregressive flow" (2017), and its program,
// github.com/gpapamak/maf.
#include "flows/models/autoregressive_flow.h"

namespace nf::flows {

namespace {

class Maf : public AutoregressiveFlow {
 public:
  std::string name() const override { return "maf"; }
  std::string help() const override {
    return "autoregressive: tables, images (Papamakarios et al. 2017)";
  }
  Config preset(const DataShape& data, const std::string&) const override;
};

// Section 4.2: 5 layers of two hidden layers; 100 units for 6 and 8 dimensions, 512 for 21 and 43,
// 1024 for 63 and for MNIST. Of images Adam at 1e-4, an L2 penalty of 1e-6, and an end after 30
// epochs without a better validation result.
Config Maf::preset(const DataShape& data, const std::string&) const {
  Config config = autoregressive_preset(name(), data);
  AutoregressiveFlowSettings& model = autoregressive_flow(config);
  model.hidden_units = data.dims <= 10 ? 100 : data.dims <= 50 ? 512 : 1024;
  model.norm = "batch";
  config.training.weight_decay = 1e-6;
  if (data.discrete) {
    config.training.lr = 1e-4;
    config.training.schedule = "constant";
    config.training.clip = 0;
    config.training.patience = 30;
  }
  return config;
}

}  // namespace

std::shared_ptr<const Model> maf_model() { return std::make_shared<Maf>(); }

}  // namespace nf::flows
