// From a Config to a model: the architectures that flowcli knows by name.
#pragma once

#include <memory>

#include "flows/config.h"
#include "flows/density.h"
#include "flows/fit.h"

namespace nf::flows {

/// What a model must know of its data.
struct DataShape {
  std::int64_t dims = 0;
  bool discrete = false;    ///< levels 0..255, to be dequantised
  bool unit_scale = false;  ///< real numbers around 0 of size 1, as built-in densities are
  std::vector<std::string> columns = {};  ///< names of the dimensions, or none
};

/// Builds preprocessing, couplings, scaling and base distribution as the configuration says;
/// weights are drawn from config.seed. Throws Error when they do not fit the data.
std::shared_ptr<Density> make_density(const Config& config, const DataShape& data);

/// The training settings of a configuration.
FitOptions fit_options(const Config& config);

}  // namespace nf::flows
