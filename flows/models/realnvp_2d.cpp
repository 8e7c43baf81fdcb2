// realnvp-2d: affine couplings for densities in the plane, and for tables.
// Source: Dinh, Sohl-Dickstein, Bengio, "Density estimation using Real NVP" (2017), figure 1.
#include <algorithm>

#include "flows/models/coupling_flow.h"

namespace nf::flows {

namespace {

// A table has so many rows and no more, and a flow learns them by heart when it goes on too long.
// So the rate falls to 0 within 40 epochs, and training ends `patience` epochs after the best
// validation result. 500 rows give 10 steps an epoch and at most 400, a million rows 1000 and at
// most 20,000.
void adapt_to_rows(Config& config, std::int64_t rows) {
  config.training.batch_size = std::max(std::clamp<std::int64_t>(rows / 20, 50, 300),
                                        std::min<std::int64_t>(rows / 1000, 1000));
  const std::int64_t per_epoch =
      (rows + config.training.batch_size - 1) / config.training.batch_size;
  config.training.epochs = std::clamp<std::int64_t>(20'000 / per_epoch, 5, 40);
  config.training.steps = 0;
  config.training.warmup = std::min<std::int64_t>(200, config.training.epochs * per_epoch / 10);
  config.training.patience = 20;
}

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
  if (data.rows > 0 && !data.unit_scale) adapt_to_rows(config, data.rows);
  return config;
}

}  // namespace

std::shared_ptr<const Model> realnvp_2d_model() { return std::make_shared<RealNvp2d>(); }

}  // namespace nf::flows
