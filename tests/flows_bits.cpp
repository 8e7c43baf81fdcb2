// Models of pixels of fewer bits: their levels, units and bounds.
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numbers>

#include "data/setting_error.h"
#include "flows/examine/baselines.h"
#include "flows/examine/integral.h"
#include "flows/models/build.h"
#include "flows/train/evaluate.h"
#include "tests/data_util.h"
#include "tests/datasets.h"
#include "tests/trainings.h"

using namespace nf;
using namespace nf::flows;
using namespace nf::test;

namespace {

DataShape pixels(int bits, std::int64_t dims) {
  return {.dims = dims, .discrete = true, .levels = 1 << bits};
}

/// A flow that changes nothing behind its preprocessing.
std::shared_ptr<FlowDensity> bare(const char* preprocess, const char* prior, int bits,
                                  std::int64_t dims) {
  Config config = small("nice");
  coupling_flow(config).preprocess = preprocess;
  coupling_flow(config).prior = prior;
  coupling_flow(config).scaling = false;
  config.data.bits = bits;
  return make_flow(config, pixels(bits, dims));
}

/// All levels, (K / D, D).
Tensor all_levels(int bits, std::int64_t dims) {
  return Tensor::arange(1 << bits, DType::I32).to(DType::U8).reshape({-1, dims});
}

}  // namespace

BOOST_AUTO_TEST_SUITE(flows_bits)

// A logit and a logistic prior give each level the same probability.
BOOST_AUTO_TEST_CASE(a_uniform_model_needs_all_bits) {
  for (const char* preprocess : {"logit", "cdf"}) {
    for (int bits = 1; bits <= 8; ++bits) {
      BOOST_TEST_CONTEXT(preprocess << " " << bits) {
        const auto density = bare(preprocess, "logistic", bits, 2);
        BOOST_CHECK_EQUAL(density->levels(), 1 << bits);
        for (const double score : score(*density, all_levels(bits, 2), {.noise_draws = 3})) {
          BOOST_CHECK_SMALL(density->bits_per_dim(score) - bits, 2e-5);
        }
        BOOST_CHECK_SMALL(evaluate(*density, all_levels(bits, 2)).bits_per_dim - bits, 2e-5);
        // On [0, 1] it has density 1.
        BOOST_CHECK_SMALL(evaluate(*density, all_levels(bits, 2)).nats, 2e-5 * 2);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(levels_are_scaled_by_their_number) {
  const double normal_at_0 = -0.5 * std::log(2 * std::numbers::pi);
  for (const auto& [preprocess, width] : {std::pair{"unit", 1.0}, {"symmetric", 2.0}}) {
    for (const int bits : {1, 2, 5, 8}) {
      BOOST_TEST_CONTEXT(preprocess << " " << bits) {
        const int count = 1 << bits;
        const auto density = bare(preprocess, "gaussian", bits, 2);
        const double unit = count / width;  // levels in one unit of x
        BOOST_CHECK_CLOSE(density->convention().nats_offset, 2 * std::log(unit), 1e-10);
        const std::string told = str("bits/dim = ", std::log2(unit), " - nats/(2 ln 2)");
        BOOST_TEST(density->convention().text.find(told) != std::string::npos);
        const bool few =
            density->convention().text.find(str(count, " levels")) != std::string::npos;
        BOOST_CHECK_EQUAL(few, bits < 8);
        const Tensor k = all_levels(bits, 2).to(DType::F32);
        const auto middles = density->continuous()->log_prob(k + 0.5).value().to_vector<float>();
        const auto at = k.to_vector<float>();
        for (std::size_t i = 0; i < middles.size(); ++i) {
          double expected = -2 * std::log(unit) + 2 * normal_at_0;
          for (const std::size_t d : {2 * i, 2 * i + 1}) {
            const double x = (static_cast<double>(at[d]) + 0.5) / unit - (width == 2 ? 1 : 0);
            expected -= x * x / 2;
          }
          BOOST_CHECK_CLOSE(middles[i], expected, 1e-4);
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(samples_are_levels_and_come_back) {
  const auto density = bare("symmetric", "gaussian", 3, 4);
  Generator gen(1);
  const Tensor samples = density->sample(gen, 500, 2);
  const auto values = samples.to_vector<float>();
  for (const float value : values) {
    BOOST_REQUIRE(value >= 0 && value <= 7 && value == std::floor(value));
  }
  BOOST_CHECK_EQUAL(*std::max_element(values.begin(), values.end()), 7);
  const Tensor levels = all_levels(3, 4);
  BOOST_CHECK(density->decode(density->encode(levels)).to(DType::U8).to_vector<std::uint8_t>() ==
              levels.to_vector<std::uint8_t>());
  const auto plane = bare("logit", "logistic", 2, 2);
  BOOST_CHECK_SMALL(integrate(*plane, all_levels(2, 2)).value - 1, 1e-3);
}

BOOST_AUTO_TEST_CASE(every_model_of_pixels_takes_fewer_bits) {
  data::Dataset data = dependent_bytes(60, 20, 4);
  for (data::Split* part : {&data.train, &data.valid}) {
    part->x = (part->x.to(DType::F32) / 32.0).to(DType::U8);
  }
  data.levels = 8;
  std::vector<std::pair<std::string, std::string>> models;  // and a setting
  for (const std::string& name : preset_names()) {
    if (preset(name).data.source == "moons" || name == "nade") continue;  // which takes bits alone
    models.emplace_back(name, "bits=3");
    if (model_by_name(name).of_images() && !of_levels(name))
      models.emplace_back(name, "dequantize=variational");
  }
  for (const auto& [name, setting] : models) {
    BOOST_TEST_CONTEXT(name << " " << setting) {
      DataShape shape = pixels(3, data.dims);
      shape.channels = 1;
      shape.height = shape.width = 4;
      Config config = preset(name, shape);
      set_where_known(config, {{"couplings", 2},
                               {"hidden_units", 8},
                               {"hidden_layers", 1},
                               {"steps_per_level", 1},
                               {"blocks", 1},
                               {"width", 4},
                               {"steps", 4},
                               {"batch_size", 20}});
      set(config, "bits=3");
      set(config, setting);
      const auto density = make_density(config, shape);
      BOOST_CHECK_EQUAL(density->levels(), 8);
      const auto said = nlohmann::json::parse(density->description().at("settings"));
      BOOST_CHECK_EQUAL(said.at("levels").get<int>(), 8);
      fit(*density, data, fit_options(config));
      BOOST_CHECK(std::isfinite(evaluate(*density, data.valid.x).bits_per_dim));
    }
  }
}

BOOST_AUTO_TEST_CASE(bits_that_do_not_fit_the_data_are_an_error) {
  Config config = small("nice");
  const DataShape reals = {.dims = 4};
  BOOST_CHECK_NO_THROW(check_settings(config, reals));
  check_error([&] { check_settings(config, pixels(5, 4)); }, {"[bits]", "8 bits", "32"});
  set(config, "bits=5");
  BOOST_CHECK_NO_THROW(check_settings(config, pixels(5, 4)));
  BOOST_CHECK_THROW(check_settings(config, reals), data::SettingError);
  check_error([&] { check_settings(config, reals); }, {"[bits]", "real numbers"});
  check_error([&] { check_settings(config, pixels(8, 4)); }, {"[bits]", "32 levels", "256"});
  BOOST_CHECK_EQUAL(load_options(config).bits, 5);
  check_error([&] { set(config, "bits=0"); }, {"bits", "1 to 8"});
  check_error([&] { set(config, "bits=9"); }, {"bits", "1 to 8"});
}

BOOST_AUTO_TEST_CASE(baselines_count_as_many_levels) {
  const Tensor x = Tensor::from<std::uint8_t>({0, 3, 1, 3}, {2, 2});
  const Baselines fitted(x, {}, {}, 0, 4);
  const Baselines again = [&] {
    const nn::StateDict state = fitted.state();
    return Baselines::from({state.begin(), state.end()}, "here: ");
  }();
  // Of 2 rows and 4 levels: (1 + 1) / 6 and (2 + 1) / 6 of these, 1 / 6 of what is not there.
  const std::vector<std::pair<Tensor, double>> table = {
      {x, std::log(2.0 / 6 * 3.0 / 6)},
      {Tensor::from<std::uint8_t>({2, 2}, {1, 2}), std::log(1.0 / 6 * 1.0 / 6)}};
  for (const Baselines& baselines : {fitted, again}) {
    for (const auto& [rows, expected] : table) {
      BOOST_CHECK_CLOSE(baselines.scores(rows).independent[0], expected, 1e-10);
    }
    check_error(
        [&] {
          baselines.scores(Tensor::from<std::uint8_t>({0, 4}, {1, 2}));
        },
        {"[baselines]", "below 4, got 4"});
  }
  check_error([&] { Baselines(x, {}, {}, 0, 2); }, {"[baselines]", "below 2, got 3"});
  nn::StateDict state = fitted.state();
  for (auto& [name, tensor] : state) {
    if (name == "log_frequency") tensor = Tensor::zeros({2, 300}, DType::F64);
  }
  check_error(
      [&] {
        Baselines::from({state.begin(), state.end()}, "here: ");
      },
      {"here", "log_frequency", "300 levels"});
}

BOOST_AUTO_TEST_SUITE_END()
