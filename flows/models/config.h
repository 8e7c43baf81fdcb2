// Config: every setting of a model and its training. What config.json holds, what the options of
// flowcli and --set change, and what a library user may fill in by hand.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "flows/models/settings.h"

namespace nf::flows {

struct TrainingSettings {
  std::int64_t epochs = 100;
  std::int64_t steps = 0;
  double budget = 0;
  std::int64_t batch_size = 200;
  std::string optimizer = "adam";
  double lr = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.99;
  double eps = 1e-4;
  double weight_decay = 0;
  std::string schedule = "constant";
  double lr_decay = 1;
  double lr_lowest = 0;
  std::int64_t lr_every = 1000;
  std::int64_t warmup = 0;
  double clip = 0;
  double ema = 0;
  std::int64_t patience = 0;
  bool flip = false;
  std::int64_t shift = 0;
  std::int64_t shards = 0;
  std::string exchange = "f32";
  std::string precision = "auto";
  std::int64_t seed = 1;

  std::vector<Field> fields();
};

struct DataSettings {
  std::string source = "glyphs";
  std::int64_t train = -1;
  std::int64_t valid = -1;
  std::int64_t test = -1;
  std::string valid_data;
  std::string test_data;
  std::string split_by;
  std::string fold;
  std::string columns;
  std::string drop;
  std::string label;
  std::string given;
  std::string types;
  std::string na;
  std::string missing = "refuse";
  std::string layout = "auto";
  std::string images;
  std::int64_t bits = 8;
  std::string binarize = "none";
  bool skip_bad = false;
  bool pack = false;

  std::vector<Field> fields();
};

struct OutputSettings {
  std::int64_t save_every = 1;
  double save_minutes = 10;
  std::int64_t sample_every = 5;
  std::int64_t samples = 64;
  double temperature = 1;
  std::string from;

  std::vector<Field> fields();
};

/// What a model must know of its data.
struct DataShape {
  std::int64_t dims = 0;
  bool discrete = false;    ///< levels 0..K-1, to be dequantised
  int levels = 256;         ///< K of discrete data
  bool unit_scale = false;  ///< real numbers around 0 of size 1, as built-in densities are
  std::vector<std::string> columns = {};             ///< names of the dimensions, or none
  std::int64_t rows = 0;                             ///< training samples; 0: not known
  std::int64_t channels = 0, height = 0, width = 0;  ///< all 0 when the rows are not images
  std::string family = {};  ///< "mnist", "cifar-10", "svhn", ...: the data set, where it is known
  std::vector<std::string> given = {};  ///< names of what is given with each row, or none
  int given_classes = 0;                ///< labels that may be given; 0: columns are
  std::vector<std::vector<std::string>> categories = {};  ///< of Dataset
  std::vector<double> spread = {};  ///< of Dataset: scales of columns that training cannot tell
};

/// A value: copies have settings of their own.
class Config {
 public:
  /// The settings of a model that Model::name() says.
  Config(std::string model, std::unique_ptr<Settings> settings);
  Config(const Config& other);
  Config(Config&&) = default;
  Config& operator=(Config other);
  ~Config();

  std::string model;  ///< the name of the model, see models()
  TrainingSettings training;
  DataSettings data;
  OutputSettings output;

  /// The model's own settings as the struct that they are. Throws Error when they are another's.
  template <class S>
  S& of() {
    return dynamic_cast<S&>(*settings_);
  }
  template <class S>
  const S& of() const {
    return dynamic_cast<const S&>(*settings_);
  }

  /// Every setting, in the order of config.json. They point into this object.
  std::vector<Field> fields();
  /// The same, to be read.
  std::vector<Field> fields() const { return const_cast<Config*>(this)->fields(); }
  /// The text of a setting that not every model has; `otherwise` where it has none.
  std::string text(const std::string& key, const std::string& otherwise) const;
  /// The setting of this name; throws Error, which begins with `where`, naming the nearest.
  Field field(const std::string& key, const std::string& where = "");

 private:
  std::unique_ptr<Settings> settings_;
};

/// Nested: {"model": {"name": "nice", ...}, "training": {...}, "data": {"source": ...}, "output":
/// {...}}.
nlohmann::ordered_json to_json(const Config& config);
/// Nested or flat ({"model": "nice", "lr": 0.1}), or both, for the model of `base`. Settings that
/// are not given keep the values of `base`; but who says epochs and not steps means epochs,
/// whatever `base` says. Throws Error for an unknown key (with the nearest one), a value of the
/// wrong type or out of range, and another model than that of `base`; `where` begins the message.
Config from_json(const nlohmann::json& json, const Config& base, const std::string& where);
/// "key=value" as on the command line; epochs=N makes steps 0. Throws like from_json.
void set(Config& config, const std::string& assignment, const std::string& where = "--set: ");

}  // namespace nf::flows
