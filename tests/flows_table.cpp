// The flow table: every layer has a row, and every row goes through check_bijection. And the
// checker itself: wrong bijections must be caught.
#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <set>
#include <sstream>

#include "autograd/gradcheck.h"
#include "flows/bijection.h"
#include "flows/compose.h"
#include "flows/examine/check.h"
#include "flows/layers/bounded.h"
#include "flows/layers/coupling.h"
#include "flows/layers/dequantize.h"
#include "flows/layers/elementwise.h"
#include "flows/layers/level_cdf.h"
#include "flows/layers/logit.h"
#include "flows/layers/permute.h"
#include "flows/layers/reshape.h"
#include "flows/layers/scaling.h"
#include "flows/layers/standardize.h"
#include "flows/layers/vae.h"
#include "flows/layers/variational_dequantize.h"
#include "flows/layers/whitening.h"
#include "flows/maps/affine.h"
#include "nn/nets/mlp.h"
#include "tests/data_util.h"
#include "tests/devices.h"
#include "tests/flows_rows.h"

using namespace nf;
using namespace nf::flows;

namespace {

using test::FlowRow;

constexpr double kOpen = std::numeric_limits<double>::infinity();  // where there is no bound

std::function<Tensor(Generator&)> normals(std::int64_t dims) {
  return [dims](Generator& gen) { return normal(gen, {4, dims}, DType::F64); };
}

/// 0, +-1e3 and both signs together.
Tensor extremes(std::int64_t dims) {
  const Tensor signs = affine(Tensor::arange(dims, DType::F64), 2000.0 / (dims - 1), -1000);
  return concat(
      std::vector<Tensor>{Tensor::zeros({1, dims}, DType::F64),
                          Tensor::full({1, dims}, 1e3, DType::F64),
                          Tensor::full({1, dims}, -1e3, DType::F64), signs.reshape({1, dims})},
      0);
}

std::shared_ptr<nn::Layer> small_net(std::int64_t in, std::int64_t out, Generator& gen) {
  return nn::mlp({.in = in,
                  .out = out,
                  .hidden_units = 7,
                  .hidden_layers = 1,
                  .activation = nn::activation_by_name("tanh")},
                 gen);
}

std::shared_ptr<Coupling> coupling(const Partition& partition,
                                   const std::shared_ptr<ElementwiseMap>& map, Generator& gen,
                                   std::int64_t context = 0) {
  return std::make_shared<Coupling>(partition, map,
                                    small_net(partition.passive() + context,
                                              partition.active() * map->parameters_per_dim(), gen));
}

std::vector<std::pair<std::string, Partition>> partitions(std::int64_t dims) {
  return {{"halves", Partition::halves(dims)},
          {"halves, swapped", Partition::halves(dims, true)},
          {"odd_even", Partition::odd_even(dims)},
          {"odd_even, swapped", Partition::odd_even(dims, true)},
          {"indices", Partition::indices(dims, {3, 0})},
          {"all but one",
           Partition::indices(dims, dims == 5 ? std::vector<std::int64_t>{4, 2, 1, 0}
                                              : std::vector<std::int64_t>{5, 4, 3, 1, 0})}};
}

const std::shared_ptr<ElementwiseMap> kMaps[] = {additive_map(), multiplicative_map(),
                                                 affine_map(0.7)};

std::vector<FlowRow> flow_table() {
  std::vector<FlowRow> rows;
  const auto add = [&](const std::string& type, BijectionCase test) {
    test.name = type + " " + test.name;
    rows.push_back({type, std::move(test)});
  };
  const auto seven = normals(7);
  add("Scaling", {.name = "",
                  .make = [](Generator&) { return std::make_shared<Scaling>(7); },
                  .input = seven,
                  .extremes = extremes(7)});
  add("Scaling", {.name = "learning faster",
                  .make = [](Generator&) { return std::make_shared<Scaling>(7, 2.5); },
                  .input = seven});
  add("Permute", {.name = "reversed",
                  .make = [](Generator&) { return Permute::reverse(7); },
                  .input = seven,
                  .extremes = extremes(7)});
  add("Permute", {.name = "at random",
                  .make = [](Generator& gen) { return Permute::random(7, gen); },
                  .input = seven});
  add("InvertibleLinear",
      {.name = "",
       .make = [](Generator& gen) { return std::make_shared<InvertibleLinear>(7, gen); },
       .input = seven,
       .extremes = extremes(7)});
  const auto correlated = [](Generator& gen, std::int64_t rows) {
    const Tensor mix = normal(gen, {5, 5}, DType::F64), causes = normal(gen, {rows, 5}, DType::F64);
    return matmul(causes, mix) + 3.0;
  };
  const auto whitening = [=](auto layer) {
    return [=](Generator& gen) {
      auto made = layer();
      made->initialize(correlated(gen, 40).to(DType::F32));
      return made;
    };
  };
  add("LevelCdf",
      {.name = "",
       .make =
           [](Generator& gen) {
             auto layer = std::make_shared<LevelCdf>(5, 6);
             const Tensor a = uniform(gen, {50, 5}), b = uniform(gen, {50, 5});
             layer->initialize(a * b * 6.0);
             return layer;
           },
       .input =
           [](Generator& gen) {
             const Tensor level = (uniform(gen, {20, 5}, DType::F64) * 6.0).to(DType::I32);
             return level.to(DType::F64) + uniform(gen, {20, 5}, DType::F64) * 0.8 + 0.1;
           },
       .extremes = Tensor::from<double>({0, 5.99, 0, 3, 5}, {1, 5}),
       .kinks = Tensor::from<double>({1, 2, 3, 4, 5}, {1, 5})});
  add("ZcaWhitening", {.name = "",
                       .make = whitening([] { return std::make_shared<ZcaWhitening>(5); }),
                       .input = normals(5),
                       .extremes = extremes(5),
                       .tolerance = 1e-4});  // W and its inverse are stored in f32
  add("TriangularWhitening",
      {.name = "",
       .make = whitening([] { return std::make_shared<TriangularWhitening>(5, 0.5); }),
       .input = normals(5),
       .extremes = extremes(5)});
  add("Scale", {.name = "",
                .make = [](Generator&) { return std::make_shared<Scale>(-0.25, 3); },
                .input = seven,
                .extremes = extremes(7)});
  add("Standardize", {.name = "",
                      .make =
                          [](Generator&) {
                            auto layer = std::make_shared<Standardize>(7);
                            Generator data(5);
                            const Tensor spread = Tensor::arange(7) * 20.0F + 0.01F;
                            layer->initialize(normal(data, {50, 7}) * spread + spread);
                            return layer;
                          },
                      .input = seven,
                      .extremes = extremes(7)});
  const auto inside = [](Generator& gen) { return uniform(gen, {4, 5}, DType::F64) * 0.9 + 0.05; };
  for (const double alpha : {0.05, 1e-6}) {
    add("Logit", {.name = str(alpha),
                  .make = [=](Generator&) { return std::make_shared<Logit>(alpha); },
                  .input = inside,
                  .extremes = Tensor::from<double>({0, 1, 0.5, 1, 0}, {1, 5})});
  }
  add("Bounded", {.name = "",
                  .make =
                      [](Generator&) {
                        return std::make_shared<Bounded>(std::vector<std::pair<double, double>>{
                            {0, 1}, {-0.1, 7.3}, {0, kOpen}, {-kOpen, 1.1}, {-kOpen, kOpen}});
                      },
                  .input = inside,
                  .extremes = Tensor::from<double>({1e-12, 7.29, 1e6, -1e6, 0}, {1, 5})});
  const auto levels = [](Generator& gen) {
    return (uniform(gen, {20, 5}, DType::F64) * 256.0).to(DType::U8).to(DType::F64);
  };
  add("Dequantize", {.name = "",
                     .make = [](Generator&) { return std::make_shared<Dequantize>(Generator(4)); },
                     .input = levels,
                     .differentiable = false,
                     .extremes = Tensor::from<double>({0, 255, 0, 255, 128}, {1, 5})});
  add("VariationalDequantize",
      {.name = "of rows",
       .make =
           [](Generator& gen) {
             const auto flow = coupling(Partition::halves(5), affine_map(), gen, /*context=*/5);
             return std::make_shared<VariationalDequantize>(Generator(4), flow, Shape{5});
           },
       .input = levels,
       .differentiable = false,
       .extremes = Tensor::from<double>({0, 255, 0, 255, 128}, {1, 5})});
  add("VaeLayer",
      {.name = "",
       .make =
           [](Generator& gen) {
             return std::make_shared<VaeLayer>(
                 Generator(4),
                 VaeLayer::Nets{small_net(5, 6, gen), small_net(6, 4, gen), small_net(2, 5, gen)},
                 logistic_likelihood(5, 256), 2);
           },
       .input = levels,
       .differentiable = false,
       .extremes = Tensor::from<double>({0, 255, 0, 255, 128}, {1, 5})});
  add("DequantizeColumns", {.name = "",
                            .make =
                                [](Generator&) {
                                  return std::make_shared<DequantizeColumns>(
                                      Generator(4), 5, std::vector<std::int32_t>{0, 3});
                                },
                            .input = levels,
                            .differentiable = false,
                            .extremes = Tensor::from<double>({0, -1e6, 0, 1e6, 128}, {1, 5})});
  for (const std::int64_t dims : {5, 6}) {
    for (const auto& [name, partition] : partitions(dims)) {
      for (const auto& map : kMaps) {
        add("Coupling", {.name = str(map->kind(), " on ", name, " of ", dims),
                         .make = [=, partition = partition](
                                     Generator& gen) { return coupling(partition, map, gen); },
                         .input = normals(dims),
                         .extremes = extremes(dims)});
      }
    }
  }
  for (const auto& map : kMaps) {
    add("Coupling", {.name = map->kind() + " on a context",
                     .make =
                         [=](Generator& gen) {
                           return coupling(Partition::odd_even(5), map, gen, /*context=*/2);
                         },
                     .input = normals(5),
                     .context = 2});
  }
  for (const auto& map : kMaps) {
    add("Elementwise", {.name = map->kind() + " given a context",
                        .make =
                            [=](Generator& gen) {
                              return std::make_shared<Elementwise>(
                                  map, small_net(2, 5 * map->parameters_per_dim(), gen));
                            },
                        .input = normals(5),
                        .context = 2,
                        .extremes = extremes(5)});
  }
  const auto composed = [](Generator& gen) {
    auto flow = std::make_shared<Compose>();
    flow->add("logit", std::make_shared<Logit>(0.05));
    flow->add("first", coupling(Partition::halves(5), affine_map(), gen));
    flow->add("mix", Permute::random(5, gen));
    flow->add("second", coupling(Partition::halves(5), additive_map(), gen));
    flow->add("scaling", std::make_shared<Scaling>(5));
    return flow;
  };
  const auto images = [](Generator& gen) { return normal(gen, {3, 4, 2, 2}, DType::F64); };
  add("Unflatten", {.name = "",
                    .make =
                        [](Generator&) {
                          return std::make_shared<Unflatten>(Shape{4, 2, 2});
                        },
                    .input = normals(16)});
  add("Flatten", {.name = "",
                  .make =
                      [](Generator&) {
                        return std::make_shared<Flatten>(Shape{4, 2, 2});
                      },
                  .input = images});
  add("Squeeze", {.name = "",
                  .make = [](Generator&) { return std::make_shared<Squeeze>(); },
                  .input = images});
  add("Compose", {.name = "of images inside rows",
                  .make =
                      [](Generator& gen) {
                        auto flow = std::make_shared<Compose>();
                        flow->add("image", std::make_shared<Unflatten>(Shape{2, 2, 2}));
                        flow->add("squeeze", std::make_shared<Squeeze>());
                        flow->add("row", std::make_shared<Flatten>(Shape{1, 1, 8}));
                        flow->add("coupling", coupling(Partition::halves(8), affine_map(), gen));
                        return flow;
                      },
                  .input = normals(8)});
  add("Compose", {.name = "of five",
                  .make = composed,
                  .input = inside,
                  .extremes = Tensor::from<double>({0, 1, 0.5, 1, 0}, {1, 5})});
  add("Compose", {.name = "of nothing",
                  .make = [](Generator&) { return std::make_shared<Compose>(); },
                  .input = seven});
  add("Invert",
      {.name = "of a coupling",
       .make =
           [](Generator& gen) {
             return std::make_shared<Invert>(coupling(Partition::odd_even(5), affine_map(), gen));
           },
       .input = normals(5)});
  add("Invert",
      {.name = "of Logit",
       .make = [](Generator&) { return std::make_shared<Invert>(std::make_shared<Logit>(0.05)); },
       .input = normals(5)});
  return rows;
}

/// Those of this file, and of flows_rows.cpp, flows_autoregressive.cpp, flows_planar.cpp,
/// flows_ladder.cpp and flows_residual.cpp, whose promises are tested there.
std::vector<FlowRow> all_rows() {
  std::vector<FlowRow> rows = flow_table();
  for (const auto& more :
       {test::map_rows(), test::image_rows(), test::realnvp_rows(), test::autoregressive_rows(),
        test::planar_rows(), test::ladder_rows(), test::residual_rows()}) {
    rows.insert(rows.end(), more.begin(), more.end());
  }
  return rows;
}

/// Names of the layers in the headers of flows/: classes that derive from Transform or Bijection.
std::set<std::string> classes_in_headers() {
  const auto folder = std::filesystem::path(__FILE__).parent_path().parent_path() / "flows";
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.path().extension() != ".h") continue;
    std::ifstream in(entry.path());
    for (std::string line; std::getline(in, line);) {  // "class Name : public Bijection {"
      std::istringstream words(line);
      std::string keyword, name;
      words >> keyword >> name;
      const bool layer = line.find("public Bijection ") != std::string::npos ||
                         line.find("public Transform ") != std::string::npos;
      if (keyword == "class" && layer && name != "Bijection") {
        names.insert(name);
      }
    }
  }
  return names;
}

std::string joined(const std::vector<std::string>& failures) {
  std::string all;
  for (const std::string& line : failures) all += "\n  " + line;
  return all;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(flows_table)

BOOST_AUTO_TEST_CASE(every_layer_has_a_row) {
  const std::set<std::string> classes = classes_in_headers();
  BOOST_CHECK_GE(classes.size(), 8U);
  std::set<std::string> covered;
  for (const FlowRow& row : all_rows()) covered.insert(row.type);
  for (const std::string& name : classes) {
    BOOST_CHECK_MESSAGE(covered.count(name), name << " has no row in tests/flows_table.cpp");
  }
}

BOOST_AUTO_TEST_CASE(every_row_on_every_device) {
  for (const Device device : test::other_devices()) {
    for (const FlowRow& row : all_rows()) {
      Generator gen(1);
      const auto layer = row.test.make(gen);
      if (!layer->exact()) continue;
      layer->to(DType::F64);
      const Tensor x = row.test.input(gen);
      const auto context = [&](Device where) {
        const std::int64_t n = row.test.context;
        return n > 0 ? Var(Tensor::full({x.dim(0), n}, 0.5, DType::F64).to(where)) : Var();
      };
      const Var c = context(Device::CPU), c_there = context(device);
      const Mapped z = layer->forward(x, c), back = layer->inverse(z.value, c);
      layer->to(device);
      const Mapped there = layer->forward(x.to(device), c_there),
                   again = layer->inverse(there.value, c_there);
      CHECK_SAME(there.value.value(), z.value.value(), 1e-10, row.test.name);
      CHECK_SAME(there.log_det.value(), z.log_det.value(), 1e-10, row.test.name);
      CHECK_SAME(again.value.value(), back.value.value(), 1e-10, row.test.name);
      CHECK_SAME(again.log_det.value(), back.log_det.value(), 1e-10, row.test.name);
    }
  }
}

BOOST_AUTO_TEST_CASE(every_row_keeps_its_promises) {
  for (const FlowRow& row : flow_table()) {
    const std::vector<std::string> failures = check_bijection(row.test);
    BOOST_CHECK_MESSAGE(failures.empty(), joined(failures));
  }
}

BOOST_AUTO_TEST_CASE(scales_may_start_from_a_batch) {
  Generator gen(3);
  const Tensor spread = Tensor::from<float>({1e-3F, 1, 50, 0}, {4});  // the last one is constant
  const Tensor x = normal(gen, {5000, 4}) * spread;
  for (const double rate : {1.0, 10.0}) {
    Compose flow;  // each part sees what the parts before it make of the batch
    flow.add("halved", std::make_shared<Scale>(0.5));
    flow.add("scaling", std::make_shared<Scaling>(4, rate));
    flow.initialize(x);
    const auto [z, log_det] = flow.forward(x);
    const auto deviations = sqrt(variance(z.value(), {0})).to_vector<float>();
    for (int i = 0; i < 3; ++i) BOOST_CHECK_CLOSE_FRACTION(deviations[i], 1, 0.05);
    BOOST_CHECK(all_finite(z.value()) && all_finite(log_det.value()));
  }
}

BOOST_AUTO_TEST_CASE(levels_go_through_their_distribution_function) {
  // Three quarters of the first dimension are level 2; the second is always level 0.
  Tensor x = Tensor::zeros({4000, 2});
  x.narrow(1, 0, 1).narrow(0, 0, 3000).fill_(2.5);
  x.narrow(1, 0, 1).narrow(0, 3000, 1000).fill_(200);
  LevelCdf layer(2);
  layer.initialize(x);
  const auto [z, log_det] = layer.forward(x.narrow(0, 2999, 2));
  const auto value = z.value().to_vector<float>();
  BOOST_CHECK_CLOSE_FRACTION(value[0], 0.375, 0.05);
  BOOST_CHECK_CLOSE_FRACTION(value[2], 0.75, 0.05);
  const auto log_p = log_det.value().to_vector<float>();
  BOOST_CHECK_SMALL(log_p[0] - std::log(0.75), 0.1);
  BOOST_CHECK_SMALL(log_p[1] - std::log(0.25), 0.1);
  const Tensor noise = Tensor::full({1, 2}, 255.5);
  const Tensor back = layer.inverse(layer.forward(noise).value).value.value();
  BOOST_CHECK_CLOSE_FRACTION(min(back).item(), 255.5, 1e-5);
  // Latents that the base has beyond the ends become the first and the last level.
  const Tensor ends = Tensor::from<float>({-0.5F, 0, 1, 1.5F}, {2, 2});
  const Tensor levels = layer.inverse(ends).value.value();
  BOOST_CHECK_EQUAL(min(levels).item(), 0);
  BOOST_CHECK(max(levels).item() > 255 && max(levels).item() < 256);
  for (const double outside : {-1.0, 256.0, std::nan("")}) {
    test::check_error(
        [&] {
          layer.initialize(Tensor::full({2, 2}, outside));
        },
        {"[LevelCdf] needs (N, 2) in [0, 256)"});
  }
}

BOOST_AUTO_TEST_CASE(whitening_takes_out_all_correlations) {
  Generator gen(5);
  const Tensor mix = normal(gen, {6, 6}) * 0.3 + Tensor::eye(6);
  const Tensor x = matmul(normal(gen, {3000, 6}), mix) + 3.0;
  const auto zca = std::make_shared<ZcaWhitening>(6);
  for (const std::shared_ptr<Transform>& layer :
       {std::shared_ptr<Transform>(zca),
        std::shared_ptr<Transform>(std::make_shared<TriangularWhitening>(6))}) {
    BOOST_CHECK_GE(layer->initial_rows(), 3000);
    layer->initialize(x);
    const Tensor z = layer->forward(x).value.value();
    const Tensor off = matmul(z.t(), z) / 3000.0 - Tensor::eye(6);
    BOOST_CHECK_SMALL(max(abs(off)).item(), 1e-4);
    BOOST_CHECK_SMALL(max(abs(mean(z, {0}))).item(), 1e-5);
  }
  // Of all whitening matrices, ZCA's is the symmetric one.
  const Tensor w = zca->forward(Tensor::eye(6)).value.value() -
                   zca->forward(Tensor::zeros({6, 6})).value.value();
  BOOST_CHECK_SMALL(max(abs(w - w.t())).item(), 1e-5);
  Tensor constant = x.clone();
  constant.narrow(1, 4, 1).fill_(2);
  test::check_error([&] { zca->initialize(constant); },
                    {"[ZcaWhitening] dimension 4 is constant in all 3000 samples"});
  test::check_error(
      [&] { TriangularWhitening(6).initialize(x.narrow(0, 0, 1)); },
      {"[TriangularWhitening] needs at least two samples (N, D) to whiten, got (1, 6)"});
}

BOOST_AUTO_TEST_CASE(standardizing_fits_all_samples) {
  Generator gen(3);
  const Tensor spread = Tensor::from<float>({1e-3F, 1, 5e4F}, {3});
  const Tensor shift = Tensor::from<float>({0, 1000, -1e6F}, {3});
  Tensor x = normal(gen, {5000, 3}) * spread + shift;
  x.narrow(0, 4000, 1000).copy_(x.narrow(0, 0, 1000) + spread * 3.0F);  // the last ones differ
  Compose flow;
  flow.add("standardize", std::make_shared<Standardize>(3));
  BOOST_CHECK_EQUAL(max(abs(flow.forward(x).value.value() - x)).item(), 0);  // not fitted yet
  flow.initialize(x);
  const auto [z, log_det] = flow.forward(x);
  const Tensor wide = x.to(DType::F64);
  const auto means = mean(z.value(), {0}).to_vector<float>();
  const auto variances = variance(z.value(), {0}).to_vector<float>();
  for (int i = 0; i < 3; ++i) {
    BOOST_CHECK_SMALL(means[i], 2e-3F);
    BOOST_CHECK_CLOSE_FRACTION(variances[i], 1, 2e-3);
  }
  BOOST_CHECK_CLOSE_FRACTION(log_det.value().narrow(0, 0, 1).item(),
                             -0.5 * sum(log(variance(wide, {0}))).item(), 1e-5);
}

BOOST_AUTO_TEST_CASE(constant_columns_are_named_all_at_once) {
  const Tensor x = Tensor::from<float>({1, 7, 8, 2, 7, 8, 3, 7, 8}, {3, 3});
  for (const auto& [names, said] :
       std::initializer_list<std::pair<std::vector<std::string>, std::string>>{
           {{}, "constant in the 3 training samples: column 2, 3;"},
           {{"size", "age", "mass"}, "column 2 ('age'), 3 ('mass');"}}) {
    Standardize layer(3, names);
    test::check_error([&] { layer.initialize(x); }, {"[Standardize]", said, "leave it out"});
  }
  test::check_error([] { Standardize(3, {"a"}); }, {"1 names of 3 columns"});
  // What all rows of the file vary by may be told.
  Standardize layer(3, {}, false, {0, 2, 0});
  test::check_error([&] { layer.initialize(x); }, {"column 3;"});
  Standardize told(3, {}, false, {0, 2, 4});
  told.initialize(x);
  const auto [out, log_det] = told.forward(Tensor::from<float>({2, 9, 8}, {1, 3}));
  BOOST_CHECK_CLOSE_FRACTION(out.value().narrow(1, 1, 1).item(), 1, 1e-6);
  BOOST_CHECK_EQUAL(out.value().narrow(1, 2, 1).item(), 0);
  test::check_error([] { Standardize(3, {}, false, {1}); }, {"1 deviations of 3 columns"});
}

BOOST_AUTO_TEST_CASE(columns_that_vary_by_too_little_are_not_called_constant) {
  Generator gen(4);
  const Tensor x = normal(gen, {50, 2}, DType::F64) * Tensor::from<double>({1, 1e-40}, {2});
  Standardize layer(2, {"a", "b"});
  test::check_error([&] { layer.initialize(x); }, {"column 2 ('b') varies by", "multiply it"});
}

// Times in seconds since 1970: f32 has steps of 128 there.
BOOST_AUTO_TEST_CASE(columns_far_from_zero_keep_their_digits) {
  Generator gen(4);
  const Tensor spread = Tensor::from<double>({100, 1e-3}, {2}),
               shift = Tensor::from<double>({1.7e9, -5e4}, {2});
  const Tensor x = normal(gen, {3000, 2}, DType::F64) * spread + shift;
  Compose flow;
  flow.add("standardize",
           std::make_shared<Standardize>(2, std::vector<std::string>(), /*wide=*/true));
  flow.initialize(x);
  const auto [z, log_det] = flow.forward(x);
  BOOST_CHECK(z.dtype() == DType::F32 && log_det.dtype() == DType::F32);
  const Tensor exact = (x - mean(x, {0})) / sqrt(variance(x, {0}));
  BOOST_CHECK_SMALL(max(abs(z.value().to(DType::F64) - exact)).item(), 1e-6);
  BOOST_CHECK_CLOSE_FRACTION(log_det.value().narrow(0, 0, 1).item(),
                             -0.5 * sum(log(variance(x, {0}))).item(), 1e-5);
  const Tensor back = flow.inverse(z).value.value();
  BOOST_CHECK(back.dtype() == DType::F64);
  BOOST_CHECK_SMALL(max(abs((back - x) / spread)).item(), 1e-6);
}

BOOST_AUTO_TEST_CASE(whole_numbers_are_spread_over_their_unit) {
  Generator gen(5);
  Tensor x = normal(gen, {500, 3}, DType::F64) * 1e6;
  x.narrow(1, 1, 1).copy_(
      (uniform(gen, {500, 1}, DType::F64) * 9.0 - 4.0).to(DType::I32).to(DType::F64) + 1e9);
  DequantizeColumns layer(Generator(1), 3, {1});
  const Tensor z = layer.forward(x).value.value(), other = layer.forward(x).value.value();
  const auto column = [](const Tensor& t, int i) { return t.narrow(1, i, 1).to_vector<double>(); };
  BOOST_CHECK(column(z, 0) == column(x, 0) && column(z, 2) == column(x, 2));
  BOOST_CHECK(column(z, 1) != column(other, 1));  // fresh noise
  const Tensor noise = (z - x).narrow(1, 1, 1);
  BOOST_CHECK(min(noise).item() >= 0 && max(noise).item() < 1);
  BOOST_CHECK_CLOSE_FRACTION(mean(noise).item(), 0.5, 0.1);
  const auto same = [&](const Tensor& t) { return max(abs(t - x)).item() == 0; };
  BOOST_CHECK(same(layer.inverse(Var(z)).value.value()));
  BOOST_CHECK(same(layer.inverse(layer.encode(x)).value.value()));
  test::check_error([] { DequantizeColumns(Generator(), 3, {3}); }, {"column 3 of 3"});
}

// f64 has only a few numbers in a unit there, and x + u must not be the next unit's.
BOOST_AUTO_TEST_CASE(large_whole_numbers_stay_in_their_unit) {
  DequantizeColumns layer(Generator(1), 1, {0});
  for (const double whole : {1e15, -1e15, 0x1p50, -0x1p50, -1.0, 0.0}) {
    const Tensor x = Tensor::full({20'000, 1}, whole, DType::F64);
    const Tensor u = layer.forward(x).value.value() - x;
    BOOST_TEST(min(u).item() >= 0, whole);
    BOOST_TEST(max(u).item() < 1, whole);
    const double spacing = std::nextafter(std::abs(whole), INFINITY) - std::abs(whole);
    BOOST_TEST(std::abs(mean(u).item() - 0.5) < spacing / 2 + 0.01, whole);
  }
}

// --- the checker ---------------------------------------------------------------------------------

namespace {

/// z = x * exp(s), with one mistake.
struct Wrong : Bijection {
  enum class Mistake {
    None,
    LogDetSign,
    LogDetOfBoth,
    LogDetShape,
    Inverse,
    DetachedParameter,
    UnusedParameter,
    HiddenState,
    WritesToInput,
    MixesRows,
    NotFinite,
    Throws,
    TrainMode,
    InverseInTrainMode,
    InverseInF32,
    UnsavedInitialValue,
    InitializeAddsUp,
    Context,
    UnusedContext,
    DetachedContext,
    TakesKeptInput
  };

  Wrong(Mistake m, Generator& gen)
      : mistake(m),
        log_scale(add_parameter("log_scale", Tensor::zeros({3}))),
        hidden(normal(gen, {3}, DType::F64)) {
    if (m == Mistake::UnusedParameter) add_parameter("unused", Tensor::zeros({2}));
  }
  std::string kind() const override { return "Wrong"; }

  Mapped forward(const Var& x, const Var& context) override {
    const Var s = scale();
    Var log_det = broadcast_to(sum(s), {x.dim(0)});
    if (mistake == Mistake::LogDetSign || mistake == Mistake::LogDetOfBoth) log_det = -log_det;
    if (mistake == Mistake::LogDetShape) log_det = sum(s);
    if (mistake == Mistake::WritesToInput) Tensor(x.value()).mul_(2);
    if (mistake == Mistake::Throws) fail("on purpose");
    if (mistake == Mistake::TrainMode && training()) return {x * exp(s) * 1.5, log_det};
    Var z = x * exp(s) + shift(x, context);
    if (mistake == Mistake::MixesRows) z = z + mean(x, {0}, true).detach();
    if (mistake == Mistake::NotFinite) z = log(exp(x)) * exp(s);
    if (mistake == Mistake::TakesKeptInput && !Tape::recording()) kept = x.value();
    return {z, log_det};
  }
  Mapped inverse(const Var& z, const Var& context) override {
    const Var s = scale();
    Var log_det = broadcast_to(-sum(s), {z.dim(0)});
    if (mistake == Mistake::LogDetOfBoth) log_det = -log_det;
    if (mistake == Mistake::LogDetShape) log_det = -sum(s);
    if (mistake == Mistake::Inverse || (mistake == Mistake::InverseInTrainMode && training())) {
      return {z * exp(-s) + 1e-3, log_det};
    }
    // x is left as the last forward of a batch had it; right as long as nothing else was mapped.
    if (mistake == Mistake::TakesKeptInput && training()) return {kept * 1.5, log_det};
    Var x = (z - shift(z, context)) * exp(-s);
    if (mistake == Mistake::InverseInF32) x = (x + 1e6) - 1e6;
    return {x, log_det};
  }
  void initialize(const Samples& x) override {
    const Tensor first = x.all().narrow(0, 0, 1).reshape({3});
    if (mistake == Mistake::UnsavedInitialValue) initial = first;
    if (mistake == Mistake::InitializeAddsUp) log_scale.mutable_value().add_(first);
  }
  Var scale() const {
    return mistake == Mistake::DetachedParameter ? log_scale.detach() : log_scale;
  }
  Var shift(const Var& x, const Var& context) const {
    using M = Mistake;
    if (mistake == M::HiddenState) return hidden.to(x.dtype());
    if (mistake == M::UnsavedInitialValue && initial.defined()) return initial.to(x.dtype());
    const bool conditional = mistake == M::Context || mistake == M::DetachedContext;
    if (!conditional || !context.defined()) return Tensor::zeros({1}, x.dtype());
    return mistake == M::DetachedContext ? sum(context, {1}, true).detach()
                                         : sum(context, {1}, true);
  }

  Mistake mistake;
  Var& log_scale;
  Tensor hidden, initial, kept;
};

/// z = asinh x as it is easily written: sign(x) has no slope at 0, and 1e30 squared is no f32.
struct PlainAsinh : Bijection {
  Mapped forward(const Var& x, const Var&) override {
    const Var root = sqrt(square(x) + 1);
    return {sign(x) * log(abs(x) + root), sum(-log(root), {1})};
  }
  Mapped inverse(const Var& z, const Var&) override {
    const Var up = exp(z), down = exp(-z);
    return {(up - down) / 2, sum(log((up + down) / 2), {1})};
  }
  std::string kind() const override { return "PlainAsinh"; }
};

/// z = x below 1 and 2 x - 1 above, with the derivative of a third side at 1.
struct Bend : Bijection {
  explicit Bend(bool wrong) : wrong(wrong) {}
  static Tensor above(const Tensor& x) {
    return greater_equal(x, Tensor::scalar(1, x.dtype())).to(x.dtype());
  }
  Mapped forward(const Var& x, const Var&) override {
    const Tensor slope = above(x.value()) + 1.0;
    const Tensor at_kink = above(x.value()) * above(x.value() * -1.0 + 2.0);
    const Var z = (x - 1) * Var(slope) + 1;
    const Var log_det = sum(log(slope), {1});
    // 0 in value
    return {wrong ? z + (x - x.detach()) * Var(at_kink * 3.0) : z, log_det};
  }
  Mapped inverse(const Var& z, const Var&) override {
    const Tensor slope = above(z.value()) + 1.0;
    return {(z - 1) / Var(slope) + 1, Var(-sum(log(slope), {1}))};
  }
  std::string kind() const override { return "Bend"; }
  bool wrong;
};

}  // namespace

BOOST_AUTO_TEST_CASE(the_checker_catches_every_kind_of_mistake) {
  using M = Wrong::Mistake;
  const std::pair<M, const char*> cases[] = {
      {M::LogDetSign, "log-dets of x -> z -> x cancel"},
      {M::LogDetOfBoth, "the Jacobian's is"},
      {M::LogDetShape, "log_det has shape (), must be (N,)"},
      {M::Inverse, "inverse(forward(x)) = x: off by"},
      {M::DetachedParameter, "received no gradient"},
      {M::UnusedParameter, "received no gradient"},
      {M::HiddenState, "a loaded copy maps alike"},
      {M::WritesToInput, "changed the caller's x"},
      {M::MixesRows, "a row alone maps as in its batch"},
      {M::NotFinite, "forward is not finite at the extremes"},
      {M::Throws, "threw on purpose"},
      {M::TrainMode, "train mode maps alike"},
      {M::InverseInTrainMode, "train mode inverts alike"},
      {M::InverseInF32, "f32 inverts as f64 does"},
      {M::UnsavedInitialValue, "a copy loaded after initialize() maps alike"},
      {M::InitializeAddsUp, "initialize() twice sets log_scale as once"},
      {M::Context, ".context says that the layer is not conditional"},
      {M::UnusedContext, "another context changes nothing"},
      {M::DetachedContext, "received no gradient"},
      {M::TakesKeptInput, "invertible()'s gradient of"},
  };
  const auto failures_of = [](M mistake) {
    const bool conditional = mistake == M::UnusedContext || mistake == M::DetachedContext;
    return check_bijection(
        {.name = "Wrong",
         .make = [=](Generator& gen) { return std::make_shared<Wrong>(mistake, gen); },
         .input = normals(3),
         .context = conditional ? 2 : 0,
         .extremes = extremes(3)});
  };
  BOOST_CHECK_EQUAL(joined(failures_of(M::None)), "");
  for (const auto& [mistake, message] : cases) {
    const std::string all = joined(failures_of(mistake));
    BOOST_CHECK_MESSAGE(all.find(message) != std::string::npos,
                        "expected '" << message << "', the checker says:" << all);
    BOOST_CHECK(all.empty() || all.find("Wrong: ") != std::string::npos);
  }
}

BOOST_AUTO_TEST_CASE(the_checker_looks_at_zero_at_kinks_and_at_f32) {
  const auto asinh =
      check_bijection({.name = "PlainAsinh",
                       .make = [](Generator&) { return std::make_shared<PlainAsinh>(); },
                       .input = normals(3),
                       .extremes = Tensor::full({1, 3}, 1e30, DType::F64)});
  BOOST_REQUIRE_MESSAGE(asinh.size() == 2, joined(asinh));
  BOOST_CHECK_MESSAGE(
      asinh[0].find("gradient of forward at 0 in dimension 0 is 0") != std::string::npos, asinh[0]);
  BOOST_CHECK_MESSAGE(asinh[1].find("not finite at the extremes in f32") != std::string::npos,
                      asinh[1]);
  for (const bool wrong : {false, true}) {
    for (const bool looked_at : {true, false}) {
      const auto failures =
          check_bijection({.name = "Bend",
                           .make = [=](Generator&) { return std::make_shared<Bend>(wrong); },
                           .input = normals(3),
                           .kinks = looked_at ? Tensor::ones({1, 3}, DType::F64) : Tensor()});
      BOOST_CHECK_MESSAGE(failures.empty() == !(wrong && looked_at), joined(failures));
    }
  }
}

// --- partitions ----------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(partitions_split_and_join) {
  for (const std::int64_t dims : {5, 6}) {
    const Tensor x = Tensor::arange(2 * dims, DType::F64).reshape({2, dims});
    for (const auto& [name, partition] : partitions(dims)) {
      const auto [passive, active] = partition.split(x);
      BOOST_CHECK_EQUAL(passive.shape(), Shape({2, partition.passive()}));
      BOOST_CHECK_EQUAL(active.shape(), Shape({2, partition.active()}));
      BOOST_CHECK_EQUAL(partition.dims(), dims);
      BOOST_CHECK(partition.join(passive, active).value().to_vector<double>() ==
                  x.to_vector<double>());
      std::set<double> all;
      for (double v : passive.value().narrow(0, 0, 1).to_vector<double>()) all.insert(v);
      for (double v : active.value().narrow(0, 0, 1).to_vector<double>()) all.insert(v);
      BOOST_CHECK_EQUAL(all.size(), static_cast<std::size_t>(dims));
    }
  }
  using Row = std::vector<double>;
  const auto parts = [](const Partition& p) {
    const auto [passive, active] = p.split(Tensor::arange(5, DType::F64).reshape({1, 5}));
    return std::pair{passive.value().to_vector<double>(), active.value().to_vector<double>()};
  };
  BOOST_CHECK((parts(Partition::halves(5)) == std::pair{Row{0, 1, 2}, Row{3, 4}}));
  BOOST_CHECK((parts(Partition::halves(5, true)) == std::pair{Row{3, 4}, Row{0, 1, 2}}));
  BOOST_CHECK((parts(Partition::odd_even(5)) == std::pair{Row{0, 2, 4}, Row{1, 3}}));
  BOOST_CHECK((parts(Partition::odd_even(5, true)) == std::pair{Row{1, 3}, Row{0, 2, 4}}));
  BOOST_CHECK((parts(Partition::indices(5, {4, 1})) == std::pair{Row{0, 2, 3}, Row{4, 1}}));
}

namespace {

/// Sums over the batch, too.
struct Total : Bijection {
  Mapped forward(const Var& x, const Var&) override { return {x, sum(x)}; }
  Mapped inverse(const Var& z, const Var&) override { return {z, -sum(z)}; }
  std::string kind() const override { return "Total"; }
};

}  // namespace

BOOST_AUTO_TEST_CASE(squares_of_pixels_become_channels) {
  // Pixel (row, column), channel c is 10 row + column + 0.5 c.
  std::vector<double> values;
  for (int row = 0; row < 2; ++row) {
    for (int column = 0; column < 4; ++column) {
      for (int c = 0; c < 2; ++c) values.push_back(10 * row + column + 0.5 * c);
    }
  }
  const Tensor x = Tensor::from(values, {1, 2, 4, 2});
  const Tensor z = Squeeze().forward(x).value.value();
  BOOST_CHECK_EQUAL(z.shape(), Shape({1, 1, 2, 8}));
  BOOST_CHECK(z.to_vector<double>() == std::vector<double>({0, 1, 10, 11, 0.5, 1.5, 10.5, 11.5,  //
                                                            2, 3, 12, 13, 2.5, 3.5, 12.5, 13.5}));
}

BOOST_AUTO_TEST_CASE(impossible_layers_are_refused) {
  Generator gen(1);
  const std::pair<std::function<void()>, const char*> cases[] = {
      {[] { Partition::halves(1); }, "it needs at least 2, got "},
      {[] { Partition::odd_even(0); }, "it needs at least 2, got "},
      {[] { Partition::indices(4, {4}); }, "[Partition] active dimension 4 is out of range"},
      {[] { Partition::indices(4, {-1}); }, "[Partition] active dimension -1"},
      {[] {
         Partition::indices(4, {1, 1});
       },
       "[Partition] active dimension 1"},
      {[] { Partition::indices(4, {}); }, "[Partition] both parts must be non-empty"},
      {[] {
         Partition::indices(2, {0, 1});
       },
       "[Partition] both parts must be non-empty"},
      {[] {
         Partition::halves(4).split(Tensor::zeros({2, 5}));
       },
       "[Partition] expected (N, ..., 4)"},
      {[] {
         Permute({0, 2});
       },
       "[Permute] the order must hold each of 0..1 once; 2"},
      {[] {
         Permute({0, 0});
       },
       "[Permute] the order must hold each of 0..1 once; 0"},
      {[] {
         Permute::reverse(3)->forward(Tensor::zeros({2, 4}));
       },
       "[Permute]"},
      {[] {
         Scaling(1).forward(Tensor::zeros({2, 4}));
       },
       "[Scaling] expected (N, ..., 1), got (2, 4)"},
      {[] {
         Scaling(4).inverse(Tensor::zeros({2, 1}));
       },
       "[Scaling] expected (N, ..., 4), got (2, 1)"},
      {[] {
         Generator gen(1);
         InvertibleLinear(4, gen).forward(Tensor::zeros({2, 1}));
       },
       "[InvertibleLinear] expected (N, ..., 4), got (2, 1)"},
      {[] { Scaling(3, 0); }, "[parameter] the rate of 'log_scale' must be positive, got 0"},
      {[] { Scale(0); }, "[Scale] needs a finite factor other than 0"},
      {[] { Scale(std::nan("")); }, "[Scale]"},
      {[] { Logit(0); }, "[Logit] alpha must be in [6e-08, 0.5), got 0"},
      {[] { Logit(5e-8); }, "[Logit] alpha must be in [6e-08, 0.5), got 5e-08"},
      {[] { Logit(0.5); }, "[Logit] alpha must be in [6e-08, 0.5), got 0.5"},
      {[] { Dequantize(Generator(), 1); }, "[Dequantize] levels must be 2 to 256"},
      {[] { Dequantize(Generator(), 257); }, "[Dequantize] levels"},
      {[] { affine_map(0); }, "[affine] the bound of log scales must be positive"},
      {[] { multiplicative_map(-1); }, "[multiplicative]"},
      {[] { map_by_name("spline"); }, "[coupling] 'spline' is not one of additive"},
      {[&] {
         Coupling(Partition::halves(4), affine_map(), small_net(2, 3, gen))
             .forward(Tensor::zeros({1, 4}));
       },
       "[Coupling] the conditioner Sequential gives (1, 3), affine needs (N, ..., 4)"},
      {[] {
         Unflatten({2, 3}).forward(Tensor::zeros({4, 5}));
       },
       "[Unflatten] expected (N, 6) for samples (2, 3), got (4, 5)"},
      {[] {
         Flatten({2, 3}).forward(Tensor::zeros({4, 3, 2}));
       },
       "[Flatten] expected samples (2, 3), got (4, 3, 2)"},
      {[] {
         Squeeze().forward(Tensor::zeros({1, 3, 2, 1}));
       },
       "with even H and W, got (1, 3, 2, 1)"},
      {[] {
         Squeeze().inverse(Tensor::zeros({1, 2, 2, 6}));
       },
       "expected (N, H, W, 4 C)"},
      {[] {
         Compose c;
         c.add("total", std::make_shared<Total>());
         c.forward(Tensor::zeros({3, 2}));
       },
       "[total] Total gives a log_det of shape () for samples (3, 2)"},
      {[] {
         Compose c;
         c.add("a", std::make_shared<Scaling>(2));
         c.add("a", std::make_shared<Scaling>(2));
       },
       "[Compose] two parts are named 'a'"},
  };
  for (const auto& [call, message] : cases) {
    try {
      call();
      BOOST_ERROR("no error, expected: " << message);
    } catch (const Error& error) {
      BOOST_CHECK_MESSAGE(std::string(error.what()).find(message) != std::string::npos,
                          "'" << message << "' is not in: " << error.what());
    }
  }
}

// --- Dequantize ----------------------------------------------------------------------------------

// Numbers that are no levels become the nearest one, and what is not finite does not become one.
BOOST_AUTO_TEST_CASE(only_finite_numbers_become_levels) {
  const double inf = INFINITY, nan = NAN;
  Dequantize layer(Generator(1));
  for (const DType dtype : {DType::F32, DType::F64}) {
    const Tensor z = Tensor::from<double>({-1e30, -0.5, 3.99, 255.7, 256, 1e30}, {1, 6}).to(dtype);
    BOOST_CHECK(layer.inverse(z).value.value().to(DType::F64).to_vector<double>() ==
                std::vector<double>({0, 0, 3, 255, 255, 255}));
    const Tensor broken = Tensor::from<double>({nan, inf, -inf, 7.5}, {1, 4}).to(dtype);
    const auto x = layer.inverse(broken).value.value().to(DType::F64).to_vector<double>();
    BOOST_CHECK(std::isnan(x[0]) && x[1] == inf && x[2] == -inf && x[3] == 7);
  }
}

BOOST_AUTO_TEST_CASE(dequantisation_noise_is_fresh_everywhere) {
  Dequantize layer(Generator(1));
  const Tensor x = Tensor::full({50, 40}, 7, DType::U8);
  std::multiset<float> seen;
  double sum = 0;
  for (int call = 0; call < 2; ++call) {
    const Mapped out = layer.forward(x);
    BOOST_CHECK(out.value.dtype() == DType::F32);
    BOOST_CHECK_EQUAL(out.log_det.shape(), Shape({50}));
    for (float v : out.value.value().to_vector<float>()) {
      BOOST_REQUIRE(v >= 7 && v < 8);
      seen.insert(v);
      sum += v - 7;
    }
    BOOST_CHECK(layer.inverse(out.value).value.value().to_vector<float>() ==
                std::vector<float>(2000, 7));
  }
  BOOST_CHECK_CLOSE(sum / 4000, 0.5, 3);
  // 4000 draws out of 2^21 floats between 7 and 8: hardly any two alike.
  BOOST_CHECK_GT(std::set<float>(seen.begin(), seen.end()).size(), 3980U);
}

BOOST_AUTO_TEST_CASE(no_level_becomes_the_next_one) {
  // Enough draws that u > 1 - 2^-17, which 255 + u rounds up to 256 in f32, comes up many times.
  Tensor z;
  for (const double level : {70.0, 143.0, 255.0}) {
    const Tensor x = Tensor::full({1000, 2000}, level, DType::U8);
    for (const Tensor& levels : {x, x.to(DType::F32)}) {
      Dequantize layer(Generator(2));
      z = layer.forward(levels).value.value();
      BOOST_CHECK_LT(max(z).item(), level + 1);
      BOOST_CHECK_GT(max(z).item(), level + 1 - 1e-4);
      BOOST_CHECK_EQUAL(min(layer.inverse(z).value.value()).item(), level);
    }
  }
  Scale unit(1.0 / 256);
  Logit logit(1e-6);
  BOOST_CHECK(all_finite(logit.forward(unit.forward(z).value).value.value()));
  // Few levels: the same, and samples beyond the ends are clamped.
  Dequantize few(Generator(3), 4);
  const Tensor out = Tensor::from<float>({-5, -0.1F, 0, 0.99F, 1, 3.99F, 4, 100}, {1, 8});
  BOOST_CHECK(few.inverse(out).value.value().to_vector<float>() ==
              std::vector<float>({0, 0, 0, 0, 1, 3, 3, 3}));
}

BOOST_AUTO_TEST_SUITE_END()
