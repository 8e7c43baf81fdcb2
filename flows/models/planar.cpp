// planar: planar, radial or Sylvester layers in a row, each one bend of the space.
// Source: Rezende, Mohamed, "Variational inference with normalizing flows" (2015); van den Berg et
// al., "Sylvester normalizing flows" (2018).
#include "flows/layers/planar.h"

#include <nlohmann/json.hpp>

#include "flows/flow_density.h"
#include "flows/layers/sylvester.h"
#include "flows/models/idle.h"
#include "flows/models/model.h"
#include "flows/models/preprocessing.h"
#include "flows/models/table_training.h"
#include "tensor/names.h"

namespace nf::flows {

namespace {

enum class Bend { Planar, Radial, Sylvester };
enum class Formula { Density, Draws };

const Names<Bend>& bends() {
  static const Names<Bend> names(
      "bend", {{"planar", Bend::Planar}, {"radial", Bend::Radial}, {"sylvester", Bend::Sylvester}});
  return names;
}

const Names<Formula>& formulas() {
  static const Names<Formula> names("formula",
                                    {{"density", Formula::Density}, {"draws", Formula::Draws}});
  return names;
}

struct PlanarFlowSettings : SettingsOf<PlanarFlowSettings>, Preprocessing {
  std::int64_t layers = 32;
  std::string bend = "planar";
  std::string formula = "density";
  std::string prior = "gaussian";

  std::vector<Field> fields() override {
    std::vector<Field> all = {
        {"layers", "bends in a row", &layers, {}, 1, 10000},
        {"bend", "planar: along a direction; radial: around a point; sylvester: in eight at once",
         &bend, bends().all()},
        {"formula", "what needs no search: density, for a training on data; draws, for a target",
         &formula, formulas().all()},
        {"prior", "base distribution", &prior, base_names()},
    };
    const std::vector<Field> shared = Preprocessing::fields();
    all.insert(all.end(), shared.begin(), shared.end());
    return all;
  }
};

const PlanarFlowSettings& planar_flow(const Config& config) {
  return config.of<PlanarFlowSettings>();
}

SylvesterOptions sylvester_of(std::int64_t dims) { return {.dims = dims}; }

std::shared_ptr<Transform> bend_of(const PlanarFlowSettings& c, std::int64_t dims, Generator& gen) {
  switch (bends().at(c.bend)) {
    case Bend::Planar:
      return std::make_shared<Planar>(dims, gen);
    case Bend::Radial:
      return std::make_shared<Radial>(dims, gen);
    case Bend::Sylvester:
      break;
  }
  return std::make_shared<Sylvester>(sylvester_of(dims), gen);
}

double parameters_of_bend(const PlanarFlowSettings& c, double dims) {
  switch (bends().at(c.bend)) {
    case Bend::Planar:
      return 2 * dims + 1;
    case Bend::Radial:
      return dims + 2;
    case Bend::Sylvester:
      break;
  }
  const double rank = std::min(dims, static_cast<double>(SylvesterOptions{}.columns));
  return rank * (dims + rank + 2);
}

class PlanarFlow : public Model {
 public:
  std::string name() const override { return "planar"; }
  std::string help() const override {
    return "bends in a row: targets, 2-D densities (Rezende 2015)";
  }

  Config preset(const DataShape& data, const std::string&) const override {
    Config config(name(), std::make_unique<PlanarFlowSettings>());
    config.data.source = "moons";
    config.output.sample_every = 0;
    config.output.samples = 20000;
    TrainingSettings& training = config.training;
    training.batch_size = 300;
    training.steps = 10000;
    training.lr = 5e-3;
    training.beta2 = 0.999;
    training.eps = 1e-8;
    training.schedule = "cosine";
    training.warmup = 200;
    training.clip = 1;
    if (data.rows > 0 && !data.unit_scale) adapt_to_rows(training, data.rows);
    return config;
  }

  Config resolved(const Config& config, const DataShape& data) const override {
    Config full = config;
    std::string& kind = full.of<PlanarFlowSettings>().preprocess;
    kind = kind == "auto" && data.discrete ? "logit" : resolved_preprocess(kind, data);
    return full;
  }

  void check(const Config& config, const DataShape& data) const override {
    check_preprocessing(planar_flow(config), config.data, data);
  }

  std::string why_idle(const Config& config, const DataShape& data,
                       const std::string& key) const override {
    const PlanarFlowSettings& c = planar_flow(config);
    return first_idle(
        {{{"alpha"}, !has_logit(c, data), str("preprocess = ", c.preprocess, " has no logit")}},
        key);
  }

  std::string sizes() const override { return "layers"; }

  double parameters(const Config& config, const DataShape& data) const override {
    const PlanarFlowSettings& c = planar_flow(config);
    return static_cast<double>(c.layers) * parameters_of_bend(c, static_cast<double>(data.dims));
  }

  std::shared_ptr<Density> build(const Config& full, const DataShape& data) const override {
    const PlanarFlowSettings& c = planar_flow(full);
    const auto seed = static_cast<std::uint64_t>(full.training.seed);
    Generator weights(seed, Stream::kWeights);
    const Generator noise(seed, Stream::kNoise);
    auto flow = std::make_shared<Compose>();
    const Convention convention = add_preprocessing(c, full.data, data, *flow, noise);
    const bool draws = formulas().at(c.formula) == Formula::Draws;
    for (std::int64_t i = 0; i < c.layers; ++i) {
      std::shared_ptr<Transform> layer = bend_of(c, data.dims, weights);
      if (draws) layer = std::make_shared<Invert>(layer);
      flow->add(str("layers.", i), layer);
    }
    return std::make_shared<FlowDensity>(flow, base_by_name(c.prior), data.dims, convention);
  }

  nlohmann::ordered_json described(const Config& full, const DataShape& data) const override {
    const PlanarFlowSettings& c = planar_flow(full);
    return {{"dims", data.dims},          {"levels", data.discrete ? data.levels : 0},
            {"preprocess", c.preprocess}, {"alpha", c.alpha},
            {"layers", c.layers},         {"bend", c.bend},
            {"formula", c.formula},       {"prior", c.prior}};
  }
};

}  // namespace

std::shared_ptr<const Model> planar_model() { return std::make_shared<PlanarFlow>(); }

}  // namespace nf::flows
