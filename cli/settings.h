// The settings of flows/config.h as options of a command.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "cli/cli.h"
#include "flows/config.h"

namespace nf::cli {

/// One --name for every setting (underscores become dashes), and --set key=value.
struct SettingOptions {
  void add_to(CLI::App& app);
  /// Applies what was given on the command line: options first, then --set in order.
  void apply(flows::Config& config) const;

 private:
  std::map<std::string, std::string> given_;  // key -> text; empty: not given
  std::vector<std::string> assignments_;
};

/// MODEL: a preset's name, or the path of a configuration ending in .json, whose "model" key says
/// which preset it starts from.
flows::Config model_config(const std::string& model);

}  // namespace nf::cli
