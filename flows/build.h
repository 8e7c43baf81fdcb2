// From a Config to a model and its training.
#pragma once

#include <memory>

#include "flows/config.h"
#include "flows/density.h"
#include "flows/fit.h"

namespace nf::flows {

/// Builds preprocessing, couplings, scaling and base distribution as the configuration says;
/// weights are drawn from config.seed. Throws Error when they do not fit the data.
std::shared_ptr<Density> make_density(const Config& config, const DataShape& data);

/// The training settings of a configuration.
FitOptions fit_options(const Config& config);

}  // namespace nf::flows
