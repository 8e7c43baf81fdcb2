// Settings that change nothing beside others, so that nobody waits for what they should do.
#pragma once

#include <string>

#include "flows/models/config.h"

namespace nf::flows {

/// Why the setting `key` changes nothing in this configuration of a model for such data: "coupling
/// = additive has no scales". Empty when it does something.
std::string why_idle(const Config& config, const DataShape& data, const std::string& key);

}  // namespace nf::flows
