// Flows of images: pixels of a checkerboard, what is factored out, maps, and glow's sizes.
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "flows/compose.h"
#include "flows/examine/diagnose.h"
#include "flows/layers/coupling.h"
#include "flows/layers/factor_out.h"
#include "flows/layers/permute.h"
#include "flows/layers/reshape.h"
#include "flows/layers/scaling.h"
#include "flows/maps/affine.h"
#include "flows/maps/mixture.h"
#include "flows/maps/spline.h"
#include "flows/models/build.h"
#include "flows/models/idle.h"
#include "nn/layers/conv2d.h"
#include "tests/data_util.h"
#include "tests/devices.h"
#include "tests/peak.h"

BOOST_AUTO_TEST_SUITE(flows_images)

using namespace nf;
using namespace nf::flows;
using test::check_error;

namespace {

DataShape images(std::int64_t height, std::int64_t width, std::int64_t channels) {
  return {.dims = height * width * channels,
          .discrete = true,
          .channels = channels,
          .height = height,
          .width = width};
}

Config configured(const std::string& model, const DataShape& data,
                  const std::vector<std::string>& settings, const std::string& recipe = "paper") {
  Config config = preset(model, data, recipe);
  for (const std::string& setting : settings) set(config, setting);
  check_settings(config, data);
  return resolved(config, data);
}

// A model and its settings.
std::vector<std::vector<std::string>> small_models() {
  return {{"glow", "steps_per_level=2"},
          {"image-plus", "steps_per_level=2", "boards=0", "dequantize=uniform"},
          {"image-plus", "steps_per_level=1", "boards=1", "blocks=1", "coupling=affine"},
          {"glow", "dequantize=variational", "steps_per_level=1", "dequantize_steps=3"},
          {"realnvp", "blocks=1"},
          {"realnvp", "dequantize=variational", "blocks=1", "dequantize_width=5"},
          {"realnvp", "blocks=1", "norm=batch"},
          {"realnvp", "blocks=2", "masked=true", "levels=1"},
          {"realnvp", "blocks=0", "masked=true", "norm=batch"}};
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_checkerboard_has_the_pixels_that_its_name_says) {
  const Tensor x = Tensor::arange(2 * 4 * 6 * 2, DType::F64).reshape({2, 4, 6, 2});
  for (const bool swap : {false, true}) {
    for (const bool masked : {false, true}) {
      const Partition board = Partition::checkerboard(2, swap, masked);
      const auto [passive, active] = board.split(x);
      BOOST_CHECK(passive.shape() == Shape({2, 4, 3, 2}));
      for (std::int64_t row = 0; row < 4; ++row) {
        for (std::int64_t column = 0; column < 6; ++column) {
          const bool even = (row + column) % 2 == 0;
          const Var& part = even != swap ? passive : active;
          const auto pixel = [&](const Tensor& t, std::int64_t at) {
            return t.narrow(1, row, 1).narrow(2, at, 1).contiguous();
          };
          CHECK_SAME(pixel(part.value(), column / 2), pixel(x, column), 0, board.text());
        }
      }
      CHECK_SAME(board.join(passive, active).value(), x, 0, board.text());
      const Tensor shown = board.shown(passive).value();
      BOOST_CHECK(shown.shape() == board.shown_shape(x.shape()));
      BOOST_CHECK_EQUAL(sum(shown).item(), sum(passive.value()).item());
      if (masked) CHECK_SAME(board.of_active(x).value(), active.value(), 0, board.text());
    }
  }
  check_error(
      [] {
        Partition::checkerboard(2).split(Tensor::zeros({1, 4, 5, 2}));
      },
      {"[Partition] a checkerboard needs images (N, H, W, C) with even H and W"});
  check_error([] { Partition::checkerboard(8).split(Tensor::zeros({1, 8})); }, {"[Partition]"});
}

// The same coupling, by the paper's way over all pixels and by the passive ones alone, for a
// network that looks at one pixel only: the neighbour on the left or right, in the packed image the
// pixel.
BOOST_AUTO_TEST_CASE(a_mask_hides_the_pixels_that_change) {
  Generator gen(1);
  const auto net =
      std::make_shared<nn::Conv2d>(nn::Conv2dOptions{.in = 2, .out = 4, .padding = {1, 1}}, gen);
  Coupling coupling(Partition::checkerboard(2, false, true), affine_map(), net);
  const Tensor x = normal(gen, {1, 4, 4, 2});
  Tensor other = x.clone();
  other.narrow(1, 1, 1).narrow(2, 2, 1).fill_(5);  // 1 + 2 is odd: an active pixel
  const Tensor z = coupling.forward(x).value.value(), moved = coupling.forward(other).value.value();
  const Tensor changed = not_equal(z, moved).to(DType::F32);
  BOOST_CHECK_EQUAL(sum(changed).item(), 2);  // this pixel's channels, and nothing else
  BOOST_CHECK_EQUAL(sum(changed.narrow(1, 1, 1).narrow(2, 2, 1)).item(), 2);
}

BOOST_AUTO_TEST_CASE(coarse_latents_come_first) {
  auto rest = std::make_shared<Compose>();
  rest->add("row", std::make_shared<Flatten>(Shape{2, 2, 2}));
  FactorOut layer(Shape{2, 2, 3}, rest);  // one of three channels leaves
  const Tensor x = Tensor::arange(12, DType::F32).reshape({1, 2, 2, 3});
  const Tensor expected = Tensor::from<float>({0, 1, 3, 4, 6, 7, 9, 10, 2, 5, 8, 11}, {1, 12});
  CHECK_SAME(layer.forward(x).value.value(), expected, 0, "rows of the rest, then what left");
  check_error([&] { FactorOut(Shape{2, 2, 1}, rest); }, {"of at least 2 channels, got (2, 2, 1)"});
  check_error([&] { FactorOut(Shape{2, 2, 3}, rest, affine_map()); }, {"[FactorOut] a map needs"});
  check_error([&] { layer.forward(Tensor::zeros({1, 2, 2, 4})); }, {"[FactorOut] expected images"});
}

// RealNVP's five scales of 64 x 64 keep 100, 50, 25, 12.5 and 6.25 %.
BOOST_AUTO_TEST_CASE(coarser_scales_have_half_the_latents) {
  const DataShape data = images(32, 32, 1);
  const auto of = [&](const std::string& model, const std::vector<std::string>& settings) {
    return latents_from_scale(*make_flow(configured(model, data, settings), data), data.dims);
  };
  const std::vector<std::int64_t> five = {1024, 512, 256, 128, 64}, one = {1024};
  BOOST_TEST(of("realnvp", {"blocks=0", "width=2", "levels=5"}) == five);
  BOOST_TEST(of("glow", {"steps_per_level=1", "width=2", "levels=5"}) == five);
  BOOST_TEST(of("glow", {"steps_per_level=1", "width=2", "levels=1"}) == one);
  BOOST_TEST(of("nice", {"hidden_units=2"}) == one);
}

BOOST_AUTO_TEST_CASE(actnorm_begins_from_the_first_rows) {
  Generator gen(2);
  const Tensor x = normal(gen, {50, 4, 4, 3}) * 5.0 - 3.0;
  ActNorm layer(3);
  layer.initialize(x);
  const auto [z, log_det] = layer.forward(x);
  BOOST_CHECK_SMALL(max(abs(mean(z.value(), {0, 1, 2}))).item(), 1e-5);
  BOOST_CHECK_SMALL(max(abs(variance(z.value(), {0, 1, 2}) - 1.0)).item(), 1e-3);
  BOOST_CHECK_CLOSE_FRACTION(log_det.value().narrow(0, 0, 1).item(), -48 * std::log(5.0), 0.02);
  layer.initialize(Tensor::full({1, 4, 4, 3}, 7));  // a constant has no size to learn from
  BOOST_CHECK_EQUAL(max(abs(layer.forward(Tensor::full({1, 4, 4, 3}, 8)).value.value())).item(), 1);
}

BOOST_AUTO_TEST_CASE(factors_of_a_rotation_are_the_rotation) {
  Generator a(3), b(3);
  const Tensor x = test::draw({2, 3, 3, 6}, DType::F32);
  InvertibleLinear whole(6, a);
  InvertibleLu factors(6, b);
  CHECK_SAME(factors.forward(x).value.value(), whole.forward(x).value.value(), 1e-5, "P L U");
  CHECK_SAME(factors.forward(x).log_det.value(), Tensor::zeros({2}), 1e-5, "log_det");
}

BOOST_AUTO_TEST_CASE(maps_of_zeros_are_the_identity) {
  const Tensor x = Tensor::from<double>({-200, -3, -1.5, -1e-3, 0, 0.2, 1, 2.9, 3, 40}, {2, 5});
  for (const auto& map : {mixture_map(1), spline_map(2), spline_map(9)}) {
    const Tensor nothing = Tensor::zeros({2, 5 * map->parameters_per_dim()}, DType::F64);
    const auto [z, log_det] = map->forward(x, nothing);
    CHECK_SAME(z.value(), x, 1e-9, map->kind());
    CHECK_SAME(log_det.value(), Tensor::zeros({2}, DType::F64), 1e-9, map->kind());
    CHECK_SAME(map->inverse(x, nothing).value.value(), x, 1e-9, map->kind());
  }
}

// As a network's last layer begins: no two components have the same gradients, for such would stay
// alike, and be one.
BOOST_AUTO_TEST_CASE(components_of_zeros_part) {
  constexpr int kComponents = 4;
  const auto map = mixture_map(kComponents);
  const Var x = test::draw({50, 1}, DType::F64, 2);
  const Var parameters = Var::leaf(Tensor::zeros({50, map->parameters_per_dim()}, DType::F64));
  Tape tape;
  const auto [z, log_det] = map->forward(x, parameters);
  tape.backward(sum(square(z)) - sum(log_det));
  for (int part = 0; part < 3; ++part) {
    const Tensor own = parameters.grad().narrow(1, 2 + part * kComponents, kComponents);
    for (int k = 1; k < kComponents; ++k) {
      const Tensor apart = own.narrow(1, k, 1) - own.narrow(1, k - 1, 1);
      BOOST_TEST(max(abs(apart)).item() > 1e-3, "parameter " << part << " of " << k);
    }
  }
}

// Along a line through everything that a map treats in its own way: it rises, its slope is what
// log_det says, its inverse comes back, in both types.
BOOST_AUTO_TEST_CASE(maps_rise_with_the_slope_that_they_tell) {
  constexpr std::int64_t kPoints = 4001;
  for (const auto& map : {mixture_map(3), spline_map(5, 2)}) {
    const Tensor one = test::draw({1, map->parameters_per_dim()}, DType::F64, 7);
    const Tensor parameters = one.broadcast_to({kPoints, one.dim(1)}).contiguous();
    for (const DType dtype : test::kFloats) {
      const Tensor line = Tensor::arange(kPoints, DType::F64).reshape({kPoints, 1}) * 0.005 - 10.0;
      const Tensor x = line.to(dtype);
      const auto [z, log_det] = map->forward(x, parameters.to(dtype));
      const Tensor up = z.value().narrow(0, 1, kPoints - 1) - z.value().narrow(0, 0, kPoints - 1);
      BOOST_CHECK_GT(min(up).item(), 0);
      const Tensor back = map->inverse(z, parameters.to(dtype)).value.value();
      BOOST_CHECK_SMALL(max(abs(back - x)).item(), dtype == DType::F32 ? 2e-3 : 1e-8);
      if (dtype == DType::F32) continue;
      const Tensor mid = exp(
          (log_det.value().narrow(0, 1, kPoints - 1) + log_det.value().narrow(0, 0, kPoints - 1)) *
          0.5);
      const Tensor slope = up.reshape({kPoints - 1}) / 0.005;
      BOOST_CHECK_SMALL(max(abs(slope / mid - 1.0)).item(), 0.02);
    }
  }
  check_error([] { mixture_map(0); }, {"[mixture] needs 1 to 256 components"});
  check_error([] { spline_map(1); }, {"[spline] needs 2 to 256 bins"});
  check_error([] { spline_map(4, INFINITY); }, {"[spline]"});
}

// The published model of CIFAR-10: openai/glow, K = 32, L = 3, width 512.
BOOST_AUTO_TEST_CASE(glow_has_the_published_number_of_parameters) {
  const DataShape cifar = images(32, 32, 3);
  for (const char* recipe : {"paper", "code"}) {
    const Config config = configured("glow", cifar, {}, recipe);
    BOOST_CHECK_EQUAL(parameter_count(config, cifar), 44'603'604);
  }
  // reference: K = 8, L = 2, width 64 and K = 8, L = 3, width 128.
  struct Row {
    const char *levels, *width;
  };
  for (const Row& row : {Row{"levels=2", "width=64"}, Row{"levels=3", "width=128"}}) {
    const Config config = configured("glow", cifar, {"steps_per_level=8", row.levels, row.width});
    BOOST_CHECK_EQUAL(parameter_count(config, cifar),
                      static_cast<double>(make_density(config, cifar)->parameter_count()));
  }
}

// The published model of CIFAR-10: base 64, 8 blocks, 2 scales (reference: 634,448 parameters in a
// coupling of the first checkerboards, 2,528,799 of channels, 2,529,951 of the last checkerboards).
BOOST_AUTO_TEST_CASE(realnvp_has_the_published_number_of_parameters) {
  const DataShape cifar = images(32, 32, 3);
  const Config config = configured("realnvp", cifar, {}, "code");
  BOOST_CHECK_EQUAL(parameter_count(config, cifar), 19'609'545);
  std::vector<std::int64_t> found;
  make_density(config, cifar)->for_each_module([&](const std::string&, const nn::Module& part) {
    if (dynamic_cast<const Coupling*>(&part)) found.push_back(part.parameter_count());
  });
  const std::vector<std::int64_t> expected = {634'448,   634'448,   634'448,   2'528'799,
                                              2'528'799, 2'528'799, 2'529'951, 2'529'951,
                                              2'529'951, 2'529'951};
  BOOST_CHECK_EQUAL_COLLECTIONS(found.begin(), found.end(), expected.begin(), expected.end());
}

// Small ImageNet has sizes of its own, by what its files say they are. Reference: a step of Glow
// has 352,044, 435,576, 603,504 and 942,816 parameters for 12, 24, 48 and 96 channels, its learned
// priors 780, 2,856 and 10,896, its top 84,000 or 333,888; RealNVP's 4 scales have 46 million.
BOOST_AUTO_TEST_CASE(presets_know_small_imagenet) {
  DataShape small = images(32, 32, 3), large = images(64, 64, 3);
  small.family = "imagenet-32";
  large.family = "imagenet-64";
  BOOST_CHECK_EQUAL(parameter_count(configured("glow", small, {}), small),
                    48 * (352'044 + 435'576 + 603'504) + 780 + 2'856 + 84'000);
  BOOST_CHECK_EQUAL(parameter_count(configured("glow", large, {}), large),
                    48 * (352'044 + 435'576 + 603'504 + 942'816) + 780 + 2'856 + 10'896 + 333'888);
  const Config realnvp = configured("realnvp", small, {}, "code");
  BOOST_CHECK_CLOSE(parameter_count(realnvp, small), 46e6, 1);
  const DataShape faces = images(64, 64, 1), digits = images(28, 28, 1);
  BOOST_CHECK(to_json(preset("realnvp", faces))["model"]["levels"] == 5);
  BOOST_CHECK(to_json(preset("realnvp", digits))["model"]["levels"] == 2);
  for (const char* model : {"glow", "realnvp"}) {  // their papers move none of them
    BOOST_CHECK(!fit_options(configured(model, small, {})).moves.any());
  }
}

// Position by position, (0, 0), (1, 1), (0, 1), (1, 0): the first half is one colour of the board.
BOOST_AUTO_TEST_CASE(squares_are_taken_apart_by_colour) {
  const Tensor x = Tensor::arange(16, DType::F32).reshape({1, 2, 4, 2});
  const Tensor expected = Tensor::from<float>({0, 1, 10, 11, 2, 3, 8, 9,  //
                                               4, 5, 14, 15, 6, 7, 12, 13},
                                              {1, 1, 2, 8});
  CHECK_SAME(Squeeze(SqueezeOrder::ByColour).forward(x).value.value(), expected, 0, "Squeeze");
  CHECK_SAME(Unsqueeze(SqueezeOrder::ByColour).forward(expected).value.value(), x, 0, "Unsqueeze");
  CHECK_SAME(Unsqueeze().forward(Squeeze().forward(x).value).value.value(), x, 0, "by channel");
}

BOOST_AUTO_TEST_CASE(parameters_are_counted_as_they_are_made) {
  for (const std::vector<std::string>& settings_of_model : small_models()) {
    const std::string& model = settings_of_model[0];
    const std::vector<std::string> own(settings_of_model.begin() + 1, settings_of_model.end());
    for (const DataShape& shape : {images(4, 8, 1), images(8, 8, 3)}) {
      for (const char* const mixing : {"linear", "lu", "permute", "reverse"}) {
        if (model == "realnvp" && mixing != std::string("linear")) continue;
        for (const bool given : {false, true}) {
          DataShape data = shape;
          if (given) {
            data.given = {"label"};
            data.given_classes = 3;
          }
          std::vector<std::string> settings = own;
          settings.push_back("width=6");
          if (model != "realnvp") settings.push_back(str("mixing=", mixing));
          if (given) settings.push_back("embedding=4");
          const Config config = configured(model, data, settings);
          const auto density = make_density(config, data);
          BOOST_CHECK_EQUAL(parameter_count(config, data),
                            static_cast<double>(density->parameter_count()));
          std::vector<nn::LayerInfo> rows;  // also where a context stands behind the channels
          BOOST_CHECK_EQUAL(density->inspect({2, data.dims}, "", rows).dim(0), 2);
          std::int64_t told = 0;
          for (const nn::LayerInfo& row : rows) told += row.parameters;
          BOOST_CHECK_EQUAL(told, density->parameter_count());
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(models_of_images_say_what_they_cannot_take) {
  check_error([] { configured("glow", {.dims = 6, .discrete = true}, {}); },
              {"[glow] is for images; rows of 6 numbers have no height and width"});
  check_error([] { configured("image-plus", images(7, 8, 1), {}); },
              {"[levels] images of 7 x 8 pixels have no halves", "resize:8x6"});
  const auto idle = [](const std::string& key, const DataShape& data, bool variational) {
    const std::string kind = variational ? "variational" : "uniform";
    return why_idle(configured("glow", data, {"dequantize=" + kind}), data, key);
  };
  DataShape reals = images(8, 8, 1);
  reals.discrete = false;
  for (const char* key : {"dequantize", "dequantize_width", "dequantize_steps"}) {
    BOOST_CHECK_EQUAL(idle(key, images(8, 8, 1), true), "");
    BOOST_CHECK_EQUAL(idle(key, reals, true), "the data are no levels, and get no noise");
    const std::string uniform = idle(key, images(8, 8, 1), false);
    BOOST_CHECK_EQUAL(uniform,
                      key == std::string("dequantize") ? "" : "dequantize = uniform has no flow");
  }
  BOOST_CHECK(!make_flow(configured("glow", reals, {"dequantize=variational"}), reals)->bound());
  check_error([] { configured("glow", images(28, 28, 1), {"levels=3"}); },
              {"[levels] images of 28 x 28 can be halved 2 times"});
}

// What comes out of a freshly made model: exact in both directions, one latent for each number, and
// a log-likelihood that is finite.
BOOST_AUTO_TEST_CASE(models_of_images_invert_their_levels_exactly) {
  for (const std::vector<std::string>& settings_of_model : small_models()) {
    const std::string& model = settings_of_model[0];
    for (const DataShape& data : {images(8, 8, 1), images(8, 12, 3)}) {
      for (const std::string& recipe : {std::string("paper"), std::string("code")}) {
        if (recipe == "code" && model == "image-plus") continue;
        std::vector<std::string> settings(settings_of_model.begin() + 1, settings_of_model.end());
        settings.push_back("width=8");
        const Config config = configured(model, data, settings, recipe);
        const auto flow = make_flow(config, data);
        Generator gen(4);
        const Tensor x = (uniform(gen, {20, data.dims}) * 256.0).to(DType::U8);
        flow->initialize(x);
        flow->eval();
        const Tensor z = flow->encode(x);
        BOOST_CHECK(z.shape() == x.shape());
        CHECK_SAME(flow->decode(z).to(DType::U8), x, 0, model);
        BOOST_CHECK(all_finite(flow->log_prob(x).value()));
      }
    }
  }
}

// Values computed anew on the way back: the gradients of the tape, and less memory.
BOOST_AUTO_TEST_CASE(scales_can_be_walked_back) {
  const DataShape data = images(8, 8, 2);
  const std::pair<std::string, std::vector<std::string>> models[] = {
      {"glow", {"steps_per_level=3", "width=8"}},
      {"realnvp", {"blocks=1", "width=8"}},
      {"realnvp", {"blocks=1", "width=8", "norm=batch", "masked=true"}}};
  for (const auto& [model, settings] : models) {
    const Config config = configured(model, data, settings);
    nn::StateDict plain;  // gradients, and buffers after the step
    for (const bool recompute : {false, true}) {
      const auto flow = make_flow(config, data);
      Generator gen(4);
      const Tensor x = (uniform(gen, {20, data.dims}) * 256.0).to(DType::U8);
      flow->initialize(x);
      auto& whole = dynamic_cast<Compose&>(flow->transform());
      dynamic_cast<Compose&>(*whole.parts().back().second).recompute(recompute);
      Tape tape;
      tape.backward(mean(flow->log_prob(x)));
      nn::StateDict found;
      for (const auto& [name, p] : flow->parameters()) found.emplace_back(name, p->grad());
      flow->for_each_buffer(
          [&](const std::string& name, Tensor& buffer) { found.emplace_back(name, buffer); });
      if (!recompute) plain = found;
      for (std::size_t i = 0; i < found.size(); ++i) {
        const auto& [name, expected] = plain[i];
        const double size = 1 + max(abs(expected.to(DType::F64))).item();
        CHECK_SAME(found[i].second, expected, 2e-4 * size, name);
      }
    }
  }
}

// A step of a model three times as deep: with the tape its memory grows, with the other it hardly
// does.
BOOST_AUTO_TEST_CASE(memory_of_a_step_does_not_grow_with_depth) {
  const DataShape data = images(16, 16, 1);
  const auto peak = [&](const std::string& memory, int steps) {
    const Config config =
        configured("glow", data, {"width=8", "memory=" + memory, str("steps_per_level=", steps)});
    const auto flow = make_flow(config, data);
    Generator gen(4);
    const Tensor x = (uniform(gen, {64, data.dims}) * 256.0).to(DType::U8);
    const auto step = [&] {
      Tape tape;
      tape.backward(mean(flow->log_prob(x)));
      flow->clear_grads();
    };
    step();  // what is made once is there
    return static_cast<double>(test::peak_of(step)) -
           4.0 * static_cast<double>(flow->parameter_count());  // their gradients
  };
  BOOST_CHECK_GT(peak("tape", 9), 2 * peak("tape", 3));
  BOOST_CHECK_LT(peak("invertible", 9), 1.1 * peak("invertible", 3));
}

BOOST_AUTO_TEST_CASE(layers_of_images_are_examined_one_by_one) {
  const DataShape data = images(4, 4, 2);
  const auto flow = make_flow(configured("glow", data, {"steps_per_level=2", "width=5"}), data);
  Generator gen(4);
  const Tensor x = (uniform(gen, {6, data.dims}) * 256.0).to(DType::U8);
  flow->initialize(x);
  flow->to(DType::F64);
  const auto rows = diagnose_layers(*flow, x.to(DType::F64), {.jacobians = 2});
  std::set<std::string> names;
  for (const LayerDiagnosis& row : rows) {
    names.insert(row.name);
    BOOST_CHECK_MESSAGE(row.round_trip < 1e-8 && row.jacobian_gap < 1e-4,
                        row.name << ": " << row.round_trip << ", " << row.jacobian_gap);
  }
  for (const char* name : {"scales.squeeze", "scales.steps.1.coupling", "scales.factor_out"}) {
    BOOST_CHECK_MESSAGE(names.contains(name), name);
  }
  flow->for_each_parameter([](const std::string& name, Var& p) {
    if (name == "scales.steps.1.actnorm.shift") p.mutable_value().fill_(INFINITY);
  });
  BOOST_CHECK_EQUAL(flow->find_nonfinite(x).value_or(""), "parameter scales.steps.1.actnorm.shift");
}

// Images unlike all that were seen have a likelihood that is a number.
BOOST_AUTO_TEST_CASE(image_plus_scores_what_it_never_saw) {
  const DataShape data = images(8, 8, 1);
  const auto flow =
      make_flow(configured("image-plus", data, {"steps_per_level=2", "width=6"}), data);
  Generator gen(4);
  flow->initialize((uniform(gen, {40, data.dims}) * 20.0 + 60.0).to(DType::U8));
  flow->for_each_parameter(
      [&](const std::string&, Var& p) { p.set_value(p.value() + 0.3 * normal(gen, p.shape())); });
  for (const double level : {0.0, 255.0}) {
    const Tensor x = Tensor::full({1, data.dims}, level).to(DType::U8);
    BOOST_CHECK_MESSAGE(all_finite(flow->log_prob(x).value()), level);
  }
}

BOOST_AUTO_TEST_SUITE_END()
