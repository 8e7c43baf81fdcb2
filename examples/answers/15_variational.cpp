// Answer to an exercise of chapter 15: an inverse autoregressive flow is the layer of a masked
// autoregressive flow, turned around.
#include <cstdio>

#include "flows/base.h"
#include "flows/layers/autoregressive.h"
#include "flows/maps/affine.h"

using namespace nf;

constexpr std::int64_t kDims = 6;

int main() {
  Generator gen(1);
  const auto net =
      std::make_shared<nn::Made>(nn::MadeOptions{.dims = kDims,
                                                 .outputs_per_dim = 2,
                                                 .hidden_units = 20,
                                                 .activation = nn::activation_by_name("tanh")},
                                 gen);
  const auto layer = std::make_shared<flows::Autoregressive>(flows::affine_map(), net);
  layer->to(DType::F64);
  flows::Invert turned(layer);

  // Exercise 2: a draw, and its density. One pass: the formula of the layer.
  const Tensor e = normal(gen, {4, kDims}, DType::F64);
  flows::StandardNormal base;
  const auto [x, change] = turned.inverse(e);
  const Var of_draw = base.log_prob(e) - change;
  const double formula = max(abs(x.value() - layer->forward(e).value.value())).item();
  std::printf("draws of the turned flow are the formula of the layer: %s\n",
              formula == 0 ? "yes" : "no");

  // The density of given points: D short steps, since the network wants the latents.
  const auto [latents, log_det] = turned.forward(x);
  const Var of_points = base.log_prob(latents) + log_det;
  const double off = max(abs((of_draw - of_points).value())).item();
  std::printf("the density of the same points, by search, is the same to within 1e-12: %s\n",
              off < 1e-12 ? "yes" : "no");
  return formula == 0 && off < 1e-12 ? 0 : 1;
}
