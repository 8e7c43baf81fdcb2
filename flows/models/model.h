// Model: what a file of this folder offers, and the list of all models.
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "flows/density.h"
#include "flows/models/config.h"

namespace nf::flows {

/// A family of densities with its settings. flowcli's commands, help, completion and config.json
/// follow from what is said here.
///
/// A model of your own: derive, and hand it to add_model() before the command line is read
/// (cli/flowcli.h); in this tree, add its line to the list in list.cpp.
class Model {
 public:
  virtual ~Model() = default;
  /// As on the command line: "nice-plus".
  virtual std::string name() const = 0;
  /// At most 60 characters of help, with the source.
  virtual std::string help() const = 0;
  /// All settings, those of training, data and output too, as they are best for such data. Without
  /// data (dims 0): as the model is spoken of. `recipe`: one of recipes().
  virtual Config preset(const DataShape& data, const std::string& recipe) const = 0;
  /// Whose settings the preset can have, the default first: where published text and program
  /// differ, "paper" and "code", and "nf" where ours are others. None: there is no choice.
  virtual std::vector<std::string> recipes() const { return {}; }
  /// Whether it takes images alone, and refuses rows without height and width.
  virtual bool of_images() const { return false; }
  /// Whether it is for tables alone: it takes numbers, which it standardises itself, categories and
  /// missing cells, and refuses pixels.
  virtual bool of_tables() const { return false; }
  /// Height and width of images are multiples of this. `config` is resolved.
  virtual std::int64_t side_step(const Config& /*config*/) const { return 1; }
  /// The configuration with what "auto" means for the data.
  virtual Config resolved(const Config& config, const DataShape& /*data*/) const { return config; }
  /// Throws data::SettingError for a setting that does not go with the data or with another one.
  virtual void check(const Config& /*resolved*/, const DataShape& /*data*/) const {}
  /// Whether build() makes a density that depends on what the data give (DataShape::given). Data
  /// that give something are refused otherwise.
  virtual bool conditional() const { return false; }
  /// Why one of the model's settings changes nothing beside the others; empty when it does
  /// something.
  virtual std::string why_idle(const Config& /*config*/, const DataShape& /*data*/,
                               const std::string& /*key*/) const {
    return "";
  }
  /// About how many parameters build() makes, from shapes alone, before anything is allocated.
  virtual double parameters(const Config& config, const DataShape& data) const = 0;
  /// The settings that make a model smaller or larger, as advice names them.
  virtual std::string sizes() const { return "hidden_units, hidden_layers, couplings"; }
  /// The density; weights and noise are drawn from config.training.seed. `config` is resolved and
  /// checked.
  virtual std::shared_ptr<Density> build(const Config& config, const DataShape& data) const = 0;
  /// What a file of weights says of its model, so that others can use it (docs/weights.md).
  virtual nlohmann::ordered_json described(const Config& resolved, const DataShape& data) const = 0;
};

/// All models, in the order of help.
const std::vector<std::shared_ptr<const Model>>& models();
/// Adds one of another program. Throws Error when its name is taken.
void add_model(std::shared_ptr<const Model> model);
/// Throws Error for other names, listing those that there are.
const Model& model_by_name(const std::string& name);

/// Random streams of one seed: what is drawn for one purpose does not move the others.
struct Stream {
  static constexpr std::uint64_t kWeights = 1, kNoise = 2, kNoiseWeights = 3, kLatents = 4;
};

/// "boards is of image-plus; realnvp has recipe, norm, ...", names as `shown` makes them: why a
/// model has no such setting; empty where no other one has it.
std::string of_other_models(const std::string& key, const std::string& model,
                            const std::function<std::string(const std::string&)>& shown);

/// Names that preset() knows.
std::vector<std::string> preset_names();
/// The settings of a model for such data, by default of its first recipe. Throws Error for other
/// names, listing these.
Config preset(const std::string& name, const DataShape& data = {}, const std::string& recipe = "");

}  // namespace nf::flows
