// Bits of pixels: those that training draws anew in every epoch, and the exact density of them.
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <map>

#include "autograd/gradcheck.h"
#include "data/levels.h"
#include "data/setting_error.h"
#include "flows/models/bernoulli_made.h"
#include "flows/models/build.h"
#include "flows/train/fit.h"
#include "tests/data_util.h"

using namespace nf;
using namespace nf::flows;
using namespace nf::test;

namespace {

constexpr std::int64_t kSide = 4, kPixels = kSide * kSide, kImages = 23;
using Bits = std::vector<std::uint8_t>;
/// What training saw, by (step of an epoch's rows) the number of the sample.
using Seen = std::map<std::pair<std::int64_t, int>, Bits>;

/// Images of grey 100 in all pixels, of which `given` says which it is.
data::Dataset grey_images() {
  data::Dataset data;
  data.name = "grey";
  data.dims = kPixels;
  data.channels = 1;
  data.height = data.width = kSide;
  data.discrete = true;
  data.train.x = Tensor::full({kImages, kPixels}, 100, DType::U8, Device::CPU);
  data.train.numbers = Tensor::arange(kImages, DType::I32);
  data.train.given = data.train.numbers.reshape({kImages, 1}).to(DType::F64);
  data.valid = data.train;
  return data;
}

data::Dataset binarized(const std::string& how) {
  data::Dataset data = grey_images();
  data::binarize(data, how);
  return data;
}

/// A density of bits that writes down what it meets.
struct Spy : Density {
  Spy() : Density(kPixels, {}), logit(add_parameter("logit", Tensor::zeros({kPixels}))) {}
  Var log_prob(const Var& x, const Var& given) override {
    const auto sample = given.value().to(DType::I32).to_vector<std::int32_t>();
    for (std::int64_t i = 0; i < x.dim(0); ++i) {
      const Bits bits = x.value().narrow(0, i, 1).to_vector<std::uint8_t>();
      if (training()) {
        const int whose = sample[static_cast<std::size_t>(i)];
        trained[{times[whose]++, whose}] = bits;
      } else {
        evaluated.push_back(bits);
      }
    }
    const Var bits(x.value().to(DType::F32));
    return sum(bits * broadcast_to(logit, x.shape()) - softplus(logit), {1});
  }
  Tensor sample(Generator&, std::int64_t n, double, const Var&) override {
    return Tensor::zeros({n, kPixels});
  }
  bool bound() const override { return false; }
  std::string kind() const override { return "Spy"; }

  Var& logit;
  std::map<int, std::int64_t> times;
  Seen trained;
  std::vector<Bits> evaluated;
};

Seen seen_in_training(const data::Dataset& data, const FitOptions& options) {
  Spy spy;
  Trainer(spy, data, options).run();
  // Validation always has the same bits.
  const Bits valid = data.valid.x.to_vector<std::uint8_t>();
  BOOST_TEST(!spy.evaluated.empty());
  for (std::size_t i = 0; i < spy.evaluated.size(); ++i) {
    const auto begin = valid.begin() + static_cast<std::ptrdiff_t>(i % kImages) * kPixels;
    BOOST_CHECK(std::equal(spy.evaluated[i].begin(), spy.evaluated[i].end(), begin));
  }
  return spy.trained;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(flows_bits_drawn)

BOOST_AUTO_TEST_CASE(dynamic_bits_belong_to_the_sample_and_the_epoch) {
  const data::Dataset dynamic = binarized("dynamic"), fixed = binarized("static");
  const Seen expected = seen_in_training(dynamic, {.epochs = 3, .batch_size = 23});
  BOOST_TEST(expected.size() == 3U * kImages);
  double ones = 0;
  for (const auto& [key, bits] : expected) {
    const auto& [epoch, sample] = key;
    ones += static_cast<double>(std::count(bits.begin(), bits.end(), 1));
    if (epoch > 0) BOOST_CHECK(bits != expected.at({epoch - 1, sample}));
  }
  const double all = 3.0 * kImages * kPixels, p = 100.0 / 255;
  BOOST_TEST(std::abs(ones - p * all) < 5 * std::sqrt(p * (1 - p) * all));
  for (const std::int64_t batch_size : {1, 5}) {
    BOOST_CHECK(seen_in_training(dynamic, {.epochs = 3, .batch_size = batch_size}) == expected);
  }
  BOOST_CHECK(seen_in_training(dynamic, {.epochs = 3, .batch_size = 23, .seed = 1}) != expected);
  const Seen always = seen_in_training(fixed, {.epochs = 2, .batch_size = 5});
  for (int i = 0; i < kImages; ++i) BOOST_CHECK(always.at({0, i}) == always.at({1, i}));
}

// A moved image has its bits drawn where it went: what is black there is 0.
BOOST_AUTO_TEST_CASE(dynamic_bits_are_of_moved_images) {
  data::Dataset data = grey_images();
  data.train.x.narrow(1, 0, 1).fill_(255);
  data.train.x.narrow(1, 1, kPixels - 1).fill_(0);
  data.valid = data.train;
  data::binarize(data, "none");
  data.intensities = data.train.x;
  int left = 0, right = 0;
  for (const auto& [key, bits] :
       seen_in_training(data, {.epochs = 4, .batch_size = 5, .moves = {.flip = true}})) {
    left += bits[0];
    right += bits[kSide - 1];
    BOOST_TEST(std::count(bits.begin(), bits.end(), 1) == 1);
  }
  BOOST_TEST(left + right == 4 * kImages);
  BOOST_TEST(std::min(left, right) > 10);
}

BOOST_AUTO_TEST_CASE(a_resumed_training_draws_the_same_bits) {
  const data::Dataset data = binarized("dynamic");
  const FitOptions options = {.epochs = 2, .batch_size = 5};
  const TempFolder folder;
  Spy whole, first, second;
  Trainer(whole, data, options).run();
  Trainer stopped(first, data, options);
  stopped.run({.on_step = [](const StepReport& report) { return report.step < 7; }});
  stopped.save(folder.path("state"));
  Trainer resumed(second, data, options);
  resumed.load(folder.path("state"));
  resumed.run();
  BOOST_CHECK(whole.logit.value().to_vector<float>() == second.logit.value().to_vector<float>());
}

// --- the density ---------------------------------------------------------------------------------

namespace {

std::shared_ptr<Density> bits_density(std::int64_t dims, const std::vector<std::string>& settings,
                                      std::int64_t given = 0) {
  DataShape data{.dims = dims, .discrete = true, .levels = 2};
  for (std::int64_t i = 0; i < given; ++i) data.given.push_back(str("g", i));
  Config config = preset("made", data);
  config.data.binarize = "static";
  set(config, "hidden_units=9");
  for (const std::string& setting : settings) set(config, setting);
  const auto density = make_density(config, data);
  BOOST_TEST(parameter_count(config, data) == static_cast<double>(density->parameter_count()));
  Generator gen(5);
  density->for_each_parameter(
      [&](const std::string&, Var& p) { p.set_value(normal(gen, p.shape()) * 0.7); });
  density->to(DType::F64);
  density->eval();
  return density;
}

Tensor all_rows_of_bits(std::int64_t dims) {
  std::vector<std::uint8_t> bits;
  for (int row = 0; row < 1 << dims; ++row) {
    for (int d = 0; d < dims; ++d) bits.push_back(static_cast<std::uint8_t>(row >> d & 1));
  }
  return Tensor::from(bits, {std::int64_t{1} << dims, dims});
}

}  // namespace

BOOST_AUTO_TEST_CASE(probabilities_of_all_rows_add_up_to_1) {
  for (const std::vector<std::string>& settings :
       {std::vector<std::string>{}, {"net=residual"}, {"hidden_layers=0"}}) {
    for (const std::int64_t dims : {1, 2, 6}) {
      const auto density = bits_density(dims, settings);
      const Tensor x = all_rows_of_bits(dims);
      const Tensor log_p = density->log_prob(x).value();
      BOOST_TEST(sum(exp(log_p)).item() == 1, boost::test_tools::tolerance(1e-12));
      BOOST_TEST(density->levels() == 2);
      BOOST_TEST(!density->bound());
      BOOST_TEST(density->nats(-3) == -3);
      // Bits that are drawn have these probabilities.
      constexpr std::int64_t kDraws = 4000;
      Generator gen(2);
      const auto drawn = density->sample(gen, kDraws).to(DType::U8).to_vector<std::uint8_t>();
      std::vector<double> counts(static_cast<std::size_t>(x.dim(0)));
      for (std::size_t i = 0; i < drawn.size(); i += static_cast<std::size_t>(dims)) {
        std::size_t row = 0;
        for (std::size_t d = 0; d < static_cast<std::size_t>(dims); ++d)
          row |= std::size_t{drawn[i + d]} << d;
        ++counts.at(row);
      }
      for (std::size_t row = 0; row < counts.size(); ++row) {
        const double p = std::exp(log_p.to_vector<double>()[row]);
        BOOST_TEST(std::abs(counts[row] - p * kDraws) <= 1 + 5 * std::sqrt(p * kDraws));
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(gradients_are_right_and_what_is_given_counts) {
  const auto density = bits_density(4, {}, 2);
  const Tensor x = all_rows_of_bits(4).narrow(0, 3, 5);
  Generator gen(1);
  const Tensor given = normal(gen, {5, 2}, DType::F64);
  std::vector<Tensor> at;
  density->for_each_parameter([&](const std::string&, Var& p) { at.push_back(p.value()); });
  BOOST_TEST(!at.empty());
  const auto f = [&](const std::vector<Var>& in) -> std::vector<Var> {
    return {density->log_prob(x, in[0])};
  };
  const GradCheck check = gradcheck(f, {given});
  BOOST_TEST(check.ok, check.message);
  const Tensor one = density->log_prob(x, given).value(),
               other = density->log_prob(x, given * 2.0).value();
  BOOST_TEST(one.to_vector<double>() != other.to_vector<double>());
}

// With no temperature each bit is the likelier one, given those before it.
BOOST_AUTO_TEST_CASE(temperature_0_has_no_chance) {
  const auto density = bits_density(5, {});
  Generator gen(1), another(2);
  const Tensor one = density->sample(gen, 1, 0), two = density->sample(another, 1, 0);
  BOOST_CHECK(one.to_vector<double>() == two.to_vector<double>());
  auto flipped = one.to_vector<double>();
  flipped.back() = 1 - flipped.back();
  BOOST_TEST(density->log_prob(one).value().item() >=
             density->log_prob(Tensor::from(flipped, {1, 5})).value().item());
}

BOOST_AUTO_TEST_CASE(settings_of_bits) {
  const DataShape bits{.dims = 6, .discrete = true, .levels = 2},
      pixels{.dims = 6, .discrete = true}, reals{.dims = 6};
  BOOST_TEST(preset("made", bits).text("map", "") == "bernoulli");
  BOOST_TEST(preset("made", pixels).text("map", "") == "mixture");
  struct Row {
    const char* model;
    std::vector<std::string> settings;
    DataShape data;
    std::vector<std::string> says;
  };
  const Row table[] = {
      {"made", {"binarize=static"}, pixels, {"[binarize]", "256 levels"}},
      {"made", {"binarize=static"}, reals, {"[binarize]", "real numbers"}},
      {"made", {"map=bernoulli"}, pixels, {"[map]", "--binarize"}},
      {"maf", {"binarize=static", "map=bernoulli"}, bits, {"[map]", "one autoregressive layer"}},
  };
  for (const Row& row : table) {
    Config config = preset(row.model, row.data);
    for (const std::string& setting : row.settings) set(config, setting);
    check_error([&] { check_settings(config, row.data); }, row.says);
    BOOST_CHECK_THROW(check_settings(config, row.data), data::SettingError);
  }
}

BOOST_AUTO_TEST_SUITE_END()
