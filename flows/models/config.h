// Config: every setting of a model and its training, by name. What config.json holds, what the
// options of flowcli and --set change, and what a library user may fill in by hand.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <variant>
#include <vector>

namespace nf::flows {

struct Config {
  // the model
  std::string model = "nice";
  std::string recipe = "paper";
  std::int64_t couplings = 4;
  std::string coupling = "additive";
  std::string partition = "odd-even";
  std::string mixing = "none";
  std::string whitening = "none";
  bool whitening_last = false;
  std::int64_t hidden_units = 1000;
  std::int64_t hidden_layers = 5;
  std::string depths;
  std::string activation = "relu";
  std::string init = "kaiming";
  double init_scale = 1;
  double last_init_scale = 0;
  double scale_limit = 2;
  bool scaling = true;
  bool data_init = true;
  double scale_rate = 10;
  std::string prior = "logistic";
  std::string preprocess = "auto";
  double alpha = 1e-6;

  // its training
  std::int64_t epochs = 100;
  std::int64_t steps = 0;
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
  std::string precision = "auto";
  std::int64_t seed = 1;

  // the data, and what is written when
  std::string data = "glyphs";
  std::int64_t train = -1;
  std::int64_t valid = -1;
  std::int64_t test = -1;
  std::string valid_data;
  std::string test_data;
  std::string split_by;
  std::string columns;
  std::string types;
  std::string layout = "auto";
  std::int64_t save_every = 1;
  std::int64_t sample_every = 5;
  std::int64_t samples = 64;
  double temperature = 1;
};

/// What a model must know of its data.
struct DataShape {
  std::int64_t dims = 0;
  bool discrete = false;    ///< levels 0..255, to be dequantised
  bool unit_scale = false;  ///< real numbers around 0 of size 1, as built-in densities are
  std::vector<std::string> columns = {};             ///< names of the dimensions, or none
  std::int64_t rows = 0;                             ///< training samples; 0: not known
  std::int64_t channels = 0, height = 0, width = 0;  ///< all 0 when the rows are not images
  std::string family = {};  ///< "mnist", "cifar-10", "svhn", ...: the data set, where it is known
  std::vector<double> spread = {};  ///< of Dataset: scales of columns that training cannot tell
};

/// One setting: its name (also --name with dashes), one line of help, and how to reach it.
struct Field {
  using Member =
      std::variant<std::int64_t Config::*, double Config::*, bool Config::*, std::string Config::*>;
  std::string key;
  std::string help;
  Member member;
  std::vector<std::string> choices = {};  ///< allowed texts; empty: any
  double lowest = 0;                      ///< allowed numbers
  double highest = 1e18;
  std::string group = {};  ///< "model", "training", "data" or "output"; fields() sets it

  /// In its group of a nested configuration: the key, but "name" of the model, and "source" and
  /// "wanted_columns" of data.
  std::string nested_key() const;
};

/// Every setting, in the order of config.json.
const std::vector<Field>& fields();

/// Nested: {"model": {"name": "nice", ...}, "training": {...}, "data": {"source": ...}, "output":
/// {...}}.
nlohmann::ordered_json to_json(const Config& config);
/// Nested or flat ({"model": "nice", "lr": 0.1}), or both. Settings that are not given keep the
/// values of `base`; but who says epochs and not steps means epochs, whatever `base` says. Throws
/// Error for an unknown key (with the nearest one), a value of the wrong type or out of range;
/// `where` begins the message.
Config from_json(const nlohmann::json& json, const Config& base, const std::string& where);
/// "key=value" as on the command line; epochs=N makes steps 0. Throws like from_json.
void set(Config& config, const std::string& assignment, const std::string& where = "--set: ");
/// The text form of one value, as `set` takes it.
std::string value_text(const Config& config, const Field& field);

}  // namespace nf::flows
