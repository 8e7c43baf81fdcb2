// Preprocessing: from data as they are to the space in which a model's layers work.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "flows/compose.h"
#include "flows/density.h"
#include "flows/models/config.h"

namespace nf::flows {

/// Settings that models share: struct members of theirs.
struct Preprocessing {
  std::string preprocess = "auto";
  double alpha = 1e-6;

  std::vector<Field> fields();
};

/// What "auto" means for the data: unit for pixels, standard for real numbers, none for built-in
/// densities, which have unit scale.
std::string resolved_preprocess(const std::string& preprocess, const DataShape& data);
/// Throws data::SettingError for what does not go with the data. `config` is resolved.
void check_preprocessing(const Preprocessing& settings, const DataSettings& data_settings,
                         const DataShape& data);
/// Whether the data pass through a logit, whose alpha it is.
bool has_logit(const Preprocessing& settings, const DataShape& data);
/// Adds the layers to `flow`, and says how the density is told. `variational`: the layer that draws
/// noise for pixels by a flow, in place of the one that draws uniform noise.
Convention add_preprocessing(const Preprocessing& settings, const DataSettings& data_settings,
                             const DataShape& data, Compose& flow, const Generator& noise,
                             std::shared_ptr<Transform> variational = nullptr);

}  // namespace nf::flows
