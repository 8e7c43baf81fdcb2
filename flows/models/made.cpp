// made: one autoregressive layer as a density: each dimension has a Gaussian, a mixture, or of bits
// a probability, whose parameters follow from those before it.
// Source: Germain, Gregor, Murray, Larochelle, "MADE" (2015); of real numbers as in Papamakarios,
// Pavlakou, Murray (2017), section 4.
#include "flows/models/autoregressive_flow.h"

namespace nf::flows {

namespace {

class MadeModel : public AutoregressiveFlow {
 public:
  std::string name() const override { return "made"; }
  std::string help() const override {
    return "one autoregressive layer of mixtures (Germain et al. 2015)";
  }
  Config preset(const DataShape& data, const std::string&) const override;
};

// A logistic base and the distribution function of a mixture of logistics: conditionals are such
// mixtures, of 10 components as MADE MoG has. With map = gaussian and a Gaussian base it is the
// MADE that maf's paper compares with. Bits have the Bernoulli distribution of MADE's own paper.
Config MadeModel::preset(const DataShape& data, const std::string&) const {
  Config config = autoregressive_preset(name(), data);
  AutoregressiveFlowSettings& model = autoregressive_flow(config);
  model.layers = 1;
  model.map = data.discrete && data.levels == 2 ? "bernoulli" : "mixture";
  model.components = 10;
  model.prior = "logistic";
  model.hidden_units = data.dims <= 10 ? 100 : data.dims <= 50 ? 512 : 1024;
  config.training.weight_decay = 1e-6;
  if (data.discrete) config.training.patience = 30;
  return config;
}

}  // namespace

std::shared_ptr<const Model> made_model() { return std::make_shared<MadeModel>(); }

}  // namespace nf::flows
