// iresnet and residual-flow: their sizes, what their settings build, and trainings that go on bit
// for bit.
#include <boost/test/unit_test.hpp>
#include <nlohmann/json.hpp>

#include "flows/layers/residual.h"
#include "flows/models/idle.h"
#include "flows/models/residual_blocks.h"
#include "tests/data_util.h"
#include "tests/datasets.h"
#include "tests/trainings.h"

using namespace nf;
using namespace nf::flows;
using test::check_error;

namespace {

const std::string kModels[] = {"iresnet", "residual-flow"};

DataShape image_shape(std::int64_t side, std::int64_t channels) {
  return {.dims = side * side * channels,
          .discrete = true,
          .channels = channels,
          .height = side,
          .width = side};
}

/// Small, with settings that are given last.
Config small_blocks(const std::string& model, const DataShape& data,
                    const std::vector<std::string>& settings) {
  Config config = preset(model, data);
  test::set_where_known(config,
                        {{"blocks", 2}, {"hidden_units", 8}, {"hidden_layers", 1}, {"width", 5}});
  for (const std::string& setting : settings) set(config, setting);
  return config;
}

std::vector<std::vector<double>> weights_of(Density& density) {
  std::vector<std::vector<double>> all;
  for (const auto& [name, tensor] : density.state()) {
    all.push_back(tensor.to(DType::F64).to_vector<double>());
  }
  return all;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(flows_residual_models)

// 25,174,129 is the size of the authors' program on CIFAR-10.
BOOST_AUTO_TEST_CASE(parameters_are_those_of_the_paper) {
  const DataShape cifar = image_shape(32, 3);
  BOOST_TEST(parameter_count(preset("residual-flow", cifar), cifar) == 25'174'129);
  for (const std::string& model : kModels) {
    for (const DataShape& data : {DataShape{.dims = 3}, image_shape(8, 1), image_shape(8, 3)}) {
      const Config config = small_blocks(model, data, {});
      const auto made = static_cast<double>(make_density(config, data)->parameter_count());
      BOOST_TEST(parameter_count(config, data) == made);
    }
  }
}

BOOST_AUTO_TEST_CASE(few_dimensions_are_exact_and_many_are_estimated) {
  struct Case {
    std::string model;
    DataShape data;
    std::string log_det;
    std::size_t squeezes;
  };
  for (const Case& c :
       {Case{"iresnet", {.dims = 2, .unit_scale = true}, "exact", 0},
        Case{"residual-flow", {.dims = 16}, "exact", 0}, Case{"iresnet", {.dims = 17}, "series", 0},
        Case{"residual-flow", {.dims = 17}, "roulette", 0},
        Case{"iresnet", image_shape(8, 1), "series", 3},
        Case{"residual-flow", image_shape(8, 3), "roulette", 2}}) {
    BOOST_TEST_CONTEXT(c.model << " of " << c.data.dims) {
      const Config config = small_blocks(c.model, c.data, {});
      const auto density = make_flow(config, c.data);
      const auto said = nlohmann::json::parse(density->description().at("settings"));
      BOOST_TEST(said.at("log_det") == c.log_det);
      BOOST_TEST(estimates_log_det(*density) == (c.log_det != "exact"));
      BOOST_TEST(density->bound() == c.data.discrete);
      std::size_t squeezes = 0;
      density->for_each_module([&](const std::string&, const nn::Module& part) {
        squeezes += part.kind().starts_with("Squeeze") ? 1 : 0;
      });
      BOOST_TEST(squeezes == c.squeezes);
      // Back and forth.
      density->eval();
      Generator gen(4);
      const Tensor x = density->sample(gen, 5);
      const Tensor z = density->encode(c.data.discrete ? x.to(DType::U8) : x);
      const Tensor again = density->decode(z);
      BOOST_TEST(max(abs(again - x.to(again.dtype()))).item() < (c.data.discrete ? 1e-9 : 1e-3));
    }
  }
}

BOOST_AUTO_TEST_CASE(what_does_not_apply_is_told) {
  const DataShape images = image_shape(28, 1), rows{.dims = 3};
  const Config of_rows = preset("iresnet", rows), of_images = preset("iresnet", images);
  const auto idle = [](const Config& config, const DataShape& data, const std::string& key) {
    return !why_idle(config, data, key).empty();
  };
  for (const char* key : {"levels", "width", "squeeze_first", "dense_blocks", "terms"}) {
    BOOST_TEST(idle(of_rows, rows, key), key);
    BOOST_TEST((std::string(key) == "dense_blocks" || !idle(of_images, images, key)), key);
  }
  BOOST_TEST((idle(of_images, images, "hidden_units") && !idle(of_rows, rows, "hidden_units")));
  Config wrong = of_images;
  set(wrong, "log_det=exact");
  check_error([&] { make_density(wrong, images); },
              {"[log_det] exact needs a product with the Jacobian for each of 784 dimensions"});
  wrong = of_images;
  set(wrong, "levels=3");
  check_error([&] { make_density(wrong, images); }, {"can be halved 2 times"});
  wrong = of_rows;
  check_error([&] { set(wrong, "coefficient=1"); }, {"coefficient"});
}

// How far the bounded weights are from those with singular vectors that stand still.
BOOST_AUTO_TEST_CASE(a_training_holds_the_bounds_in_every_step) {
  const data::Dataset data = test::dependent_bytes(40, 8, 4);
  const DataShape shape = image_shape(4, 1);
  const Config config = small_blocks(
      "residual-flow", shape,
      {"log_det=roulette", "batch_size=10", "steps=0", "epochs=4", "lr=3e-2", "warmup=0"});
  const auto density = make_density(config, shape);
  const std::vector<nn::SpectralMap*> maps = nn::spectral_maps(*density);
  BOOST_TEST(maps.size() == 12);
  double worst = 0;
  const auto compare = [&] {
    for (nn::SpectralMap* map : maps) {
      std::map<std::string, Tensor> kept;
      for (const auto& [name, tensor] : map->state()) kept.emplace(name, tensor.clone());
      const Tensor before = map->bounded_weight().value();
      map->converge(1e-9, 3000);
      const Tensor after = map->bounded_weight().value();
      worst = std::max(worst, max(abs(before - after)).item() / max(abs(after)).item());
      map->load_state(kept);
    }
  };
  Trainer trainer(*density, data, fit_options(config));
  trainer.run({.on_step =
                   [&](const StepReport&) {
                     compare();
                     return true;
                   },
               .on_epoch = {}});
  BOOST_TEST(worst < 0.03);
  worst = 0;
  trainer.use_best_weights();  // whose norms were converged before they were evaluated
  compare();
  BOOST_TEST(worst < 2e-3);
}

BOOST_AUTO_TEST_CASE(trainings_go_on_bit_for_bit) {
  const test::TempFolder folder;
  const std::string path = folder.path("state.safetensors");
  struct Case {
    std::string model;
    bool images;
    std::vector<std::string> settings;
  };
  for (const Case& c :
       {Case{"iresnet", false, {}}, Case{"iresnet", true, {}}, Case{"residual-flow", true, {}}}) {
    BOOST_TEST_CONTEXT(c.model << (c.images ? " of images" : "")) {
      const data::Dataset data = c.images ? test::dependent_bytes(20, 8, 4) : test::moons(20, 8);
      DataShape shape = c.images ? image_shape(4, 1) : DataShape{.dims = 2, .unit_scale = true};
      const Config config =
          small_blocks(c.model, shape,
                       {"batch_size=8", "steps=0", "epochs=2", "warmup=2",
                        c.images ? (c.model == "iresnet" ? "log_det=series" : "log_det=roulette")
                                 : "log_det=exact"});
      const auto whole = make_density(config, shape);
      Trainer(*whole, data, fit_options(config)).run();
      {
        const auto density = make_density(config, shape);
        Trainer trainer(*density, data, fit_options(config));
        trainer.run({.on_step = [](const StepReport& r) { return r.step < 4; }, .on_epoch = {}});
        trainer.save(path);
      }
      const auto resumed = make_density(config, shape);
      Trainer trainer(*resumed, data, fit_options(config));
      trainer.load(path);
      trainer.run();
      BOOST_TEST((weights_of(*whole) == weights_of(*resumed)));
      // One that ended in the middle of an epoch, where its norms were converged to look at it.
      FitOptions options = fit_options(config), half = options;
      options.schedule.total = half.schedule.total = 6;
      half.steps = 2;
      {
        const auto density = make_density(config, shape);
        Trainer ended(*density, data, half);
        BOOST_TEST(ended.run().finished);
        ended.save(path);
      }
      const auto later = make_density(config, shape);
      Trainer on(*later, data, options);
      on.load(path);
      on.run();
      const auto straight = make_density(config, shape);
      Trainer(*straight, data, options).run();
      BOOST_TEST((weights_of(*later) == weights_of(*straight)));
      // A row has the same score alone and in its batch.
      const auto all = score(*whole, data.valid.x);
      const auto alone = score(*whole, data.valid.x.narrow(0, 5, 1),
                               {.samples = Tensor::from(std::vector<std::int32_t>{5}, {1})});
      BOOST_TEST(alone[0] == all[5]);
      BOOST_TEST((score(*whole, data.valid.x, {.noise_draws = 2}) != all) == c.images);
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()
