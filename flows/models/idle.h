// Settings that change nothing beside others, so that nobody waits for what they should do.
#pragma once

#include <string>
#include <vector>

#include "flows/models/model.h"

namespace nf::flows {

/// Some settings change nothing, and why.
struct IdleRule {
  std::vector<std::string> keys;
  bool idle;
  std::string why;
};

/// Why the first rule that holds for `key` makes it idle; empty when none does.
std::string first_idle(const std::vector<IdleRule>& rules, const std::string& key);

/// Why the setting `key` changes nothing in this configuration of a model for such data: "coupling
/// = additive has no scales". Empty when it does something.
std::string why_idle(const Config& config, const DataShape& data, const std::string& key);

}  // namespace nf::flows
