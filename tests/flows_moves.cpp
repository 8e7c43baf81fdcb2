// Training images that are flipped and shifted: which, when, and that nothing else sees them moved.
#include <boost/test/unit_test.hpp>
#include <map>
#include <set>

#include "data/setting_error.h"
#include "flows/compose.h"
#include "flows/layers/batch_norm.h"
#include "flows/layers/scaling.h"
#include "flows/models/build.h"
#include "flows/train/fit.h"
#include "tensor/threads.h"
#include "tests/data_util.h"
#include "tests/trainings.h"

using namespace nf;
using namespace nf::flows;
using namespace nf::test;

namespace {

constexpr std::int64_t kSide = 3, kPixels = kSide * kSide, kImages = 28;

/// Where the pixels of an image come from, as they stand: 0..8, row by row.
using Places = std::vector<int>;
const Places kAsItIs = {0, 1, 2, 3, 4, 5, 6, 7, 8};

/// The arrangement of a sample by (epoch, sample).
using Seen = std::map<std::pair<std::int64_t, int>, Places>;

/// kImages images whose pixel p of sample i is 9 i + p: each number says whose it is.
data::Split numbered_images() {
  data::Split split;
  split.x = Tensor::arange(kImages * kPixels, DType::I32).reshape({kImages, kPixels}).to(DType::U8);
  split.numbers = Tensor::arange(kImages, DType::I32);
  split.given = split.numbers.reshape({kImages, 1}).to(DType::F64);
  return split;
}

data::Dataset numbered() {
  data::Dataset data;
  data.name = "numbered";
  data.dims = kPixels;
  data.channels = 1;
  data.height = data.width = kSide;
  data.discrete = true;
  data.train = data.valid = numbered_images();
  return data;
}

/// z = x / 100. Writes down how the images that it meets are arranged, and that what is given with
/// each is its number.
struct Spy : Transform {
  Mapped forward(const Var& x, const Var& context) override {
    write(x.value(), context);
    const Var z = x.value().to(DType::F32) / 100.0;
    return {z, zero_log_det(z)};
  }
  Mapped inverse(const Var& z, const Var&) override { return {z * 100.0, zero_log_det(z)}; }
  std::string kind() const override { return "Spy"; }

  void write(const Tensor& x, const Var& context) {
    const std::vector<double> given = context.defined()
                                          ? context.value().to(DType::F64).to_vector<double>()
                                          : std::vector<double>();
    for (std::int64_t i = 0; i < x.dim(0); ++i) {
      std::vector<float> row = x.narrow(0, i, 1).to(DType::F32).to_vector<float>();
      const int sample = static_cast<int>(row[0]) / kPixels;
      Places places;
      for (const float pixel : row) {
        BOOST_CHECK_EQUAL(static_cast<int>(pixel) / kPixels, sample);
        places.push_back(static_cast<int>(pixel) % kPixels);
      }
      if (!given.empty()) BOOST_CHECK_EQUAL(given[static_cast<std::size_t>(i)], sample);
      if (training()) {
        trained[{epoch, sample}] = places;
      } else {
        BOOST_CHECK(places == kAsItIs);
        ++evaluated;
      }
    }
  }

  Seen trained;
  std::int64_t epoch = 0;
  int evaluated = 0;
};

struct Watched {
  std::shared_ptr<Spy> spy = std::make_shared<Spy>();
  std::shared_ptr<FlowDensity> density;

  Watched() {
    auto flow = std::make_shared<Compose>();
    flow->add("spy", spy);
    flow->add("scaling", std::make_shared<Scaling>(kPixels));
    density = std::make_shared<FlowDensity>(flow, base_by_name("gaussian"), kPixels);
  }
  /// Trains to `stop` updates at most.
  void run(Trainer& trainer, std::int64_t stop = 1'000'000) {
    spy->epoch = trainer.epoch();
    trainer.run({.on_step =
                     [&](const StepReport& r) {
                       spy->epoch = trainer.epoch();
                       return r.step < stop;
                     },
                 .on_epoch = {}});
  }
};

Seen seen_in_training(const FitOptions& options) {
  const data::Dataset data = numbered();
  Watched watched;
  Trainer trainer(*watched.density, data, options);
  watched.run(trainer);
  BOOST_CHECK_GE(watched.spy->evaluated, kImages * options.epochs);
  return watched.spy->trained;
}

Places mirrored(const Places& places) {
  Places out = places;
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = places[i / 3 * 3 + 2 - i % 3];
  return out;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(flows_moves)

BOOST_AUTO_TEST_CASE(half_of_the_images_are_mirrored_and_all_are_without) {
  const Seen plain = seen_in_training({.epochs = 3, .batch_size = 7});
  BOOST_CHECK_EQUAL(plain.size(), 3U * kImages);
  for (const auto& [whose, places] : plain) BOOST_CHECK(places == kAsItIs);
  const Seen seen = seen_in_training({.epochs = 60, .batch_size = 7, .moves = {.flip = true}});
  BOOST_REQUIRE_EQUAL(seen.size(), 60U * kImages);
  std::map<std::pair<std::int64_t, bool>, int> flips;  // by epoch and by sample
  int count = 0;
  for (const auto& [whose, places] : seen) {
    const bool flipped = places == mirrored(kAsItIs);
    BOOST_CHECK(flipped || places == kAsItIs);
    count += flipped ? 1 : 0;
    flips[{whose.first, true}] += flipped ? 1 : 0;
    flips[{whose.second, false}] += flipped ? 1 : 0;
  }
  BOOST_CHECK_LT(std::abs(count - 840), 5 * 21);  // of 1680, 5 standard deviations of 20.5
  for (const auto& [what, times] : flips) {       // neither the epoch nor the sample settles it
    BOOST_CHECK_GT(times, 0);
    BOOST_CHECK_LT(times, what.second ? kImages : 60);
  }
}

// 3 x 3 shifts, each plain and mirrored: by hand, what stands where after each.
BOOST_AUTO_TEST_CASE(shifts_repeat_the_edge) {
  const std::vector<std::vector<int>> lines = {{1, 2, 2}, {0, 1, 2}, {0, 0, 1}};  // by -1, 0, 1
  std::set<Places> expected;
  for (const auto& down : lines) {
    for (const auto& right : lines) {
      Places places, mirror;
      for (const int y : down) {
        for (const int x : right) {
          places.push_back(3 * y + x);
          mirror.push_back(3 * y + 2 - x);
        }
      }
      expected.insert(places);
      expected.insert(mirror);
    }
  }
  BOOST_REQUIRE_EQUAL(expected.size(), 18U);
  const Seen seen =
      seen_in_training({.epochs = 60, .batch_size = 28, .moves = {.flip = true, .shift = 1}});
  std::map<Places, int> counts;
  for (const auto& [whose, places] : seen) ++counts[places];
  BOOST_CHECK_EQUAL(counts.size(), expected.size());
  for (const auto& [places, count] : counts) {
    BOOST_CHECK(expected.contains(places));
    BOOST_CHECK_LT(std::abs(count - 1680 / 18), 5 * 10);  // 5 standard deviations of 9.4
  }
}

BOOST_AUTO_TEST_CASE(moves_belong_to_the_sample_and_the_epoch) {
  const ImageMoves moves = {.flip = true, .shift = 1};
  const Seen expected = seen_in_training({.epochs = 2, .batch_size = 28, .moves = moves});
  for (const std::int64_t batch_size : {1, 5, 27}) {
    BOOST_CHECK(seen_in_training({.epochs = 2, .batch_size = batch_size, .moves = moves}) ==
                expected);
  }
  set_num_threads(3);
  BOOST_CHECK(seen_in_training({.epochs = 2, .batch_size = 28, .moves = moves}) == expected);
  set_num_threads(0);
  BOOST_CHECK(seen_in_training({.epochs = 2, .batch_size = 28, .moves = moves, .seed = 1}) !=
              expected);
  // Stopped in the middle of the second epoch, and taken up again.
  const data::Dataset data = numbered();
  const FitOptions options = {.epochs = 2, .batch_size = 5, .moves = moves};
  const TempFolder folder;
  Watched first, second;
  Trainer stopped(*first.density, data, options);
  first.run(stopped, 8);
  stopped.save(folder.path("state"));
  Trainer resumed(*second.density, data, options);
  resumed.load(folder.path("state"));
  second.run(resumed);
  Seen both = first.spy->trained;
  BOOST_CHECK_LT(both.size(), expected.size());
  both.insert(second.spy->trained.begin(), second.spy->trained.end());
  BOOST_CHECK(both == expected);
}

// Batch norm is measured in train mode, on rows as they are; layers begin from such, too.
BOOST_AUTO_TEST_CASE(statistics_and_initial_values_see_images_as_they_are) {
  struct Initial : Spy {
    void initialize(const Samples& x) override { write(x.all(), {}); }
    std::int64_t initial_rows() const override { return kImages; }
  };
  const data::Dataset data = numbered();
  auto flow = std::make_shared<Compose>();
  const auto spy = std::make_shared<Initial>();
  flow->add("spy", spy);
  flow->add("norm", std::make_shared<BatchNorm>(Partition::halves(kPixels, false)));
  FlowDensity density(flow, base_by_name("gaussian"), kPixels);
  MaximumLikelihood objective(density, data, {.flip = true, .shift = 1});
  density.train();
  objective.initialize();
  BOOST_CHECK_EQUAL(spy->trained.size(), std::size_t{kImages});
  objective.measure_statistics();
  for (const auto& [whose, places] : spy->trained) BOOST_CHECK(places == kAsItIs);
}

BOOST_AUTO_TEST_CASE(what_is_no_image_is_not_moved) {
  struct Row {
    const char* setting;
    DataShape data;
    const char* says;  ///< nothing: it is taken
  };
  const DataShape rows = {.dims = 9},
                  images = {.dims = 12, .discrete = true, .channels = 1, .height = 3, .width = 4};
  const Row table[] = {
      {"flip=true", rows, "[flip] only images"},
      {"shift=1", rows, "[shift] only images"},
      {"shift=3", images, "[shift] images of 4 x 3 cannot be shifted by 3 pixels"},
      {"shift=2", images, nullptr},
      {"flip=true", images, nullptr},
      {"flip=false", rows, nullptr},
  };
  for (const Row& row : table) {
    Config config = small("nice");
    set(config, row.setting);
    if (!row.says) {
      BOOST_CHECK_NO_THROW(check_settings(config, row.data));
    } else {
      check_error([&] { check_settings(config, row.data); }, {row.says});
      BOOST_CHECK_THROW(check_settings(config, row.data), data::SettingError);
    }
  }
  const data::Dataset moons = test::moons(20, 5);
  const auto density = build(small("realnvp-2d"), moons);
  check_error([&] { Trainer(*density, moons, {.moves = {.flip = true}}); }, {"[fit]", "images"});
}

// As the papers' figures were made: RealNVP with flips of CIFAR, Glow with shifts of a tenth.
BOOST_AUTO_TEST_CASE(presets_move_what_their_sources_move) {
  const auto colour = [](const char* family, std::int64_t side) {
    return DataShape{.dims = side * side * 3,
                     .discrete = true,
                     .channels = 3,
                     .height = side,
                     .width = side,
                     .family = family};
  };
  const DataShape cifar = colour("cifar-10", 32), svhn = colour("svhn", 32),
                  pictures = colour("", 64),
                  mnist = {.dims = 784, .discrete = true, .channels = 1, .height = 28, .width = 28};
  for (const std::string& name : preset_names()) {
    for (const DataShape& data : {DataShape(), cifar, svhn, pictures, mnist}) {
      for (const char* recipe : {"paper", "code"}) {
        const FitOptions options = fit_options(preset(name, data, recipe));
        const bool of_cifar = data.family == "cifar-10";
        BOOST_CHECK_EQUAL(options.moves.flip, of_cifar && name == "realnvp");
        BOOST_CHECK_EQUAL(options.moves.shift, of_cifar && name == "glow" ? 3 : 0);
      }
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()
