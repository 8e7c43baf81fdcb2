// Flows of images on several scales: what realnvp, glow, image-plus and others like them share as
// models.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "flows/compose.h"
#include "flows/models/conditioning.h"
#include "flows/models/model.h"
#include "flows/models/noise.h"
#include "flows/models/preprocessing.h"

namespace nf::flows {

/// A base of their settings.
struct ImageFlowSettings : Preprocessing, Noise, Conditioning {
  std::int64_t levels = 0;
  std::int64_t width = 64;
  std::string memory = "tape";

  std::vector<Field> fields();
};

/// Dequantisation and preprocessing, the scales, a standard Gaussian: all but name, help, presets
/// and what is on a scale.
class ImageFlow : public Model {
 public:
  bool of_images() const override { return true; }
  bool conditional() const override { return true; }
  std::string sizes() const override { return "width, steps_per_level, levels"; }
  std::int64_t side_step(const Config& config) const override {
    return std::int64_t{1} << shared(config).levels;  // a half on each scale
  }
  Config resolved(const Config& config, const DataShape& data) const override;
  void check(const Config& config, const DataShape& data) const override;
  std::string why_idle(const Config& config, const DataShape& data,
                       const std::string& key) const override;
  double parameters(const Config& config, const DataShape& data) const final;
  std::shared_ptr<Density> build(const Config& config, const DataShape& data) const override;
  nlohmann::ordered_json described(const Config& config, const DataShape& data) const override;

 protected:
  virtual ImageFlowSettings& shared(Config& config) const = 0;
  const ImageFlowSettings& shared(const Config& config) const {
    return shared(const_cast<Config&>(config));
  }
  /// What preprocess "auto" means for levels.
  virtual std::string preprocess_of_levels() const = 0;
  /// Images (H, W, C) to rows. What is random is drawn from `weights`.
  virtual std::shared_ptr<Compose> scales(const Config& config, const DataShape& data,
                                          Generator& weights) const = 0;
  /// As parameters(), of the scales alone.
  virtual double scales_parameters(const Config& config, const DataShape& data) const = 0;
  /// The settings beside the shared ones, as a file of weights says them.
  virtual void describe(const Config& config, nlohmann::ordered_json& json) const = 0;
};

}  // namespace nf::flows
