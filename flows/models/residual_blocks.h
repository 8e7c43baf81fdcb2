// Residual blocks of rows and of images: the common frame of iresnet and residual-flow.
#pragma once

#include <string>
#include <vector>

#include "flows/models/model.h"
#include "flows/models/preprocessing.h"

namespace nf::flows {

/// Preprocessing, then blocks with ActNorm around them, on images on several scales.
struct ResidualSettings : SettingsOf<ResidualSettings>, Preprocessing {
  std::int64_t blocks = 16;
  std::int64_t hidden_units = 64;
  std::int64_t hidden_layers = 2;
  std::int64_t levels = 0;
  bool squeeze_first = true;
  std::int64_t width = 32;
  std::int64_t dense_blocks = 0;
  std::string activation = "elu";
  double coefficient = 0.9;
  std::string log_det = "auto";
  std::int64_t terms = 5;
  std::int64_t terms_evaluated = 20;

  std::vector<Field> fields() override;
};

/// What models of this frame share: all but name, help, presets and how they estimate.
class ResidualModel : public Model {
 public:
  std::string sizes() const override { return "hidden_units, width, blocks"; }
  std::int64_t side_step(const Config& config) const override;
  Config resolved(const Config& config, const DataShape& data) const override;
  void check(const Config& config, const DataShape& data) const override;
  std::string why_idle(const Config& config, const DataShape& data,
                       const std::string& key) const override;
  double parameters(const Config& config, const DataShape& data) const override;
  std::shared_ptr<Density> build(const Config& config, const DataShape& data) const override;
  nlohmann::ordered_json described(const Config& config, const DataShape& data) const override;

 protected:
  /// What log_det "auto" means where there are too many dimensions for exact.
  virtual std::string estimate() const = 0;
};

/// A preset that both begin with: rows of such data, or images.
Config residual_preset(const std::string& name, const DataShape& data);

inline ResidualSettings& residual_settings(Config& config) { return config.of<ResidualSettings>(); }

}  // namespace nf::flows
