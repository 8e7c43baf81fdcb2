// tabular: one network that knows any columns of a table given any others; our own, for tables.
// Source: any_order.h.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "data/columns.h"
#include "data/setting_error.h"
#include "flows/models/any_order.h"
#include "flows/models/conditioning.h"
#include "flows/models/model.h"
#include "flows/models/table_training.h"
#include "tensor/text.h"

namespace nf::flows {

namespace {

struct TabularSettings : SettingsOf<TabularSettings> {
  std::int64_t hidden_units = 256;
  std::int64_t hidden_layers = 3;
  std::string activation = "silu";
  std::int64_t components = 8;
  std::int64_t orders = 4;
  std::int64_t embedding = 0;

  std::vector<Field> fields() override {
    return {
        {"hidden_units", "width of the network", &hidden_units, {}, 1, 1e6},
        {"hidden_layers", "hidden layers", &hidden_layers, {}, 1, 100},
        {"activation", "of the network", &activation, nn::activation_names()},
        {"components", "logistics of the mixture that a number has", &components, {}, 1, 256},
        {"orders",
         "random orders of the columns, over which a density is averaged: each is a pass for "
         "every column",
         &orders,
         {},
         1,
         1000},
        {"embedding",
         "learned numbers that stand for a given label (0: a 1 at its place among zeros)",
         &embedding,
         {},
         0,
         10'000},
    };
  }
};

Conditioning conditioning_of(const TabularSettings& c) {
  Conditioning conditioning;
  conditioning.embedding = c.embedding;
  conditioning.conditional_prior = false;
  return conditioning;
}

AnyOrderOptions options_of(const TabularSettings& c, const std::string& types,
                           const DataShape& data) {
  AnyOrderOptions options{.dims = data.dims,
                          .names = data.columns,
                          .whole = data::integer_columns(types, data.columns, data.dims),
                          .spread = data.spread,
                          .hidden_units = c.hidden_units,
                          .hidden_layers = static_cast<int>(c.hidden_layers),
                          .activation = nn::activation_by_name(c.activation),
                          .components = static_cast<int>(c.components),
                          .orders = static_cast<int>(c.orders)};
  for (const data::ColumnType& type : data::column_types(types, data.columns, data.dims)) {
    options.bounds.emplace_back(type.low, type.high);
  }
  for (const std::vector<std::string>& names : data.categories) {
    options.categories.push_back(static_cast<std::int32_t>(names.size()));
  }
  return options;
}

class Tabular : public Model {
 public:
  std::string name() const override { return "tabular"; }
  std::string help() const override { return "our own for tables: any columns given any others"; }
  bool of_tables() const override { return true; }
  bool conditional() const override { return true; }
  std::string sizes() const override { return "hidden_units, hidden_layers, components"; }
  Config preset(const DataShape& data, const std::string&) const override;
  void check(const Config& config, const DataShape& data) const override;
  std::string why_idle(const Config& config, const DataShape& data,
                       const std::string& key) const override;
  double parameters(const Config& config, const DataShape& data) const override;
  std::shared_ptr<Density> build(const Config& config, const DataShape& data) const override;
  nlohmann::ordered_json described(const Config& config, const DataShape& data) const override;
};

// Which columns are known changes from step to step, so a row says something else each time: few
// rows are learned by heart later than by a flow, and need 3000 steps (measured on tables of 150,
// 500 and 1500 rows). Many have 40 epochs, as flows have.
void adapt(TrainingSettings& training, std::int64_t rows) {
  adapt_to_rows(training, rows);
  const std::int64_t per_epoch = (rows + training.batch_size - 1) / training.batch_size;
  const std::int64_t steps = std::clamp<std::int64_t>(40 * per_epoch, 3000, 20'000);
  training.epochs = std::clamp<std::int64_t>(steps / per_epoch, 5, 1000);
  training.patience = std::max<std::int64_t>(20, training.epochs / 5);
  training.warmup = 200;
  // Measured on tables of 107 to 20,000 rows: at this rate those from 300 rows on end 0.03 to 0.8
  // nats better, while shorter ones are learned by heart.
  if (rows >= 300) training.lr = 3e-3;
}

// Each order costs a pass for every column when rows are scored: fewer of them in wide tables, and
// in long ones, whose networks have seen enough to need no average.
std::int64_t orders_of(const DataShape& data) {
  constexpr std::int64_t kMost = 16, kCells = 4'000'000;
  const std::int64_t least = data.dims <= 16 ? 4 : data.dims <= 48 ? 2 : 1;
  if (data.rows == 0) return least;
  return std::clamp(kCells / (data.rows * data.dims), least, kMost);
}

Config Tabular::preset(const DataShape& data, const std::string&) const {
  Config config(name(), std::make_unique<TabularSettings>());
  TabularSettings& model = config.of<TabularSettings>();
  model.orders = orders_of(data);
  TrainingSettings& training = config.training;
  training.beta2 = 0.999;
  training.eps = 1e-8;
  training.schedule = "cosine";
  training.clip = 5;
  training.steps = 7000;
  training.batch_size = 300;
  training.warmup = 200;
  config.data.source = "moons";
  config.data.missing = "model";
  config.output.sample_every = 0;
  config.output.samples = 20000;
  if (data.rows > 0 && !data.unit_scale) {
    adapt(training, data.rows);
    // Epochs of a few steps end faster than their files are safe on the disk.
    config.output.save_every = std::max<std::int64_t>(1, training.epochs / 100);
  }
  return config;
}

void Tabular::check(const Config& config, const DataShape& data) const {
  const auto types = data::column_types(config.data.types, data.columns, data.dims);
  for (std::size_t i = 0; i < types.size(); ++i) {
    const bool category = i < data.categories.size() && !data.categories[i].empty();
    const data::ColumnType& type = types[i];
    data::check_setting(
        category ? !type.integer && !type.bounded() : !type.category, "types", "[types] column ",
        i + 1, " is ", data::type_in_words(type),
        category ? ", but has names of categories" : ", but has no names of its values");
  }
  data::check_setting(!data.discrete, "data",
                      "[data] tabular is for tables, and these data are pixels; maf and nice-plus "
                      "take them");
}

std::string Tabular::why_idle(const Config& full, const DataShape& data,
                              const std::string& key) const {
  return key == "embedding"
             ? flows::why_idle(conditioning_of(full.of<TabularSettings>()), data, key)
             : "";
}

double Tabular::parameters(const Config& full, const DataShape& data) const {
  const TabularSettings& c = full.of<TabularSettings>();
  const Conditioning conditioning = conditioning_of(c);
  return embedding_parameters(conditioning, data) +
         AnyOrder::parameters_of(options_of(c, full.data.types, data),
                                 context_dims(conditioning, data));
}

std::shared_ptr<Density> Tabular::build(const Config& full, const DataShape& data) const {
  const TabularSettings& c = full.of<TabularSettings>();
  const auto seed = static_cast<std::uint64_t>(full.training.seed);
  Generator weights(seed, Stream::kWeights);
  const std::shared_ptr<Condition> condition = make_condition(conditioning_of(c), data, weights);
  return std::make_shared<AnyOrder>(options_of(c, full.data.types, data), condition, weights,
                                    Generator(seed, Stream::kNoise));
}

nlohmann::ordered_json Tabular::described(const Config& full, const DataShape& data) const {
  const TabularSettings& c = full.of<TabularSettings>();
  std::vector<std::string> types;
  for (const data::ColumnType& type :
       data::column_types(full.data.types, data.columns, data.dims)) {
    types.push_back(data::type_in_words(type));
  }
  nlohmann::ordered_json json = {{"dims", data.dims},
                                 {"types", types},
                                 {"hidden_units", c.hidden_units},
                                 {"hidden_layers", c.hidden_layers},
                                 {"activation", c.activation},
                                 {"components", c.components},
                                 {"orders", c.orders},
                                 {"categories", data.categories}};
  if (!data.given.empty()) {
    json["given"] = data.given;
    json["given_classes"] = data.given_classes;
    json["embedding"] = c.embedding;
  }
  return json;
}

}  // namespace

std::shared_ptr<const Model> tabular_model() { return std::make_shared<Tabular>(); }

}  // namespace nf::flows
