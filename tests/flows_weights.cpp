// Files of weights: true values, and metadata that say what is to be done with them.
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <nlohmann/json.hpp>

#include "flows/models/build.h"
#include "flows/models/coupling_flow.h"
#include "nn/safetensors.h"
#include "tensor/ops.h"
#include "tests/data_util.h"
#include "tests/datasets.h"

using namespace nf;
using namespace nf::flows;
using Json = nlohmann::json;

namespace {

Config small(const char* model, const DataShape& shape) {
  Config config = preset(model, shape);
  coupling_flow(config).couplings = 2;
  coupling_flow(config).hidden_units = 4;
  config.training.steps = 1;
  config.training.lr = 0;  // what is saved is what initialize() found
  return config;
}

Json settings_of(const Config& config, const DataShape& shape) {
  return Json::parse(make_flow(config, shape)->description().at("settings"));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(flows_weights)

BOOST_AUTO_TEST_CASE(settings_are_resolved) {
  const DataShape pixels{.dims = 6, .discrete = true}, table{.dims = 3},
      toy{.dims = 2, .unit_scale = true};
  struct Case {
    const char *model, *depths;
    DataShape shape;
    Json preprocess, levels, lengths;
  };
  for (const Case& c : {Case{"nice", "", pixels, "unit", 256, {5, 5}},
                        Case{"nice", "3,0", pixels, "unit", 256, {3, 0}},
                        Case{"nice-plus", "", pixels, "cdf", 256, {2, 2}},
                        Case{"nice-plus", "", table, "standard", 0, {2, 2}},
                        Case{"realnvp-2d", "", table, "standard", 0, {2, 2}},
                        Case{"realnvp-2d", "", toy, "none", 0, {2, 2}}}) {
    Config config = small(c.model, c.shape);
    coupling_flow(config).depths = c.depths;
    const Json settings = settings_of(config, c.shape);
    BOOST_TEST_CONTEXT(c.model << " " << settings) {
      BOOST_CHECK_EQUAL(settings.at("preprocess"), c.preprocess);
      BOOST_CHECK_EQUAL(settings.at("levels"), c.levels);
      BOOST_CHECK_EQUAL(settings.at("dims"), c.shape.dims);
      BOOST_CHECK_EQUAL(settings.at("depths"), c.lengths);
      for (const auto& [key, value] : settings.items()) BOOST_CHECK_NE(value, "auto");
    }
    // The same model: a configuration in full means what it was made from.
    const Config full = resolved(config, c.shape);
    BOOST_CHECK_EQUAL(settings_of(full, c.shape), settings);
  }
}

BOOST_AUTO_TEST_CASE(a_file_holds_true_values_and_says_what_they_mean) {
  const data::Dataset data = test::dependent_bytes(3000, 0);
  const test::TempFolder folder;
  Config config = small("nice", {.dims = 6, .discrete = true});
  coupling_flow(config).whitening = "triangular";
  const auto density = make_flow(config, {.dims = 6, .discrete = true});
  Trainer trainer(*density, data, fit_options(config));
  trainer.run();
  trainer.save_weights(folder.path("weights"), {{"note", "mine"}});
  const nn::SafetensorsFile file = nn::load_safetensors(folder.path("weights"));
  BOOST_CHECK_EQUAL(file.metadata.at("model"), "nice");
  BOOST_CHECK_EQUAL(file.metadata.at("version"), "2");
  BOOST_CHECK_EQUAL(file.metadata.at("note"), "mine");
  BOOST_CHECK_EQUAL(file.metadata.at("settings"), density->description().at("settings"));

  // z = exp(d) (c + S c) with c = x - shift has the covariance of the identity, so that exp(s) = 1.
  const auto value = [&](const char* name) { return file.tensors.at(name).to(DType::F64); };
  Generator noise(5);
  const Tensor x = dequantize(noise, data.train.x) / 256.0;
  const Tensor c = x.to(DType::F64) - value("whitening.shift");
  const Tensor below = value("whitening.below");
  const Tensor z = (c + matmul(c, below.t())) * exp(value("whitening.log_diagonal"));
  const Tensor covariance = matmul(z.t(), z) / 3000.0;
  BOOST_CHECK_LT(max(abs(covariance - Tensor::eye(6, DType::F64))).item(), 0.02);
  BOOST_CHECK_LT(max(abs(value("scaling.log_scale"))).item(), 0.1);
  for (std::int64_t i = 0; i < 6; ++i) {  // nothing on the diagonal and above it
    const Tensor row = below.narrow(0, i, 1).narrow(1, i, 6 - i);
    BOOST_CHECK_LT(max(abs(row)).item(), 1e-6);
  }

  // Of the scaling alone: exp(s) times the deviation of the data is 1.
  coupling_flow(config).whitening = "none";
  const auto plain = make_flow(config, {.dims = 6, .discrete = true});
  fit(*plain, data, fit_options(config));
  for (const auto& [name, tensor] : plain->state()) {
    if (name != "scaling.log_scale") continue;
    const Tensor deviation = sqrt(variance(x.narrow(0, 0, 2000), {0}));
    BOOST_CHECK_LT(max(abs(exp(tensor) * deviation - 1.0)).item(), 0.01);
  }
}

BOOST_AUTO_TEST_SUITE_END()
