#include "tests/flows_rows.h"

#include <boost/test/unit_test.hpp>

#include "flows/compose.h"
#include "flows/layers/batch_norm.h"
#include "flows/layers/coupling.h"
#include "flows/layers/elementwise.h"
#include "flows/layers/factor_out.h"
#include "flows/layers/permute.h"
#include "flows/layers/reshape.h"
#include "flows/layers/scaling.h"
#include "flows/maps/affine.h"
#include "flows/maps/mixture.h"
#include "flows/maps/spline.h"
#include "nn/layers/conv2d.h"
#include "nn/nets/glow_net.h"
#include "nn/nets/mlp.h"
#include "nn/nets/realnvp_net.h"

namespace nf::test {

using namespace flows;

namespace {

std::function<Tensor(Generator&)> normals(const Shape& shape, double scale = 1) {
  return [=](Generator& gen) { return normal(gen, shape, DType::F64) * scale; };
}

std::shared_ptr<nn::Layer> dense(std::int64_t in, std::int64_t out, Generator& gen) {
  return nn::mlp({.in = in,
                  .out = out,
                  .hidden_units = 7,
                  .hidden_layers = 1,
                  .activation = nn::activation_by_name("tanh")},
                 gen);
}

// A network whose answer is a quarter as large: splines with bins of a thousandth, which moved
// parameters would make, have quotients of differences with no digits left.
class Calm : public nn::Layer {
 public:
  explicit Calm(std::shared_ptr<nn::Layer> net) : net_(add_module("net", std::move(net))) {}
  Var forward(const Var& x) override { return net_(x) * 0.25; }
  std::string kind() const override { return "Calm"; }
  Shape out_shape(const Shape& in) const override { return net_.out_shape(in); }

 private:
  nn::Layer& net_;
};

// RealNVP's network, of an input that is not 0 at the origin: relu(x) and relu(-x) both have slope
// 0 there, which is the slope to neither side.
class Shifted : public nn::Layer {
 public:
  Shifted(const nn::RealNvpNetOptions& options, Generator& gen)
      : net_(add_module("net", std::make_shared<nn::RealNvpNet>(options, gen))) {}
  Var forward(const Var& x) override { return net_(x + 0.1); }
  Var initialize(const Var& x) override { return net_.initialize(x + 0.1); }
  std::int64_t initial_rows() const override { return net_.initial_rows(); }
  std::string kind() const override { return "Shifted"; }
  Shape out_shape(const Shape& in) const override { return net_.out_shape(in); }

 private:
  nn::RealNvpNet& net_;
};

std::shared_ptr<nn::Layer> conv(std::int64_t in, std::int64_t out, Generator& gen) {
  return std::make_shared<nn::Conv2d>(nn::Conv2dOptions{.in = in, .out = out, .padding = {1, 1}},
                                      gen);
}

std::shared_ptr<Coupling> conv_coupling(const Partition& partition, std::int64_t context,
                                        Generator& gen) {
  const auto map = affine_map();
  return std::make_shared<Coupling>(
      partition, map, conv(partition.passive() + context, 2 * partition.active(), gen));
}

// Far from 0 on both sides, where exponentials meet the ends of f32.
Tensor far(std::int64_t dims) {
  return concat(std::vector<Tensor>{Tensor::full({1, dims}, 1e3, DType::F64),
                                    Tensor::full({1, dims}, -1e3, DType::F64),
                                    Tensor::zeros({1, dims}, DType::F64)},
                0);
}

}  // namespace

std::vector<FlowRow> map_rows() {
  std::vector<FlowRow> rows;
  struct Row {
    std::shared_ptr<ElementwiseMap> map;
    double scale;  ///< of the inputs
  };
  for (const Row& row :
       {Row{sigmoid_map(), 1}, Row{gated_map(), 1}, Row{bounded_affine_map(1, 0.8), 1},
        Row{tanh_map(0.7), 1}, Row{gaussian_map(), 1}, Row{interleaved(affine_map()), 1},
        Row{mixture_map(1), 1}, Row{mixture_map(4), 3}, Row{spline_map(2), 1},
        Row{spline_map(8, 2), 1.5}}) {
    const auto make = [map = row.map](Generator& gen) {
      const auto net = dense(3, 2 * map->parameters_per_dim(), gen);
      return std::make_shared<Coupling>(Partition::halves(5), map, std::make_shared<Calm>(net));
    };
    rows.push_back({"Coupling",
                    {.name = "Coupling, " + row.map->kind(),
                     .make = make,
                     .input = normals({6, 5}, row.scale),
                     .extremes = far(5)}});
  }
  return rows;
}

std::vector<FlowRow> realnvp_rows() {
  std::vector<FlowRow> rows;
  const auto images = normals({3, 4, 6, 3});
  const auto add = [&](const std::string& type, BijectionCase test) {
    test.name = type + " of RealNVP, " + test.name;
    rows.push_back({type, std::move(test)});
  };
  for (const bool swap : {false, true}) {
    for (const bool masked : {false, true}) {
      const Partition board = Partition::checkerboard(3, swap, masked);
      add("BatchNorm", {.name = board.text(),
                        .make = [=](Generator&) { return std::make_shared<BatchNorm>(board); },
                        .input = images,
                        .of_batch = true});
      for (const bool batch_norm : {false, true}) {
        for (const std::int64_t context : {0, 2}) {
          const std::optional<int> shown = masked ? std::optional<int>(swap ? 1 : 0) : std::nullopt;
          const auto make = [=](Generator& gen) {
            return std::make_shared<Coupling>(
                board, tanh_map(0.5),
                std::make_shared<Shifted>(nn::RealNvpNetOptions{.in = 3,
                                                                .context = context,
                                                                .out = 6,
                                                                .width = 4,
                                                                .blocks = 1,
                                                                .batch_norm = batch_norm,
                                                                .board = shown},
                                          gen));
          };
          add("Coupling", {.name = str(board.text(), batch_norm ? ", batch norm" : "",
                                       context ? ", given" : ""),
                           .make = make,
                           .input = images,
                           .context = context,
                           .of_batch = batch_norm});
        }
      }
    }
  }
  add("BatchNorm",
      {.name = "rows",
       .make = [](Generator&) { return std::make_shared<BatchNorm>(Partition::halves(5)); },
       .input = normals({6, 5}),
       .of_batch = true});
  add("BatchNorm", {.name = "among others",
                    .make =
                        [](Generator& gen) {
                          auto flow = std::make_shared<Compose>();
                          for (const bool swap : {false, true}) {
                            const Partition halves = Partition::halves(4, swap);
                            flow->add(str("coupling.", swap), conv_coupling(halves, 0, gen));
                            flow->add(str("norm.", swap), std::make_shared<BatchNorm>(halves));
                          }
                          return flow;
                        },
                    .input = normals({4, 2, 4, 4}),
                    .of_batch = true});
  for (const SqueezeOrder order : {SqueezeOrder::ByChannel, SqueezeOrder::ByColour}) {
    const std::string name = order == SqueezeOrder::ByColour ? "by colour" : "by channel";
    add("Squeeze", {.name = name,
                    .make = [=](Generator&) { return std::make_shared<Squeeze>(order); },
                    .input = images});
    add("Unsqueeze", {.name = name,
                      .make = [=](Generator&) { return std::make_shared<Unsqueeze>(order); },
                      .input = normals({3, 2, 3, 4})});
  }
  return rows;
}

std::vector<FlowRow> image_rows() {
  std::vector<FlowRow> rows;
  const auto add = [&](const std::string& type, BijectionCase test) {
    test.name = type + " of images, " + test.name;
    rows.push_back({type, std::move(test)});
  };
  const auto images = normals({3, 4, 6, 3});
  for (const bool swap : {false, true}) {
    for (const Partition& partition :
         {Partition::halves(3, swap), Partition::odd_even(3, swap),
          Partition::checkerboard(3, swap), Partition::checkerboard(3, swap, /*masked=*/true)}) {
      for (const std::int64_t context : {0, 2}) {
        add("Coupling",
            {.name = str(partition.text(), context ? ", on a context" : ""),
             .make = [=](Generator& gen) { return conv_coupling(partition, context, gen); },
             .input = images,
             .context = context});
      }
    }
  }
  add("Coupling", {.name = "Glow's network",
                   .make =
                       [](Generator& gen) {
                         return std::make_shared<Coupling>(
                             Partition::halves(4), interleaved(sigmoid_map()),
                             nn::glow_net({.in = 2, .out = 4, .width = 5}, gen));
                       },
                   .input = normals({3, 4, 4, 4})});
  add("Coupling", {.name = "mixture",
                   .make =
                       [](Generator& gen) {
                         const auto map = mixture_map(2);
                         return std::make_shared<Coupling>(
                             Partition::checkerboard(2), map,
                             conv(2, 2 * map->parameters_per_dim(), gen));
                       },
                   .input = normals({3, 2, 4, 2})});
  add("Permute", {.name = "of channels",
                  .make = [](Generator& gen) { return Permute::random(3, gen); },
                  .input = images});
  add("InvertibleLinear",
      {.name = "1x1 convolution",
       .make = [](Generator& gen) { return std::make_shared<InvertibleLinear>(3, gen); },
       .input = images});
  add("InvertibleLu",
      {.name = "1x1 convolution",
       .make = [](Generator& gen) { return std::make_shared<InvertibleLu>(3, gen); },
       .input = images});
  add("InvertibleLu",
      {.name = "rows",
       .make = [](Generator& gen) { return std::make_shared<InvertibleLu>(7, gen); },
       .input = normals({4, 7})});
  add("Scaling", {.name = "channels",
                  .make = [](Generator&) { return std::make_shared<Scaling>(3); },
                  .input = images});
  add("ActNorm", {.name = "channels",
                  .make = [](Generator&) { return std::make_shared<ActNorm>(3); },
                  .input = images});
  add("ActNorm", {.name = "rows",
                  .make = [](Generator&) { return std::make_shared<ActNorm>(7, 1); },
                  .input = normals({4, 7})});
  add("LearnedPrior", {.name = "Glow's top",
                       .make =
                           [](Generator& gen) {
                             return std::make_shared<LearnedPrior>(2, gaussian_map(),
                                                                   nn::zero_conv(2, 6, gen));
                           },
                       .input = images});
  add("LearnedPrior", {.name = "given a context",
                       .make =
                           [](Generator& gen) {
                             return std::make_shared<LearnedPrior>(
                                 2, gaussian_map(), nn::zero_conv(2, 6, gen), /*given=*/true);
                           },
                       .input = images,
                       .context = 2});
  const auto factored = [](std::int64_t context, bool prior) {
    return [=](Generator& gen) {
      auto rest = std::make_shared<Compose>();
      rest->add("squeeze", std::make_shared<Squeeze>());
      rest->add("coupling", conv_coupling(Partition::halves(8), context, gen));
      rest->add("row", std::make_shared<Flatten>(Shape{2, 3, 8}));
      const auto map = prior ? gaussian_map() : nullptr;
      const auto net = prior ? conv(2 + context, 2, gen) : nullptr;
      return std::make_shared<FactorOut>(Shape{4, 6, 3}, rest, map, net);
    };
  };
  add("FactorOut", {.name = "as it is", .make = factored(0, false), .input = images});
  add("FactorOut", {.name = "a learned prior", .make = factored(0, true), .input = images});
  add("FactorOut", {.name = "a learned prior given a context",
                    .make = factored(2, true),
                    .input = images,
                    .context = 2});
  return rows;
}

}  // namespace nf::test

BOOST_AUTO_TEST_SUITE(flows_rows)

BOOST_AUTO_TEST_CASE(maps_and_layers_of_images_keep_their_promises) {
  for (const auto& rows :
       {nf::test::map_rows(), nf::test::image_rows(), nf::test::realnvp_rows()}) {
    for (const nf::test::FlowRow& row : rows) {
      for (const std::string& failure : nf::flows::check_bijection(row.test)) BOOST_ERROR(failure);
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()
