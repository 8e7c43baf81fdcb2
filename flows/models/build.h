// From a Config to a model and its training.
#pragma once

#include <memory>

#include "data/source.h"
#include "flows/flow_density.h"
#include "flows/models/model.h"
#include "flows/train/fit.h"

namespace nf::flows {

/// The configuration with what preprocess "auto" means for the data.
Config resolved(const Config& config, const DataShape& data);

/// Throws data::SettingError for a setting that does not go with the data or with another setting:
/// preprocess, types, depths.
void check_settings(const Config& config, const DataShape& data);

/// About how many parameters make_density gives the model, from its shapes alone.
double parameter_count(const Config& config, const DataShape& data);

/// Builds preprocessing, couplings, scaling and base distribution as the configuration says;
/// weights are drawn from config.seed. The density's description says what is needed
/// to run it elsewhere, from its tensors alone (docs/weights.md): "version", "model" and
/// "settings", a JSON object with the settings of the model, resolved, its dims and its levels.
/// Throws Error when they do not fit the data,
/// and before anything is made when they do not fit into memory.
std::shared_ptr<Density> make_density(const Config& config, const DataShape& data);

/// The same of a model with latents; throws Error for another.
std::shared_ptr<FlowDensity> make_flow(const Config& config, const DataShape& data);

/// "a,b c" as names.
std::vector<std::string> split_names(const std::string& text);

/// How a configuration's data are read and cut.
data::LoadOptions load_options(const Config& config);

/// Why the last weights are taken, not those of the best validation; empty where the best are.
std::string why_last_weights(const Config& config);

/// The training settings of a configuration.
FitOptions fit_options(const Config& config);

}  // namespace nf::flows
