// realnvp-2d: affine couplings for densities in the plane, and for tables.
// Source: Dinh, Sohl-Dickstein, Bengio, "Density estimation using Real NVP" (2017), figure 1.
#include "flows/models/coupling_flow.h"
#include "flows/models/table_training.h"

namespace nf::flows {

namespace {

class RealNvp2d : public CouplingFlow {
 public:
  std::string name() const override { return "realnvp-2d"; }
  std::string help() const override {
    return "affine couplings: 2-D densities, tables (Dinh et al. 2017)";
  }
  Config preset(const DataShape& data, const std::string&) const override;
};

// 7000 steps for built-in densities; for other data batches and epochs follow the number of rows.
Config RealNvp2d::preset(const DataShape& data, const std::string&) const {
  Config config(name(), std::make_unique<CouplingFlowSettings>());
  CouplingFlowSettings& model = coupling_flow(config);
  model.couplings = 16;
  model.coupling = "affine";
  model.partition = "halves";
  model.mixing = "linear";
  model.hidden_units = 64;
  model.hidden_layers = 2;
  model.activation = "silu";
  model.prior = "gaussian";
  config.data.source = "moons";
  config.training.batch_size = 300;
  config.training.steps = 7000;
  config.training.lr = 5e-3;
  config.training.beta2 = 0.999;
  config.training.eps = 1e-8;
  config.training.schedule = "cosine";
  config.training.warmup = 200;
  config.training.clip =
      0.3;  // gradients of sharp densities have heavy tails: nearly every step is clipped
  config.output.sample_every = 0;
  config.output.samples = 20000;
  if (data.rows > 0 && !data.unit_scale) adapt_to_rows(config.training, data.rows);
  return config;
}

}  // namespace

std::shared_ptr<const Model> realnvp_2d_model() { return std::make_shared<RealNvp2d>(); }

}  // namespace nf::flows
