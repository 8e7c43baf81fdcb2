// nice-plus: our own dense flow for images. Levels go through their distribution functions, then
// come a learned triangular whitening and affine couplings (docs/design.md says why).
#include "flows/models/coupling_flow.h"

namespace nf::flows {

namespace {

class NicePlus : public CouplingFlow {
 public:
  std::string name() const override { return "nice-plus"; }
  std::string help() const override {
    return "our own for images: counted marginals, affine couplings";
  }
  Config preset(const DataShape& data, const std::string&) const override;
};

Config NicePlus::preset(const DataShape& data, const std::string&) const {
  Config config(name(), std::make_unique<CouplingFlowSettings>());
  CouplingFlowSettings& model = coupling_flow(config);
  model.couplings = 6;
  model.coupling = "affine";
  model.hidden_layers = 2;
  // Real numbers have no levels to count. (No data: the preset as it is spoken of, for images)
  const bool levels = data.discrete || data.dims == 0;
  model.preprocess = levels ? "cdf" : "auto";
  model.whitening = "triangular";
  model.prior = "gaussian";
  config.training.epochs = 20;
  config.training.optimizer = "adamw";
  config.training.weight_decay = 0.3;
  config.training.eps = 1e-8;
  config.training.schedule = "cosine";
  config.training.warmup = 250;
  return config;
}

}  // namespace

std::shared_ptr<const Model> nice_plus_model() { return std::make_shared<NicePlus>(); }

}  // namespace nf::flows
