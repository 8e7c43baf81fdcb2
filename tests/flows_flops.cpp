// FLOPs of layers against counts by hand: what `inspect` prints and `bench` divides by.
#include <boost/test/unit_test.hpp>

#include "flows/base.h"
#include "flows/bijection.h"
#include "flows/compose.h"
#include "flows/flow_density.h"
#include "flows/layers/autoregressive.h"
#include "flows/layers/conditions.h"
#include "flows/layers/coupling.h"
#include "flows/layers/dequantize.h"
#include "flows/layers/elementwise.h"
#include "flows/layers/ladder.h"
#include "flows/layers/level_cdf.h"
#include "flows/layers/logit.h"
#include "flows/layers/permute.h"
#include "flows/layers/planar.h"
#include "flows/layers/scaling.h"
#include "flows/layers/standardize.h"
#include "flows/layers/vae.h"
#include "flows/layers/variational_dequantize.h"
#include "flows/layers/whitening.h"
#include "flows/maps/affine.h"
#include "flows/maps/spline.h"
#include "nn/nets/mlp.h"

using namespace nf;
using namespace nf::flows;

BOOST_AUTO_TEST_SUITE(flows_flops)

namespace {

constexpr std::int64_t kRows = 3, kDims = 4;

double total(const nn::Module& module) {
  std::vector<nn::LayerInfo> rows;
  module.inspect({kRows, kDims}, "", rows);
  double flops = 0;
  for (const nn::LayerInfo& row : rows) flops += row.flops;
  return flops;
}

std::shared_ptr<nn::Layer> net_of(std::int64_t outputs, Generator& gen, std::int64_t inputs = 2) {
  return nn::mlp({.in = inputs,
                  .out = outputs,
                  .hidden_units = 5,
                  .hidden_layers = 1,
                  .activation = nn::activation_by_name("tanh")},
                 gen);
}

std::shared_ptr<Coupling> coupling(const std::shared_ptr<ElementwiseMap>& map, Generator& gen,
                                   std::int64_t context = 0) {
  return std::make_shared<Coupling>(Partition::halves(kDims), map,
                                    net_of(2 * map->parameters_per_dim(), gen, 2 + context));
}

std::shared_ptr<Autoregressive> autoregressive(const std::shared_ptr<ElementwiseMap>& map,
                                               Generator& gen) {
  const nn::MadeOptions options = {.dims = kDims,
                                   .outputs_per_dim = map->parameters_per_dim(),
                                   .hidden_units = 5,
                                   .activation = nn::activation_by_name("tanh")};
  return std::make_shared<Autoregressive>(map, std::make_shared<nn::Made>(options, gen));
}

}  // namespace

BOOST_AUTO_TEST_CASE(flops_are_those_counted_by_hand) {
  Generator gen(1);
  const Generator noise;
  // Of 3 rows and 4 dimensions: 12 elements. A product with a (4, 4) matrix has 4 multiplications
  // and 3 additions for each of them.
  const double product = 12 * (4 + 3);
  // The networks, of 2 numbers: 5 units with 2 multiplications, 2 additions (one the bias) and
  // tanh; then 5 and 5 for each output.
  const auto net = [](int outputs, int inputs = 2) {
    return 3.0 * (5 * (2 * inputs + 1) + outputs * (5 + 5));
  };
  struct Row {
    std::shared_ptr<nn::Module> module;
    double flops;
  };
  const auto scaling = std::make_shared<Scaling>(kDims);
  auto both = std::make_shared<Compose>();
  both->add("scale", std::make_shared<Scale>(2));
  both->add("scaling", scaling);
  const Ladder ladder{.dims = {1, 3}, .nets = {net_of(6, gen, 1)}};
  const Row rows[] = {
      {scaling, 12 + 4 + 4},                  // x exp(s); exp; sum
      {std::make_shared<Scale>(2), 12 + 12},  // times, plus
      {Permute::reverse(kDims), 0},
      {std::make_shared<Dequantize>(noise), 12 + 12},  // plus the noise, clamp
      // the coupling with a context of 4; context: times, minus; sigmoid; plus, clamp; both
      // logistic densities, minus; plus the coupling's
      {std::make_shared<VariationalDequantize>(noise, coupling(additive_map(), gen, 4), Shape{4}),
       net(2, 6) + 6 + 12 + 12 + 12 + 12 + 12 + 2 * 12 * (1 + 1 + 1 + 1) + 3 + 3},
      // an encoder of 4 to 5 numbers, of these 2 means and scales, a decoder of 2 to 4; of 2
      // latents in 3 rows exp, times, plus, square, two sums; for rows times, plus, minus, minus;
      // of 12 numbers plus, times, softplus, minus, sum
      {std::make_shared<VaeLayer>(
           noise, VaeLayer::Nets{net_of(5, gen, 4), net_of(4, gen, 5), net_of(4, gen, 2)},
           bernoulli_likelihood(4), 2),
       net(5, 4) + net(4, 5) + net(4, 2) + 6 * 6 + 3 * 4 + 12 * 5},
      {std::make_shared<Standardize>(kDims), 12 + 12 + 4 + 4},  // minus, divided; ln, sum
      // z: s = a + b x, 1 - s as log1p of -s: 2, 2 logarithms, 1 minus, 1 difference; log_det: two
      // softplus, one of -z, two additions, sum
      {std::make_shared<Logit>(), 12 * (2 + 2 + 1 + 1) + 12 * (2 + 1 + 2 + 1)},
      // mass = difference; (x - level) mass + below; ln mass, sum
      {std::make_shared<LevelCdf>(kDims), 12 * (1 + 3 + 2)},
      {std::make_shared<ZcaWhitening>(kDims), 12 + product},
      // centred, its product, plus, times exp(d); exp, sum
      {std::make_shared<TriangularWhitening>(kDims), 12 + product + 12 + 12 + 4 + 4},
      {std::make_shared<InvertibleLinear>(kDims, gen), product + 2 * 64 / 3.0},  // and LU
      {coupling(additive_map(), gen), net(2) + 6},
      // of 6 elements: s = limit tanh(h / limit), exp, times, sum; and the shift
      {coupling(multiplicative_map(), gen), net(2) + 6 * (3 + 1 + 1 + 1)},
      {coupling(affine_map(), gen), net(4) + 6 * (3 + 1 + 1 + 1 + 1)},
      // of 12 elements: what is masked is multiplied too
      {autoregressive(affine_map(), gen), net(2 * 4, 4) + 12 * (3 + 1 + 1 + 1 + 1)},
      // of 2 bins: logits minus the largest, exp, sum, times 1 / sum, sum of shares, twice; begins
      // of a side, to find the bin. Then 1 / sum, begin and size of both sides, softplus of two
      // logits + c, + m; t; s; q; below; above; top; value; log_slope; sum (tensor/spline.h)
      {autoregressive(spline_map(2), gen),
       net(5 * 4, 4) + 12 * (2 * (2 * (1 + 1 + 1 + 1 + 1) + 5) + 2 + 2 * (5 + 3) + 2 * 3 + 2 + 1 +
                             2 + 5 + 9 + 4 + 3 + 6 + 1)},
      // of 12 elements, with 2 parameters each from a context of 2 numbers
      {std::make_shared<Elementwise>(affine_map(), net_of(2 * kDims, gen)),
       net(8) + 12 * (3 + 1 + 1 + 1 + 1)},
      // 5 comparisons, and their product with the embedding; beside them scaling and the base
      {std::make_shared<FlowDensity>(scaling, std::make_shared<StandardNormal>(), kDims,
                                     Convention{}, std::make_shared<LabelCondition>(5, 2, gen)),
       3 * 5 * (1 + 4) + 20 + 30},
      // w.z + b, tanh, z + u' t, log_det; |w|^2, w.u, m and u'; with a context of 2 for each row
      {std::make_shared<Planar>(kDims, gen), 3 * (8 + 1 + 8 + 5) + 7 + 7 + 3 + 7 + 8},
      {std::make_shared<Planar>(kDims, gen, 2), 3 * (22 + 32) + 3 * 9 * (2 + 2)},
      // 3 latents below one, from a network of 1 number: s = limit tanh(r / limit), minus, exp,
      // times, plus, sum
      {std::make_shared<LadderPrior>(ladder), net(6, 1) + 9 * (3 + 1 + 1 + 1 + 1 + 1)},
      // and what the product has: minus, times, sigmoid, minus, times, plus; minus, times,
      // softplus, times
      {std::make_shared<LadderPosterior>(ladder), net(6, 1) + 9 * (8 + 6 + 4)},
      // z - c, r, the move, log_det; alpha and beta
      {std::make_shared<Radial>(kDims, gen), 3 * (4 + 9 + 2 + 8 + 13) + 7},
      {both, 24 + 20},
      {std::make_shared<Invert>(both), 24 + 20},
      {std::make_shared<StandardNormal>(), 12 + 12 + 3 + 3},  // squares, sum; times, plus
      {std::make_shared<StandardLogistic>(), 12 * (1 + 1 + 1 + 1)},
  };
  for (const Row& row : rows) {
    BOOST_TEST(total(*row.module) == row.flops,
               row.module->kind() << ": " << total(*row.module) << ", not " << row.flops);
  }
}

BOOST_AUTO_TEST_CASE(linear_layers_without_bias_or_activation) {
  Generator gen(1);
  const nn::Linear bare({.in = 4, .out = 5, .bias = false}, gen);
  BOOST_TEST(total(bare) == 3.0 * 5 * (4 + 3));
  const nn::Linear biased({.in = 4, .out = 5}, gen);
  BOOST_TEST(total(biased) == 3.0 * 5 * (4 + 4));
}

BOOST_AUTO_TEST_SUITE_END()
