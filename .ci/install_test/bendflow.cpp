// flowcli with one model more: `bendflow train bends --data moons --bends 3`, then all other
// commands.
#include <memory>
#include <nlohmann/json.hpp>

#include "bend.h"
#include "cli/flowcli.h"
#include "flows/compose.h"
#include "flows/flow_density.h"
#include "flows/layers/permute.h"
#include "flows/models/model.h"

using namespace nf;
using flows::Config;
using flows::DataShape;

// What can be set, with its defaults: --bends, config.json, --help and completion follow.
struct BendSettings : flows::SettingsOf<BendSettings> {
  std::int64_t bends = 4;

  std::vector<flows::Field> fields() override {
    return {{"bends", "number of learned matrices with a bend after each", &bends, {}, 1, 100}};
  }
};

// A matrix and a bend, again and again, on rows of real numbers around 0.
class Bends : public flows::Model {
 public:
  std::string name() const override { return "bends"; }
  std::string help() const override { return "learned matrices with a bend after each"; }

  Config preset(const DataShape&, const std::string&) const override {
    Config config(name(), std::make_unique<BendSettings>());
    config.data.source = "moons";
    config.training.steps = 2000;
    return config;
  }

  double parameters(const Config& config, const DataShape& data) const override {
    const auto dims = static_cast<double>(data.dims);
    return static_cast<double>(config.of<BendSettings>().bends) * (dims * dims + 2 * dims);
  }

  std::shared_ptr<flows::Density> build(const Config& config,
                                        const DataShape& data) const override {
    Generator gen(static_cast<std::uint64_t>(config.training.seed));
    auto flow = std::make_shared<flows::Compose>();
    for (std::int64_t i = 0; i < config.of<BendSettings>().bends; ++i) {
      flow->add(str("matrix", i), std::make_shared<flows::InvertibleLinear>(data.dims, gen));
      flow->add(str("bend", i), std::make_shared<Bend>(data.dims));
    }
    return std::make_shared<flows::FlowDensity>(flow, std::make_shared<flows::StandardNormal>(),
                                                data.dims);
  }
  nlohmann::ordered_json described(const Config& config, const DataShape& data) const override {
    return {{"dims", data.dims}, {"bends", config.of<BendSettings>().bends}};
  }
};

int main(int argc, char** argv) {
  flows::add_model(std::make_shared<Bends>());
  return cli::run(argc, argv);
}
