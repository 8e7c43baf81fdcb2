// Answers to the exercises of chapter 4 that a program can give.
#include <cmath>
#include <cstdio>
#include <memory>
#include <numbers>

#include "flows/compose.h"
#include "flows/flow_density.h"
#include "flows/layers/coupling.h"
#include "flows/layers/scaling.h"
#include "flows/maps/affine.h"
#include "flows/train/fit.h"
#include "nn/nets/mlp.h"

using namespace nf;

/// Exercise 3: nats on rows that are narrower than the base, of four additive couplings, with a
/// scale of each dimension behind them or without.
static double nats(const data::Dataset& data, bool with_scaling) {
  Generator gen(/*seed=*/1);
  auto flow = std::make_shared<flows::Compose>();
  for (int i = 0; i < 4; ++i) {
    const auto partition = flows::Partition::halves(2, /*swap=*/i % 2 == 1);
    const auto net = nn::mlp({.in = 1, .out = 1, .hidden_units = 16}, gen);
    flow->add(str("couplings.", i),
              std::make_shared<flows::Coupling>(partition, flows::additive_map(), net));
  }
  if (with_scaling) flow->add("scaling", std::make_shared<flows::Scaling>(2));
  flows::FlowDensity density(flow, std::make_shared<flows::StandardNormal>(), 2);
  fit(density, data, {.epochs = 20, .optimizer = {.lr = 1e-2}});
  return evaluate(density, data.test.x).nats;
}

int main() {
  // Exercise 1: the log-determinant of a scale of 2 in 784 dimensions.
  const double by_two = flows::Scale(2.0).forward(Tensor::zeros({1, 784})).log_det.value().item();
  std::printf("Scale(2.0) of 784 dimensions: log_det %.4f, 784 ln 2 = %.4f\n", by_two,
              784 * std::numbers::ln2);

  Generator gen;
  const Tensor x = 0.1 * normal(gen, {6000, 2});
  data::Dataset data;
  data.dims = 2;
  data.train.x = x.narrow(0, 0, 4000);
  data.test.x = x.narrow(0, 4000, 2000);
  const double highest = -std::log(2 * std::numbers::pi);  // of the base, at 0, in two dimensions
  const double entropy = 2 * (0.5 * std::log(2 * std::numbers::pi * std::numbers::e * 0.01));
  const double without = nats(data, false), with = nats(data, true);
  std::printf("additive couplings alone  %.3f nats; the base is nowhere above %.3f\n", without,
              highest);
  std::printf("with a scale behind them  %.3f nats; the data have %.3f\n", with, -entropy);
  return std::abs(by_two - 784 * std::numbers::ln2) < 1e-3 && without < highest && with > 1.6 ? 0
                                                                                              : 1;
}
