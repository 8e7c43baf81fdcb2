// Trained models of images, for images of another size.
#include <boost/test/unit_test.hpp>
#include <string>
#include <vector>

#include "flows/models/build.h"
#include "flows/models/resize.h"
#include "tests/data_util.h"
#include "tests/devices.h"

BOOST_AUTO_TEST_SUITE(flows_resize)

using namespace nf;
using namespace nf::flows;
using test::check_error;

namespace {

DataShape gray(std::int64_t height, std::int64_t width) {
  return {
      .dims = height * width, .discrete = true, .channels = 1, .height = height, .width = width};
}

Config configured(const std::string& model, const DataShape& data,
                  const std::vector<std::string>& settings) {
  Config config = preset(model, data);
  for (const std::string& setting : settings) set(config, setting);
  return resolved(config, data);
}

Tensor levels(std::int64_t n, std::int64_t dims) {
  Generator gen(4);
  return (uniform(gen, {n, dims}) * 256.0).to(DType::U8);
}

// A model whose numbers are none that it begins with, statistics of batch norm too.
std::shared_ptr<FlowDensity> trained(const Config& config, const DataShape& data) {
  auto flow = make_flow(config, data);
  const Tensor x = levels(40, data.dims);
  flow->initialize(x);
  Generator gen(5);
  flow->for_each_parameter(
      [&](const std::string&, Var& p) { p.set_value(p.value() + 0.1 * normal(gen, p.shape())); });
  Tape tape;
  flow->log_prob(x);
  flow->eval();
  return flow;
}

struct Row {
  std::string model;
  std::vector<std::string> settings;
};

std::vector<Row> models() {
  return {
      {"glow", {"steps_per_level=1", "width=8", "shift=5"}},
      {"image-plus", {"steps_per_level=1", "boards=1", "blocks=0", "width=8", "coupling=affine"}},
      {"image-plus", {"steps_per_level=1", "boards=0", "blocks=0", "width=8"}},
      {"realnvp", {"blocks=0", "width=8"}},
      {"realnvp", {"blocks=0", "width=8", "norm=batch", "masked=true"}}};
}

std::vector<std::string> with(std::vector<std::string> settings, const std::string& more) {
  settings.push_back(more);
  return settings;
}

}  // namespace

BOOST_AUTO_TEST_CASE(at_its_own_size_a_model_is_the_same) {
  const DataShape data = gray(16, 16);
  for (const auto& [model, settings] : models()) {
    const Config config = configured(model, data, with(settings, "levels=2"));
    const auto flow = trained(config, data);
    const auto same = resized(config, data, *flow, 16, 16);
    const Tensor x = levels(3, data.dims), z = flow->encode(x);
    CHECK_SAME(as_flow(*same, "test").encode(x), z, 0, model);
    CHECK_SAME(as_flow(*same, "test").decode(z), flow->decode(z), 0, model);
  }
}

// A corner of a large image, by itself: away from the cut nothing of its latents can tell.
BOOST_AUTO_TEST_CASE(a_corner_of_a_large_image_is_mapped_as_a_small_image) {
  const DataShape data = gray(16, 16);
  for (const auto& [model, settings] : models()) {
    const Config config = configured(model, data, with(settings, "levels=1"));
    const auto flow = trained(config, data);
    const auto large = resized(config, data, *flow, 32, 48);
    BOOST_CHECK_EQUAL(large->dims(), 32 * 48);
    BOOST_CHECK_EQUAL(large->parameter_count(), flow->parameter_count());
    const Tensor x = levels(2, 32 * 48);
    const Tensor corner =
        x.reshape({2, 32, 48}).narrow(1, 0, 16).narrow(2, 0, 16).contiguous().reshape({2, 256});
    FlowDensity& of_large = as_flow(*large, "test");
    // The latents of glow's frame are squares of pixels; realnvp's coarsest scale is not squeezed.
    const std::int64_t half = model == "realnvp" ? 1 : 2, c = half * half, kept = 8 / half;
    const auto part = [&](const Tensor& z, std::int64_t h, std::int64_t w) {
      return z.reshape({2, h / half, w / half, c})
          .narrow(1, 0, kept)
          .narrow(2, 0, kept)
          .contiguous();
    };
    const Tensor z = of_large.encode(x);
    CHECK_SAME(part(z, 32, 48), part(flow->encode(corner), 16, 16), 1e-4, model);
    CHECK_SAME(of_large.decode(z).to(DType::U8), x, 0, model);
  }
}

// As many scales as it was trained with, though more would fit.
BOOST_AUTO_TEST_CASE(a_larger_model_has_the_scales_of_the_smaller) {
  const DataShape data = gray(12, 12);
  for (const auto& [model, settings] : models()) {
    const Config config = configured(model, data, with(settings, "levels=0"));
    BOOST_CHECK_EQUAL(config.text("levels", ""), "2");
    BOOST_CHECK_EQUAL(model_by_name(model).side_step(config), 4);
    const auto flow = trained(config, data);
    const auto large = resized(config, data, *flow, 24, 24);
    BOOST_CHECK_EQUAL(large->parameter_count(), flow->parameter_count());
    check_error([&] { resized(config, data, *flow, 24, 26); }, {"[levels]"});
  }
}

BOOST_AUTO_TEST_CASE(numbers_of_each_pixel_are_of_one_size) {
  const DataShape data = gray(4, 4);
  const struct {
    std::string model;
    std::vector<std::string> settings;
    std::string layer;
  } rows[] = {
      {"glow", {"steps_per_level=1", "width=8"}, ""},
      {"realnvp", {"blocks=0", "width=8", "levels=1"}, ""},
      {"glow", {"preprocess=cdf", "width=8", "levels=1"}, "layer cdf (LevelCdf(16))"},
      {"nice", {"hidden_units=5"}, "Linear("},
      {"nice-plus", {"hidden_units=5", "preprocess=unit"}, "whitening (TriangularWhitening(16))"}};
  for (const auto& [model, settings, layer] : rows) {
    const Config config = configured(model, data, settings);
    const auto flow = make_flow(config, data);
    const std::string found = layer_of_one_size(config, data, *flow);
    BOOST_TEST(found.empty() == layer.empty(), found);
    BOOST_TEST(found.find(layer) != std::string::npos, found);
    if (!layer.empty()) check_error([&] { resized(config, data, *flow, 8, 8); }, {"[load]"});
  }
}

BOOST_AUTO_TEST_SUITE_END()
