// Couplings on rows: the common frame of nice, nice-plus and realnvp-2d.
#pragma once

#include <string>

#include "flows/models/conditioning.h"
#include "flows/models/model.h"
#include "flows/models/preprocessing.h"

namespace nf::flows {

/// Preprocessing, whitening, couplings with matrices between them, a last scale, a base.
struct CouplingFlowSettings : SettingsOf<CouplingFlowSettings>, Preprocessing, Conditioning {
  std::string recipe = "paper";
  std::int64_t couplings = 4;
  std::string coupling = "additive";
  std::string partition = "odd-even";
  std::string mixing = "none";
  std::string whitening = "none";
  bool whitening_last = false;
  std::int64_t hidden_units = 1000;
  std::int64_t hidden_layers = 5;
  std::string depths;
  std::string activation = "relu";
  std::string init = "kaiming";
  double init_scale = 1;
  double last_init_scale = 0;
  double scale_limit = 2;
  bool scaling = true;
  bool data_init = true;
  double scale_rate = 10;
  std::string prior = "logistic";

  std::vector<Field> fields() override;
};

/// What models of this frame share: all but name, help and presets.
class CouplingFlow : public Model {
 public:
  Config resolved(const Config& config, const DataShape& data) const override;
  void check(const Config& config, const DataShape& data) const override;
  bool conditional() const override { return true; }
  std::string why_idle(const Config& config, const DataShape& data,
                       const std::string& key) const override;
  double parameters(const Config& config, const DataShape& data) const override;
  std::shared_ptr<Density> build(const Config& config, const DataShape& data) const override;
  nlohmann::ordered_json described(const Config& config, const DataShape& data) const override;
};

/// The settings of a configuration of such a model.
inline CouplingFlowSettings& coupling_flow(Config& config) {
  return config.of<CouplingFlowSettings>();
}
inline const CouplingFlowSettings& coupling_flow(const Config& config) {
  return config.of<CouplingFlowSettings>();
}

}  // namespace nf::flows
