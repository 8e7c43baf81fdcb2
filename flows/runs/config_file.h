// A configuration in JSON as a file has it: a user's, or that of a run folder.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "flows/models/config.h"

namespace nf::flows {

/// The version of run folders that are written and read.
inline constexpr std::int64_t kRunVersion = 3;

/// A configuration in JSON, a user's or a run's; its model says which preset its settings change.
struct ConfigFile {
  std::string where;  ///< begins messages
  std::string preset;
  nlohmann::json settings = nlohmann::json::object();
  nlohmann::json facts = nlohmann::json::object();  ///< what a run knows of its data
  std::int64_t version = 0;                         ///< of a run folder; 0: not said

  /// Whether this is the file of a run folder, of any version: the first said none.
  bool is_run() const {
    const auto object = [&](const char* key) {
      const auto found = settings.find(key);
      return found != settings.end() && found->is_object();
    };
    return version > 0 ? object("model") && object("training") && object("data")
                       : settings.contains("recipe") && settings.contains("save_every");
  }

  Config on(const Config& base) const { return from_json(settings, base, where); }
};
/// Throws Error for what cannot be read or is no JSON.
ConfigFile read_config(const std::string& path);

}  // namespace nf::flows
