// Exact densities of levels, place after place: nade, pixelcnn, pixelrnn,
// wavenet.
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "autograd/gradcheck.h"
#include "data/setting_error.h"
#include "flows/models/build.h"
#include "flows/models/idle.h"
#include "flows/models/levels_density.h"
#include "flows/train/evaluate.h"
#include "flows/train/fit.h"
#include "nn/nets/nade.h"
#include "nn/nets/pixel_cnn.h"
#include "nn/nets/pixel_rnn.h"
#include "nn/nets/wave_net.h"
#include "tests/data_util.h"
#include "tests/devices.h"

using namespace nf;
using namespace nf::flows;
using namespace nf::test;

namespace {

/// A small model of such data, as its settings say.
struct Small {
  std::string model;
  std::vector<std::string> settings;
  DataShape data;
};

DataShape rows_of(std::int64_t dims, int levels) {
  return {.dims = dims, .discrete = true, .levels = levels};
}

DataShape images(std::int64_t height, std::int64_t width, std::int64_t channels, int levels) {
  return {.dims = height * width * channels,
          .discrete = true,
          .levels = levels,
          .channels = channels,
          .height = height,
          .width = width};
}

DataShape with_labels(DataShape data, int classes) {
  data.given = {"label"};
  data.given_classes = classes;
  return data;
}

/// With few enough rows that all can be summed up.
std::vector<Small> small_models() {
  const std::vector<std::string> pixels = {"maps=3", "layers=1", "head=4", "components=3"};
  const auto more = [](std::vector<std::string> all, const std::string& one) {
    all.push_back(one);
    return all;
  };
  const std::vector<std::string> wave = {"maps=3", "layers=2", "skip=4", "components=3"};
  return {
      {"nade", {"hidden_units=5"}, rows_of(7, 2)},
      {"nade", {"hidden_units=5"}, with_labels(rows_of(5, 2), 3)},
      {"pixelcnn", pixels, images(2, 3, 1, 2)},
      {"pixelcnn", pixels, with_labels(images(3, 2, 1, 2), 3)},
      {"pixelcnn", pixels, images(2, 2, 1, 4)},
      {"pixelcnn", more(pixels, "likelihood=softmax"), images(1, 3, 1, 5)},
      {"pixelcnn", pixels, images(1, 2, 3, 2)},
      {"pixelcnn", pixels, images(1, 1, 3, 8)},
      {"pixelrnn", pixels, images(2, 3, 1, 2)},
      {"pixelrnn", more(pixels, "kernel=1"), with_labels(images(3, 2, 1, 2), 3)},
      {"pixelrnn", more(pixels, "layers=2"), images(2, 2, 1, 4)},
      {"pixelrnn", pixels, images(1, 2, 3, 2)},
      {"wavenet", wave, rows_of(4, 5)},
      {"wavenet", more(wave, "likelihood=logistic"), rows_of(4, 4)},
      {"wavenet", wave, with_labels(rows_of(6, 2), 3)},
  };
}

/// f64, with parameters that are drawn.
std::shared_ptr<Density> drawn(const Small& small) {
  const DataShape& data = small.data;
  Config config = preset(small.model, data);
  for (const std::string& setting : small.settings) set(config, setting);
  // By hand, because 5 levels are no data that flowcli takes.
  const Model& model = model_by_name(small.model);
  const Config resolved = model.resolved(config, data);
  model.check(resolved, data);
  auto density = model.build(resolved, data);
  density->to(DType::F64);
  Generator gen(5);
  density->for_each_parameter(
      [&](const std::string&, Var& p) { p.set_value(normal(gen, p.shape(), DType::F64) * 0.7); });
  return density;
}

/// Every row of `dims` levels, (levels^dims, dims).
Tensor every_row(std::int64_t dims, int levels) {
  std::int64_t count = 1;
  for (std::int64_t d = 0; d < dims; ++d) count *= levels;
  Tensor all = Tensor::empty({count, dims}, DType::U8);
  std::uint8_t* to = all.mutable_data<std::uint8_t>();
  for (std::int64_t i = 0; i < count; ++i) {
    std::int64_t rest = i;
    for (std::int64_t d = 0; d < dims; ++d, rest /= levels) {
      *to++ = static_cast<std::uint8_t>(rest % levels);
    }
  }
  return all;
}

Var label(const Small& small, std::int64_t rows, int value) {
  if (small.data.given.empty()) return {};
  return Var(Tensor::full({rows, 1}, value, DType::I32));
}

std::string text_of(const Small& small) {
  return str(small.model, " ", small.settings.back(), " ", small.data.dims, " of ",
             small.data.levels);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(flows_levels)

BOOST_AUTO_TEST_CASE(probabilities_add_up_to_one) {
  for (const Small& small : small_models()) {
    const auto density = drawn(small);
    const Tensor all = every_row(small.data.dims, small.data.levels);
    BOOST_TEST_CONTEXT(text_of(small)) {
      BOOST_CHECK(!density->bound());
      BOOST_CHECK_EQUAL(density->levels(), small.data.levels);
      std::vector<Tensor> by_label;
      for (const int value : {0, 2}) {
        const Tensor log_p = density->log_prob(all, label(small, all.dim(0), value)).value();
        BOOST_CHECK_SMALL(sum(exp(log_p)).item() - 1, 1e-10);
        by_label.push_back(log_p);
      }
      const double apart = max(abs(by_label[0] - by_label[1])).item();
      BOOST_CHECK_EQUAL(apart > 0.01, !small.data.given.empty());
    }
  }
}

// How often each row is drawn, against its probability: all kinds of outputs, and what is given.
BOOST_AUTO_TEST_CASE(samples_are_as_frequent_as_they_are_probable) {
  const std::int64_t n = 4000;
  for (const Small& small : small_models()) {
    const auto density = drawn(small);
    const Tensor all = every_row(small.data.dims, small.data.levels);
    BOOST_TEST_CONTEXT(text_of(small)) {
      const Tensor log_p = density->log_prob(all, label(small, all.dim(0), 1)).value();
      const std::vector<double> p = exp(log_p).to_vector<double>();
      Generator gen(9);
      const Tensor x = density->sample(gen, n, 1, label(small, n, 1));
      std::vector<double> count(p.size());
      const std::vector<double> values = x.to_vector<double>();
      for (std::int64_t i = 0; i < n; ++i) {
        std::size_t row = 0;
        for (std::int64_t d = small.data.dims - 1; d >= 0; --d) {
          const double value = values[static_cast<std::size_t>(i * small.data.dims + d)];
          BOOST_REQUIRE(value >= 0 && value < small.data.levels && value == std::floor(value));
          row = row * static_cast<std::size_t>(small.data.levels) + static_cast<std::size_t>(value);
        }
        ++count[row];
      }
      for (std::size_t i = 0; i < p.size(); ++i) {
        const double expected = p[i] * static_cast<double>(n);
        BOOST_CHECK_LE(std::abs(count[i] - expected), 5 * std::sqrt(expected) + 4);
      }
      // The first rows do not depend on how many there are, nor on how many go together.
      Generator again(9);
      const Tensor few = density->sample(again, 3, 1, label(small, 3, 1));
      BOOST_CHECK(few.to_vector<double>() == x.narrow(0, 0, 3).to_vector<double>());
      // With temperature 0 all are the same.
      const Tensor cold = density->sample(again, 4, 0, label(small, 4, 1));
      CHECK_SAME(cold.narrow(0, 0, 1), cold.narrow(0, 3, 1), 0, "temperature 0");
    }
  }
}

namespace {

/// Samples by a whole pass for each place, of the same noise.
Tensor sampled_by_passes(nn::CausalNet& net, const LevelOutputs& outputs, int levels,
                         Generator& gen, std::int64_t n, double temperature) {
  const std::int64_t channels = net.sizes().channels, each = outputs.noise();
  const Tensor noise = uniform(gen, {n, net.places() * each}, DType::F64);
  Tensor x = Tensor::zeros({n, net.places(), channels}, DType::F64);
  for (std::int64_t t = 0; t < net.places(); ++t) {
    const Tensor h = net(x * (1.0 / (levels - 1))).value().narrow(1, t, 1);
    const Tensor level = outputs.draw(h.reshape({n, outputs.outputs()}),
                                      noise.narrow(1, t * each, each), temperature);
    x.narrow(1, t, 1).copy_(level.reshape({n, 1, channels}));
  }
  return x.reshape({n, net.places() * channels});
}

}  // namespace

BOOST_AUTO_TEST_CASE(samples_are_those_of_whole_passes) {
  Generator gen(1);
  struct Row {
    std::shared_ptr<nn::CausalNet> net;
    std::shared_ptr<LevelOutputs> outputs;
    int levels;
  };
  const auto logistics = logistic_outputs(256, 3, 2), one = logistic_outputs(16, 1, 3);
  const Row rows[] = {
      {std::make_shared<nn::Nade>(nn::NadeOptions{.dims = 40, .hidden_units = 9}, gen),
       bernoulli_outputs(), 2},
      {std::make_shared<nn::PixelCnn>(
           nn::PixelCnnOptions{.height = 6, .width = 7, .maps = 4, .layers = 3, .head = 5}, gen),
       bernoulli_outputs(), 2},
      {std::make_shared<nn::PixelCnn>(nn::PixelCnnOptions{.height = 4,
                                                          .width = 3,
                                                          .channels = 3,
                                                          .outputs = logistics->outputs(),
                                                          .maps = 4,
                                                          .layers = 2,
                                                          .head = 5},
                                      gen),
       logistics, 256},
      {std::make_shared<nn::PixelRnn>(
           nn::PixelRnnOptions{.height = 6, .width = 7, .maps = 4, .layers = 3, .head = 5}, gen),
       bernoulli_outputs(), 2},
      {std::make_shared<nn::PixelRnn>(nn::PixelRnnOptions{.height = 4,
                                                          .width = 3,
                                                          .channels = 3,
                                                          .outputs = logistics->outputs(),
                                                          .maps = 3,
                                                          .layers = 2,
                                                          .head = 5,
                                                          .kernel = 5},
                                      gen),
       logistics, 256},
      {std::make_shared<nn::WaveNet>(
           nn::WaveNetOptions{.length = 30,
                              .outputs = one->outputs(),
                              .maps = 4,
                              .skip = 5,
                              .layers = 3,
                              .blocks = 2},
           gen),
       one, 16},
      {std::make_shared<nn::WaveNet>(
           nn::WaveNetOptions{.length = 20, .outputs = 256, .maps = 4, .skip = 5, .layers = 6},
           gen),
       softmax_outputs(256), 256},
  };
  for (const Row& row : rows) {
    BOOST_TEST_CONTEXT(row.net->kind() << " " << row.outputs->kind()) {
      LevelsDensity density(row.net, row.outputs, row.levels, nullptr);
      density.to(DType::F64);
      density.for_each_parameter([&](const std::string&, Var& p) {
        p.set_value(normal(gen, p.shape(), DType::F64) * 0.6);
      });
      for (const double temperature : {1.0, 0.5, 0.0}) {
        Generator here(4), there(4);
        const Tensor by_sweep = density.sample(here, 20, temperature);
        const NoGrad no_grad;
        const Tensor by_passes =
            sampled_by_passes(*row.net, *row.outputs, row.levels, there, 20, temperature);
        BOOST_CHECK(by_sweep.to_vector<double>() == by_passes.to_vector<double>());
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(likelihoods_of_levels) {
  Generator gen(3);
  // All mass is on the levels, also where the mean is far beyond them and the scale small.
  for (const double size : {0.1, 3.0, 30.0}) {
    const auto outputs = logistic_outputs(256, 1, 4);
    const Tensor h = (normal(gen, {1, 1, outputs->outputs()}, DType::F64) * size)
                         .broadcast_to({1, 256, outputs->outputs()});
    const Tensor x = Tensor::arange(256, DType::I32).to(DType::F64).reshape({1, 256, 1});
    const Tensor log_p = outputs->log_prob(x, h).value();
    BOOST_CHECK(all_finite(log_p));
    BOOST_CHECK_SMALL(sum(exp(log_p)).item() - 1, 1e-9);
  }
  // The formula at hand: one component, mean 0.2, scale e^-1, the level 3 of 0..4, y = 0.5.
  const auto one = logistic_outputs(5, 1, 1);
  const Tensor x = Tensor::full({1, 1, 1}, 3, DType::F64),
               h = Tensor::from<double>({7, 0.2, 1}, {1, 1, 3});
  const auto cdf = [](double at) { return 1 / (1 + std::exp(-(at - 0.2) * std::exp(1.0))); };
  BOOST_CHECK_CLOSE(std::exp(one->log_prob(x, h).value().item()), cdf(0.75) - cdf(0.25), 1e-9);
  for (const auto& outputs :
       {logistic_outputs(16, 3, 3), softmax_outputs(5), bernoulli_outputs()}) {
    const bool colour = outputs->noise() == 4;
    const Tensor levels =
        (uniform(gen, {2, 3, colour ? 3 : 1}, DType::F64) * 2.0).to(DType::U8).to(DType::F64);
    const GradCheck result = gradcheck(
        [&](const std::vector<Var>& in) {
          return std::vector<Var>{outputs->log_prob(levels, in[0])};
        },
        {normal(gen, {2, 3, outputs->outputs()}, DType::F64)});
    BOOST_CHECK_MESSAGE(result.ok, outputs->kind() << ": " << result.message);
  }
  check_error([] { logistic_outputs(1, 1, 1); }, {"[logistic_outputs]"});
  check_error(
      [&] {
        LevelsDensity(std::make_shared<nn::Nade>(nn::NadeOptions{.dims = 2}, gen),
                      softmax_outputs(4), 4, nullptr);
      },
      {"[LevelsDensity]", "gives 1 numbers", "needs 4"});
}

BOOST_AUTO_TEST_CASE(what_data_cannot_have_is_refused) {
  const auto config = [](const std::string& model, const std::string& setting) {
    Config made = preset(model);
    if (!setting.empty()) set(made, setting);
    return made;
  };
  const auto refused = [&](const std::string& model, const std::string& setting,
                           const DataShape& data, const std::vector<std::string>& parts) {
    check_error([&] { check_settings(config(model, setting), data); }, parts);
  };
  for (const char* model : {"nade", "wavenet"}) {
    refused(model, "", {.dims = 4}, {"[data]", model, "real numbers"});
  }
  refused("nade", "", rows_of(4, 256), {"[binarize]", "--binarize static"});
  refused("pixelcnn", "likelihood=bernoulli", images(2, 2, 1, 256), {"[likelihood]", "256"});
  refused("pixelrnn", "kernel=2", images(2, 2, 1, 256), {"[kernel]", "odd"});
  refused("pixelrnn", "", rows_of(4, 256), {"[pixelrnn] is for images", "wavenet takes them"});
  refused("pixelcnn", "likelihood=softmax", images(2, 2, 3, 256), {"[likelihood]", "one channel"});
  BOOST_CHECK_NO_THROW(check_settings(config("wavenet", ""), images(2, 2, 3, 256)));
  BOOST_CHECK_EQUAL(resolved(config("pixelcnn", ""), images(2, 2, 3, 256)).text("likelihood", ""),
                    "logistic");
  BOOST_CHECK_EQUAL(resolved(config("pixelcnn", ""), images(2, 2, 1, 2)).text("likelihood", ""),
                    "bernoulli");
  BOOST_CHECK(
      !why_idle(config("wavenet", "likelihood=softmax"), rows_of(4, 256), "components").empty());
  BOOST_CHECK_EQUAL(why_idle(config("pixelcnn", ""), images(2, 2, 1, 256), "components"), "");
}

// Rows whose places follow from those before: what is left to say is the first one.
BOOST_AUTO_TEST_CASE(what_follows_is_learned) {
  const std::int64_t n = 200;
  for (const Small& small : {Small{"nade", {"hidden_units=16"}, rows_of(16, 2)},
                             Small{"pixelcnn", {"maps=6", "layers=1"}, images(4, 4, 1, 2)},
                             Small{"pixelrnn", {"maps=4", "layers=1"}, images(4, 4, 1, 2)},
                             Small{"wavenet", {"maps=6", "layers=3"}, rows_of(16, 2)}}) {
    data::Dataset data;
    data.dims = small.data.dims;
    data.discrete = true;
    data.levels = 2;
    data.height = small.data.height;
    data.width = small.data.width;
    data.channels = small.data.channels;
    Generator gen(2);
    const Tensor first = (uniform(gen, {n, 1}) * 2.0).to(DType::U8);
    data.train.x = data.valid.x = first.broadcast_to({n, small.data.dims}).contiguous();
    Config config = preset(small.model, small.data);
    for (const std::string& setting : small.settings) set(config, setting);
    for (const char* setting : {"bits=1", "batch_size=50", "steps=150", "lr=2e-2"}) {
      set(config, setting);
    }
    const auto density = make_density(config, small.data);
    fit(*density, data, fit_options(config));
    const double nats = evaluate(*density, data.valid.x).nats;
    BOOST_CHECK_MESSAGE(nats > -1.2 && nats < -0.65, small.model << ": " << nats);
  }
}

// A row that is not finite is NaN, and the rows beside it are drawn as without it.
BOOST_AUTO_TEST_CASE(what_is_not_finite_gives_no_level) {
  const double nan = std::nan(""), inf = std::numeric_limits<double>::infinity();
  for (const auto& outputs : {bernoulli_outputs(), softmax_outputs(3), logistic_outputs(4, 1, 2)}) {
    Generator gen(3);
    const Tensor h = normal(gen, {4, outputs->outputs()}, DType::F64);
    const Tensor u = uniform(gen, {4, outputs->noise()}, DType::F64);
    const Tensor alone = outputs->draw(h, u, 1);
    for (const double bad : {nan, inf, -inf}) {
      Tensor broken = h.clone();
      broken.narrow(0, 2, 1).fill_(bad);
      const Tensor drawn = outputs->draw(broken, u, 1);
      BOOST_TEST(std::isnan(drawn.narrow(0, 2, 1).item()));
      for (const int row : {0, 1, 3}) {
        BOOST_TEST(drawn.narrow(0, row, 1).item() == alone.narrow(0, row, 1).item());
      }
    }
  }
}

// Of two levels of probabilities p and 1 - p, the first has p^(1/t) / (p^(1/t) + (1 - p)^(1/t)).
BOOST_AUTO_TEST_CASE(temperature_makes_the_likely_likelier) {
  constexpr std::int64_t n = 40000;
  Generator gen(4);
  const Tensor u = uniform(gen, {n, 1}, DType::F64);
  for (const double t : {2.0, 1.0, 0.5}) {
    for (const bool bits : {true, false}) {
      const auto outputs = bits ? bernoulli_outputs() : softmax_outputs(2);
      const Tensor logits = bits ? Tensor::full({n, 1}, 0.7, DType::F64)
                                 : Tensor::from<double>({0, 0.7}, {1, 2}).broadcast_to({n, 2});
      const double share = mean(outputs->draw(logits.contiguous(), u, t)).item();
      const double expected = 1 / (1 + std::exp(-0.7 / t));
      BOOST_TEST(std::abs(share - expected) < 4 * std::sqrt(0.25 / n), t << ": " << share);
    }
  }
}

// With all weights 0 each column is by itself.
BOOST_AUTO_TEST_CASE(bits_begin_with_the_shares_of_their_columns) {
  const Tensor x = Tensor::from<std::uint8_t>({0, 1, 1, 0, 0, 1, 0, 1, 1, 0, 1, 1}, {4, 3});
  for (const char* model : {"nade", "made"}) {
    const auto density = drawn({model, {"hidden_units=5"}, rows_of(3, 2)});
    density->for_each_parameter([](const std::string&, Var& p) { p.mutable_value().fill_(0); });
    BOOST_TEST(density->initial_rows() >= x.dim(0));
    density->initialize(x);
    // Of 0, 3 and 4 ones among 4 bits, and half a bit of each kind: 0.1, 0.7 and 0.9.
    BOOST_CHECK_CLOSE(density->log_prob(x.narrow(0, 0, 1)).value().item(),
                      std::log(0.9) + std::log(0.7) + std::log(0.9), 1e-10);
  }
}

BOOST_AUTO_TEST_CASE(columns_that_are_given_are_standardised) {
  for (const char* model : {"nade", "made", "wavenet"}) {
    DataShape data = rows_of(3, 2);
    data.given = {"speed"};
    const auto density = drawn({model, {}, data});
    const Tensor given = Tensor::from<double>({10, 20, 30, 40}, {4, 1});
    const auto part = [](std::int64_t, std::int64_t n) { return Tensor::zeros({n, 3}, DType::U8); };
    const auto context = [&](std::int64_t first, std::int64_t n) {
      return given.narrow(0, first, n);
    };
    BOOST_TEST(density->initial_rows() >= 4);
    density->initialize({4, part, {}, context});
    const Tensor seen = density->condition()->context(Var(given)).value();
    BOOST_CHECK_SMALL(mean(seen).item(), 1e-6);
    BOOST_CHECK_CLOSE(mean(seen * seen).item(), 1, 1e-3);
  }
}

BOOST_AUTO_TEST_SUITE_END()
