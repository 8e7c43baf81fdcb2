// Autoregressive layers on rows: the common frame of maf, nsf and made.
#pragma once

#include <string>

#include "flows/models/conditioning.h"
#include "flows/models/model.h"
#include "flows/models/preprocessing.h"

namespace nf::flows {

/// Preprocessing; layers, each an autoregressive map or a coupling, with mixing between them and a
/// normalisation behind each; a base.
struct AutoregressiveFlowSettings : SettingsOf<AutoregressiveFlowSettings>,
                                    Preprocessing,
                                    Conditioning {
  std::int64_t layers = 5;
  std::string kind = "autoregressive";
  std::string map = "gaussian";
  std::int64_t components = 8;
  double bound = 3;
  std::string net = "plain";
  std::int64_t hidden_units = 100;
  std::int64_t hidden_layers = 2;
  std::string activation = "relu";
  double scale_limit = 5;
  std::string mixing = "reverse";
  std::string norm = "none";
  std::string prior = "gaussian";

  std::vector<Field> fields() override;
};

/// Such settings, and a training that suits the data: 100 epochs of images, 7000 steps of built-in
/// densities, else as many as a table's rows allow; Adam, whose rate falls as a cosine.
Config autoregressive_preset(const std::string& name, const DataShape& data);

/// What models of this frame share: all but name, help and presets.
class AutoregressiveFlow : public Model {
 public:
  Config resolved(const Config& config, const DataShape& data) const override;
  void check(const Config& config, const DataShape& data) const override;
  bool conditional() const override { return true; }
  std::string why_idle(const Config& config, const DataShape& data,
                       const std::string& key) const override;
  double parameters(const Config& config, const DataShape& data) const override;
  std::string sizes() const override { return "hidden_units, hidden_layers, layers"; }
  std::shared_ptr<Density> build(const Config& config, const DataShape& data) const override;
  nlohmann::ordered_json described(const Config& config, const DataShape& data) const override;
};

/// The settings of a configuration of such a model.
inline AutoregressiveFlowSettings& autoregressive_flow(Config& config) {
  return config.of<AutoregressiveFlowSettings>();
}
inline const AutoregressiveFlowSettings& autoregressive_flow(const Config& config) {
  return config.of<AutoregressiveFlowSettings>();
}

}  // namespace nf::flows
