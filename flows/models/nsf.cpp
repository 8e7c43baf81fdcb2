// nsf: rational-quadratic splines, autoregressive or as couplings, with residual networks.
// Source: Durkan, Bekasov, Murray, Papamakarios, "Neural spline flows" (2019), and its program,
// github.com/bayesiains/nsf.
#include "flows/models/autoregressive_flow.h"

namespace nf::flows {

namespace {

class Nsf : public AutoregressiveFlow {
 public:
  std::string name() const override { return "nsf"; }
  std::string help() const override {
    return "splines: 2-D densities, tables (Durkan et al. 2019)";
  }
  Config preset(const DataShape& data, const std::string&) const override;
};

// Appendix B: 10 layers with LU matrices between, 8 bins on [-3, 3], 2 residual blocks of 256 units
// (128 above 10 dimensions), Adam at 5e-4 whose rate falls to 0 as a cosine, gradients clipped
// to 5. For densities in the plane a smaller one, which trains in a minute: with more bins for many
// peaks on a line, and gradients clipped far more, since with 3e-3 some trainings else never
// recover from a bad step (docs/results.md). A matrix of a thousand pixels would be most of the
// work: images are permuted.
Config Nsf::preset(const DataShape& data, const std::string&) const {
  Config config = autoregressive_preset(name(), data);
  AutoregressiveFlowSettings& model = autoregressive_flow(config);
  model.map = "spline";
  model.net = "residual";
  model.mixing = data.discrete ? "permute" : "lu";
  const bool plane = !data.discrete && (data.dims == 0 || data.unit_scale);
  config.training.lr = 5e-4;
  model.layers = 10;
  model.hidden_units = data.dims <= 10 ? 256 : 128;
  if (!plane) return config;
  model.layers = 4;
  model.components = 16;
  model.hidden_units = 96;
  model.activation = "silu";
  config.training.lr = 3e-3;
  config.training.clip = 0.1;
  config.training.batch_size = 600;
  config.training.steps = 6000;
  return config;
}

}  // namespace

std::shared_ptr<const Model> nsf_model() { return std::make_shared<Nsf>(); }

}  // namespace nf::flows
