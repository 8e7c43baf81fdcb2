// Puts a layer of one's own to the library's test, and trains it among the library's layers.
#include <cstdio>
#include <memory>

#include "bend.h"
#include "data/source.h"
#include "flows/compose.h"
#include "flows/examine/check.h"
#include "flows/flow_density.h"
#include "flows/layers/coupling.h"
#include "flows/maps/affine.h"
#include "flows/train/fit.h"
#include "nn/nets/mlp.h"

using namespace nf;

// Everything that a flow layer promises: round trip, log-determinant against the Jacobian,
// gradients, saving and loading, f32 against f64, ...
static bool keeps_its_promises() {
  const auto broken = flows::check_bijection(
      {.name = "Bend",
       .make = [](Generator&) { return std::make_shared<Bend>(3); },
       .input =
           [](Generator& gen) {
             return normal(gen, {4, 3}, DType::F64);
           },
       .extremes = Tensor::from<double>({0, -1e30, 1e30, 1e-30, -1e-30, 0}, {2, 3})});
  for (const std::string& line : broken) std::printf("%s\n", line.c_str());
  return broken.empty();
}

// Six affine couplings that take turns in the two dimensions, a Bend after each.
static std::shared_ptr<flows::Compose> make_flow(Generator& gen) {
  auto flow = std::make_shared<flows::Compose>();
  for (int i = 0; i < 6; ++i) {
    const auto net =
        nn::mlp({.in = 1, .out = 2, .last_init = {.kind = nn::Init::Kind::Zeros}}, gen);
    flow->add(str("coupling", i),
              std::make_shared<flows::Coupling>(flows::Partition::halves(2, /*swap=*/i % 2 == 1),
                                                flows::affine_map(), net));
    flow->add(str("bend", i), std::make_shared<Bend>(2));
  }
  return flow;
}

int main(int, char** argv) {
  if (!keeps_its_promises()) return 1;

  Generator gen(/*seed=*/1);
  const data::Dataset moons = data::load("moons", {.train = 20000, .valid = 2000, .test = 5000});
  flows::FlowDensity density(make_flow(gen), std::make_shared<flows::StandardNormal>(), moons.dims);

  const double before = evaluate(density, moons.test.x).nats;
  fit(density, moons, {.epochs = 10, .batch_size = 200, .optimizer = {.lr = 2e-3}});
  const double after = evaluate(density, moons.test.x).nats;
  std::printf("moons: %.3f nats before training, %.3f after; the truth has %.3f\n", before, after,
              -moons.entropy);
  return after > before + 0.5 ? 0 : 1;
}
