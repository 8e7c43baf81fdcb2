// A flow built by hand from couplings, trained on a 2-D density until it is nearly the true one,
// and a picture of what it draws.
#include <cstdio>
#include <memory>

#include "data/png.h"
#include "data/source.h"
#include "flows/compose.h"
#include "flows/flow_density.h"
#include "flows/layers/coupling.h"
#include "flows/maps/affine.h"
#include "flows/train/fit.h"
#include "nn/nets/mlp.h"

using namespace nf;

/// Nine pictures in one, row by row: noise, and what the layers make of it, from the last to the
/// first. In the end it looks like the data.
static void draw_layers(const char* path, const flows::Compose& flow, Generator& gen) {
  constexpr double width = 9;  // of one picture, around 0
  std::vector<Tensor> pictures;
  Var points = normal(gen, {20000, 2});
  for (int i = 0; i < 9; ++i) {
    const double right = width * (i % 3), down = width * static_cast<double>(i / 3);
    const Tensor place = Tensor::from<double>({right, -down}, {2}).to(DType::F32);
    pictures.push_back(points.value() + place);
    if (i < 8) points = flow.parts()[7 - i].second->inverse(points).value;
  }
  const data::Bounds bounds{-width / 2, 2.5 * width, -2.5 * width, width / 2};
  data::write_scatter_png(path, concat(pictures, 0), 450, bounds);
}

int main(int argc, char** argv) {
  // Two interleaved half circles, drawn by the program: rows of (x, y).
  const data::Dataset moons = data::load("moons", {.train = 30000, .valid = 2000, .test = 10000});

  // Data -> latent: each coupling keeps one coordinate and moves the other by an amount that a
  // small network computes from the first. Zeros in its last layer make it start as the identity.
  Generator gen(/*seed=*/1);
  auto flow = std::make_shared<flows::Compose>();
  for (int i = 0; i < 8; ++i) {
    const auto net = nn::mlp({.in = 1,
                              .out = 2,  // log-scale and shift of the one coordinate
                              .hidden_units = 64,
                              .hidden_layers = 2,
                              .activation = nn::activation_by_name("silu"),
                              .last_init = {.kind = nn::Init::Kind::Zeros}},
                             gen);
    const auto partition = flows::Partition::halves(2, /*swap=*/i % 2 == 1);
    flow->add(str("couplings.", i),
              std::make_shared<flows::Coupling>(partition, flows::affine_map(), net));
  }
  flows::FlowDensity density(flow, std::make_shared<flows::StandardNormal>(), moons.dims);
  std::printf("%lld parameters\n", static_cast<long long>(density.parameter_count()));

  // Maximum likelihood: the mean of log_prob over the data, upwards. In the end it is at most
  // minus the entropy of the true density.
  fit(density, moons,
      {.epochs = 10,
       .batch_size = 200,
       .optimizer = {.lr = 2e-3},
       .schedule = {.kind = nn::Schedule::Kind::Cosine}},
      {.on_epoch = [](const flows::EpochReport& report) {
        std::printf("epoch %2lld  train %.3f  valid %.3f nats\n",
                    static_cast<long long>(report.epoch), report.train_nats, report.valid_nats);
      }});
  const flows::Evaluation test = evaluate(density, moons.test.x);
  std::printf("test %.3f +- %.3f nats; the true density has %.3f\n", test.nats, test.nats_se,
              -moons.entropy);

  // The model is a two-way street: new points from noise, and the noise of given points.
  const char* picture = argc > 1 ? argv[1] : "density_2d.png";
  data::write_scatter_png(picture, density.sample(gen, 50000), 512, data::bounds_of(moons.test.x));
  std::printf("wrote %s, 50000 new points\n", picture);
  if (argc > 2) draw_layers(argv[2], *flow, gen);
  const Tensor points = moons.test.x.narrow(0, 0, 100);
  const double round_trip = max(abs(density.decode(density.encode(points)) - points)).item();
  std::printf("decode(encode(x)) differs from x by at most %.1g\n", round_trip);

  return test.nats > -moons.entropy - 0.2 && round_trip < 1e-3 ? 0 : 1;
}
