// The settings of flows/config.h as options of a command.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "cli/cli.h"
#include "data/dataset.h"
#include "flows/config.h"

namespace nf::cli {

/// A configuration in JSON, whose "model" says which preset its settings change.
struct ConfigFile {
  std::string where;  ///< begins messages
  std::string preset;
  nlohmann::json settings = nlohmann::json::object();

  flows::Config on(const flows::Config& base) const {
    return flows::from_json(settings, base, where);
  }
};
ConfigFile read_config(const std::string& path);

/// One --name for every setting (underscores become dashes), and --set key=value.
struct SettingOptions {
  void add_to(CLI::App& app);
  /// Applies what was given on the command line: options first, then --set in order.
  void apply(flows::Config& config) const;

  using Load = data::Dataset(const flows::Config&);
  struct Job {
    flows::Config config;
    data::Dataset data;
  };
  /// MODEL (a preset's name, or a configuration's path ending in .json) for its data, on which a
  /// preset may depend, changed by what was given here.
  Job configure(const std::string& model, Load* load) const;

 private:
  std::map<std::string, std::string> given_;  // key -> text; empty: not given
  std::vector<std::string> assignments_;
};

}  // namespace nf::cli
