// Noise belongs to the sample: what a layer draws for it depends on the seed, the epoch (or the
// number of the noise draw) and its place in the data set, on nothing else.
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <map>

#include "flows/compose.h"
#include "flows/layers/dequantize.h"
#include "flows/layers/scaling.h"
#include "flows/train/fit.h"
#include "tensor/threads.h"
#include "tests/data_util.h"
#include "tests/datasets.h"
#include "tests/trainings.h"

using namespace nf;
using namespace nf::flows;
using namespace nf::test;

namespace {

/// z = x + a little normal noise.
struct Jitter : Transform {
  explicit Jitter(const Generator& gen) : noise(add_generator("noise", gen)) {}
  Mapped forward(const Var& x, const Var&) override {
    last = normal(noise, x.shape(), x.dtype(), x.device());
    return {x + last * 0.1, zero_log_det(x)};
  }
  Mapped inverse(const Var& z, const Var&) override { return {z, zero_log_det(z)}; }
  std::string kind() const override { return "Jitter"; }
  Generator& noise;
  Tensor last;
};

/// Noise of a sample by (what it is used for, sample).
using Seen = std::map<std::pair<std::int64_t, int>, std::vector<float>>;

/// z = x. Of levels with noise: writes down whose they are, which the first level says, and the
/// noise.
struct Spy : Transform {
  explicit Spy(Seen& seen) : seen(seen) {}
  Mapped forward(const Var& x, const Var&) override {
    if (watching) write(x.value());
    return {x, zero_log_det(x)};
  }
  Mapped inverse(const Var& z, const Var&) override { return {z, zero_log_det(z)}; }
  void initialize(const Samples& x) override {
    x.for_each_part([&](const Tensor& part) { write(part); });
    write(x.part(3, 5));  // some of them again
  }
  std::int64_t initial_rows() const override { return kAllRows; }
  std::string kind() const override { return "Spy"; }

  void write(const Tensor& x) {
    for (std::int64_t i = 0; i < x.dim(0); ++i) {
      std::vector<float> row = x.narrow(0, i, 1).to_vector<float>();
      const int sample = static_cast<int>(row[0]);
      for (float& value : row) value -= std::floor(value);
      const auto [there, added] = seen.emplace(std::pair{epoch, sample}, row);
      if (!added) BOOST_CHECK_MESSAGE(there->second == row, "sample " << sample << " in " << epoch);
    }
  }

  Seen& seen;
  std::int64_t epoch = -1;  ///< before the first one
  bool watching = false;
};

/// Rows of bytes whose first one is their number.
data::Dataset numbered(std::int64_t n) {
  data::Dataset data = dependent_bytes(n, 10);
  data.train.x.narrow(1, 0, 1).copy_(Tensor::arange(n, DType::I32).reshape({n, 1}).to(DType::U8));
  return data;
}

/// The noise of two epochs and of what comes before.
Seen noise_of_training(const data::Dataset& data, std::int64_t batch_size, std::uint64_t seed) {
  Seen seen;
  auto flow = std::make_shared<Compose>();
  const auto spy = std::make_shared<Spy>(seen);
  flow->add("dequantize", std::make_shared<Dequantize>(Generator(seed, 2)));
  flow->add("spy", spy);
  flow->add("jitter", std::make_shared<Jitter>(Generator(seed, 3)));  // for rows that were kept
  flow->add("scaling", std::make_shared<Scaling>(data.dims));
  FlowDensity density(flow, base_by_name("gaussian"), data.dims);
  data::Dataset train = data;
  train.valid = {};
  Trainer trainer(density, train, {.epochs = 2, .batch_size = batch_size});
  trainer.prepare();
  spy->epoch = 0;
  spy->watching = true;
  trainer.run({.on_step =
                   [&](const StepReport&) {
                     spy->epoch = trainer.epoch();
                     return true;
                   },
               .on_epoch = {}});
  return seen;
}

std::vector<double> scores(FlowDensity& density, const Tensor& x,
                           const std::vector<std::int32_t>& rows, std::int64_t batch_size,
                           std::uint64_t seed = 0) {
  const Tensor which = Tensor::from(rows, {std::ssize(rows)});
  return score(density, index_select(x, 0, which),
               {.batch_size = batch_size, .noise_draws = 2, .seed = seed, .samples = which});
}

}  // namespace

BOOST_AUTO_TEST_SUITE(flows_noise)

BOOST_AUTO_TEST_CASE(training_gives_a_sample_its_own_noise_in_every_epoch) {
  const data::Dataset data = numbered(40);
  const Seen expected = noise_of_training(data, 40, 5);
  BOOST_CHECK_EQUAL(expected.size(), 3 * 40U);  // before the first step, two epochs
  std::set<std::vector<float>> different;
  for (const auto& [whose, noise] : expected) different.insert(noise);
  BOOST_CHECK_EQUAL(different.size(), expected.size());
  for (const std::int64_t batch_size : {1, 7, 16}) {
    BOOST_CHECK(noise_of_training(data, batch_size, 5) == expected);
  }
  BOOST_CHECK(noise_of_training(data, 40, 6) != expected);
  // By hand: the sample is its row in the split, the round is the epoch.
  Generator gen(5, 2);
  for (const std::int64_t epoch : {0, 1}) {
    gen.place({}, static_cast<std::uint64_t>(epoch));
    const Tensor u = uniform(gen, {40, 6});
    for (int i = 0; i < 40; ++i) {
      const auto row = u.narrow(0, i, 1).to_vector<float>();
      const auto& seen = expected.at({epoch, i});
      for (std::size_t j = 0; j < 6; ++j) BOOST_CHECK_SMALL(seen[j] - row[j], 2e-5F);
    }
  }
}

BOOST_AUTO_TEST_CASE(a_row_has_the_same_log_prob_in_any_company) {
  const data::Dataset bytes = dependent_bytes(60, 10);
  auto two_noises = std::make_shared<Compose>();
  two_noises->add("dequantize", std::make_shared<Dequantize>(Generator(3, 2)));
  two_noises->add("jitter", std::make_shared<Jitter>(Generator(3, 3)));
  Config table = small("realnvp-2d");
  coupling_flow(table).last_init_scale = 1;
  table.data.types = "1=integer,2=integer";
  data::Dataset counts;
  counts.dims = 2;
  counts.train.x = (bytes.train.x.narrow(1, 0, 2).to(DType::F32) / 16.0).to(DType::U8);
  counts.train.x = counts.train.x.to(DType::F64);
  const auto of_counts = make_flow(table, {.dims = 2});
  Trainer(*of_counts, counts, {.epochs = 1}).prepare();
  struct Case {
    std::shared_ptr<FlowDensity> density;
    Tensor x;
  };
  const Case cases[] = {
      {std::make_shared<FlowDensity>(two_noises, base_by_name("gaussian"), 6), bytes.train.x},
      {of_counts, counts.train.x}};
  for (const Case& c : cases) {
    const auto& density = c.density;
    const Tensor& x = c.x;
    std::vector<std::int32_t> all(60);
    for (int i = 0; i < 60; ++i) all[static_cast<std::size_t>(i)] = i;
    const std::vector<double> expected = scores(*density, x, all, 1000);
    const auto same = [&](const std::vector<std::int32_t>& rows, std::int64_t batch_size) {
      const std::vector<double> got = scores(*density, x, rows, batch_size);
      for (std::size_t i = 0; i < rows.size(); ++i) {
        const double to = expected[static_cast<std::size_t>(rows[i])];
        BOOST_CHECK_CLOSE_FRACTION(got[i], to, 1e-5);
      }
    };
    for (const std::int64_t batch_size : {1, 7, 59}) same(all, batch_size);
    std::reverse(all.begin(), all.end());
    same(all, 7);
    same({31}, 1000);
    same({5, 59, 5, 0}, 3);
    // By default a row is the sample of its place; another sample or seed has other noise.
    BOOST_CHECK_EQUAL(score(*density, x, {.noise_draws = 2})[7], expected[7]);
    const double moved = score(*density, x.narrow(0, 7, 1), {.noise_draws = 2})[0];
    BOOST_CHECK_GT(std::abs(moved - expected[7]), 1e-4 * std::abs(expected[7]));
    BOOST_CHECK_GT(std::abs(scores(*density, x, {7}, 1, 3)[0] - expected[7]),
                   1e-4 * std::abs(expected[7]));
    check_error([&] { score(*density, x, {.samples = Tensor::arange(59, DType::I32)}); },
                {"[evaluate]", "60 rows", "(59,)"});
  }
}

BOOST_AUTO_TEST_CASE(two_layers_draw_different_numbers) {
  const auto first = std::make_shared<Jitter>(Generator(1, 1)),
             second = std::make_shared<Jitter>(Generator(1, 2));
  const auto flow = [](const std::shared_ptr<Jitter>& a, const std::shared_ptr<Jitter>& b) {
    auto both = std::make_shared<Compose>();
    both->add("a", a);
    both->add("b", b);
    both->add("scaling", std::make_shared<Scaling>(2));
    return both;
  };
  FlowDensity density(flow(first, second), base_by_name("gaussian"), 2);
  const auto differ = [&] {
    BOOST_CHECK(first->last.to_vector<float>() != second->last.to_vector<float>());
  };
  density.log_prob(Tensor::zeros({5, 2}));
  differ();
  score(density, Tensor::zeros({5, 2}));
  differ();
  fit(density, moons(20, 0), {.epochs = 1, .batch_size = 10});
  differ();
  std::vector<std::string> names;
  density.for_each_generator([&](const std::string& name, Generator&) { names.push_back(name); });
  BOOST_CHECK((names == std::vector<std::string>{"a.noise", "b.noise"}));
  const auto copy = std::make_shared<Jitter>(Generator(2, 1));
  check_error([&] { FlowDensity(flow(first, copy), base_by_name("gaussian"), 2); },
              {"[Density]", "a.noise and b.noise", "same stream"});
  BOOST_CHECK_NO_THROW(FlowDensity(flow(first, first), base_by_name("gaussian"), 2));  // one module
}

BOOST_AUTO_TEST_CASE(losses_are_the_same_on_any_number_of_threads) {
  const data::Dataset data = dependent_bytes(150, 50);
  Config config = small("nice");
  coupling_flow(config).hidden_units = 150;
  config.training.batch_size = 60;
  config.training.epochs = 2;
  const int before = num_threads();
  std::vector<double> expected;
  for (const int threads : {1, 2, 3}) {
    set_num_threads(threads);
    const auto density = build(config, data);
    std::vector<double> told;
    fit(*density, data, fit_options(config),
        {.on_step =
             [&](const StepReport& r) {
               told.push_back(r.nats);
               return true;
             },
         .on_epoch = [&](const EpochReport& r) { told.push_back(r.valid_nats); }});
    if (expected.empty()) expected = told;
    BOOST_CHECK(told == expected);
  }
  set_num_threads(before);
}

BOOST_AUTO_TEST_CASE(generators_are_saved_and_resumed) {
  const TempFolder folder;
  const std::string path = folder.path("state.safetensors");
  const data::Dataset data = dependent_bytes(50, 20);
  Config config = small("nice");
  config.training.batch_size = 20;
  config.training.steps = 4;
  const auto density = build(config, data);
  Generator& noise = *density->generators().at(0);
  Trainer trainer(*density, data, fit_options(config));
  trainer.run();
  BOOST_CHECK(!noise.placed());
  noise.set_offset(12);
  trainer.save(path);
  nn::SafetensorsFile file = nn::load_safetensors(path);
  BOOST_CHECK_EQUAL(file.metadata.at("generator.dequantize.noise"), "3 2 12");

  const auto other = build(config, data);
  Generator& loaded = *other->generators().at(0);
  Trainer again(*other, data, fit_options(config));
  const auto load = [&] {
    loaded = Generator(8, 9);
    nn::save_safetensors(path, {file.tensors.begin(), file.tensors.end()}, file.metadata);
    again.load(path);
  };
  load();
  BOOST_CHECK(loaded.seed() == 3 && loaded.stream() == 2 && loaded.offset() == 12);
  // A state of before: its noise cannot go on, all else does.
  file.metadata.erase("generator.dequantize.noise");
  check_error(load, {"[resume]", path, "'generator.dequantize.noise'"});
  file.metadata["noise_offset"] = "17";
  BOOST_CHECK_NO_THROW(load());
  BOOST_CHECK(loaded.seed() == 8 && loaded.offset() == 0);
  BOOST_CHECK_EQUAL(again.step(), 4);
}

namespace {

/// A logistic over 8 unit levels: the probability of a level is a difference of distribution
/// functions. Steep: bound and truth are far apart.
std::shared_ptr<FlowDensity> steep_logistic() {
  auto flow = std::make_shared<Compose>();
  flow->add("dequantize", std::make_shared<Dequantize>(Generator(1), 8));
  flow->add("scale", std::make_shared<Scale>(6, -24));
  return std::make_shared<FlowDensity>(flow, base_by_name("logistic"), 1);
}

double log_probability(int level) {
  const double low = 6 * level - 24, high = low + 6;
  return std::log(1 / (1 + std::exp(-high)) - 1 / (1 + std::exp(-low)));
}

const Tensor& every_level() {
  static const Tensor x = Tensor::arange(8, DType::U8).reshape({8, 1});
  return x;
}

}  // namespace

// On average over the noise, which the bound is a statement of.
BOOST_AUTO_TEST_CASE(more_importance_weights_make_a_higher_bound) {
  const auto density = steep_logistic();
  double truth = 0, before = -INFINITY;
  for (int k = 0; k < 8; ++k) truth += log_probability(k) / 8;
  for (const int draws : {1, 2, 4, 16, 64}) {
    double bound = 0;
    constexpr int kSeeds = 400;
    for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
      const auto scores =
          score(*density, every_level(), {.noise_draws = draws, .importance = true, .seed = seed});
      bound += mean_and_error(scores).mean / kSeeds;
    }
    BOOST_TEST(bound > before + 0.01, draws << " draws: " << bound << " after " << before);
    BOOST_TEST(bound < truth, draws << " draws: " << bound << " for " << truth);
    before = bound;
  }
  BOOST_CHECK_SMALL(before - truth, 0.05);
  // One weight is one plain draw, to the last bit.
  BOOST_CHECK(score(*density, every_level(), {.importance = true}) ==
              score(*density, every_level()));
}

BOOST_AUTO_TEST_CASE(scores_can_be_watched_and_ended) {
  const auto density = steep_logistic();
  const EvaluateOptions plain{.batch_size = 3, .noise_draws = 4, .importance = true};
  const std::vector<double> all = score(*density, every_level(), plain);
  // Three batches of 4 draws; what is asked to end after so many keeps the batches that are done.
  for (const int end : {1, 3, 4, 7, 8, 12}) {
    std::vector<std::int64_t> told;
    EvaluateOptions watched = plain;
    watched.on_draw = [&](std::int64_t done, std::int64_t total) {
      BOOST_CHECK_EQUAL(total, 32);
      told.push_back(done);
      return std::ssize(told) < end;
    };
    const std::vector<double> some = score(*density, every_level(), watched);
    const std::vector<std::int64_t> expected = {3, 6, 9, 12, 15, 18, 21, 24, 26, 28, 30, 32};
    BOOST_CHECK_EQUAL_COLLECTIONS(told.begin(), told.end(), expected.begin(),
                                  expected.begin() + end);
    BOOST_CHECK_EQUAL(std::ssize(some), end < 4 ? 0 : end < 8 ? 3 : end < 12 ? 6 : 8);
    BOOST_CHECK(std::equal(some.begin(), some.end(), all.begin()));
  }
}

BOOST_AUTO_TEST_CASE(importance_weighting_rises_to_the_log_probability) {
  const auto shared = steep_logistic();
  FlowDensity& density = *shared;
  const Tensor& x = every_level();
  const auto mean = score(density, x, {.noise_draws = 4000}),
             few = score(density, x, {.noise_draws = 5, .importance = true}),
             many = score(density, x, {.noise_draws = 4000, .importance = true});
  const auto same = score(density, x, {.noise_draws = 5});
  for (int k = 0; k < 8; ++k) {
    const auto at = static_cast<std::size_t>(k);
    const double truth = log_probability(k);
    BOOST_TEST(std::abs(many[at] - truth) < 0.1, k << ": " << many[at] << " for " << truth);
    BOOST_TEST(mean[at] < truth - 0.3);
    BOOST_TEST(few[at] >= same[at]);  // of the same draws
  }
  // Far below what exp can hold, and NaN is not left out.
  auto deep = std::make_shared<Compose>();
  deep->add("dequantize", std::make_shared<Dequantize>(Generator(1), 2));
  deep->add("scale", std::make_shared<Scale>(1, 1e5));
  FlowDensity far(deep, base_by_name("logistic"), 1);
  const Tensor zero = Tensor::zeros({1, 1}, DType::U8);
  const double tail = score(far, zero, {.noise_draws = 100, .importance = true})[0];
  BOOST_TEST(std::abs(tail + 1e5) < 2, tail);
  auto broken = std::make_shared<Compose>();
  broken->add("dequantize", std::make_shared<Dequantize>(Generator(1), 2));
  broken->add("scale", std::make_shared<Scale>(1e38, 1e38));
  broken->add("again", std::make_shared<Scale>(1e38, -1e38));
  FlowDensity nan(broken, base_by_name("gaussian"), 1);
  BOOST_TEST(!std::isfinite(score(nan, zero, {.noise_draws = 3, .importance = true})[0]));
}

BOOST_AUTO_TEST_SUITE_END()
