// The settings of flows/models/config.h as options of a command.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "cli/cli.h"
#include "data/dataset.h"
#include "flows/models/config.h"
#include "flows/runs/config_file.h"

namespace nf::cli {

using flows::ConfigFile;
using flows::read_config;

/// The settings of all models, each name once; those of the model that the command line names, when
/// it does.
std::vector<flows::Field> all_fields();
/// Why a command that takes --set has no such option, "--boards": it is of other models than the
/// one that the command line names, as flows::of_other_models says, or given by --set; else empty.
std::string whose_option(const std::string& option);
/// To be called before commands are added: help shows the options of the model that the words name,
/// by itself, as a configuration, or as a run.
void choose_model(int words, const char* const* argv);

/// The models with what they are, as the end of a command's help has them.
std::string models_help();

/// Which settings have an option of their own; --set takes all of them.
enum class ShownSettings {
  All,
  OfModel  ///< those of the model, and the data and batch size for which it is made
};

/// --name for settings (underscores become dashes), and --set key=value.
class SettingOptions {
 public:
  void add_to(CLI::App& app, ShownSettings which = ShownSettings::All);
  /// Applies what was given on the command line: options first, then --set in order. Throws
  /// UsageError for what does not exist or is out of range.
  void apply(flows::Config& config) const;
  bool given(const std::string& key) const;
  /// What was given as words of another command line, --set KEY=VALUE, ..., but for the option of
  /// the key `without`.
  std::vector<std::string> words(const std::string& without = "") const;
  /// What the option of a key was given; empty: nothing.
  std::string option_text(const std::string& key) const;
  /// Throws UsageError for a precision that was given and that no such device has.
  void check_precision(const flows::Config& config, Device device) const;

  using Load = std::function<data::Dataset(const flows::Config&)>;
  struct Job {
    flows::Config config;
    data::Dataset data;
  };
  /// MODEL (a preset's name, or a configuration's path ending in .json) for its data, on which a
  /// preset may depend, changed by what was given here. Throws UsageError for a model that does not
  /// exist, and for what was given but changes nothing.
  Job configure(const std::string& model, const Load& load) const;

 private:
  void refuse_idle(const Job& job) const;
  std::map<std::string, std::string> given_;  // key -> text; empty: not given
  std::vector<std::string> assignments_;
};

}  // namespace nf::cli
