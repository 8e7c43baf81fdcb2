// Pixels of fewer than 8 bits: which levels they become, and which grey shows these; bits drawn of
// grey.
#include "data/levels.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <map>

#include "data/npy.h"
#include "data/setting_error.h"
#include "data/source.h"
#include "tensor/ops.h"
#include "tests/data_util.h"

using namespace nf;
using namespace nf::data;
using nf::test::check_error;

namespace {

std::vector<std::uint8_t> bytes(const Tensor& x) { return x.to_vector<std::uint8_t>(); }

Tensor row(const std::vector<std::uint8_t>& values) {
  return Tensor::from(values, {1, std::ssize(values)});
}

}  // namespace

BOOST_AUTO_TEST_SUITE(data_levels)

BOOST_AUTO_TEST_CASE(bits_that_are_left_out) {
  struct Row {
    int bits;
    std::vector<std::uint8_t> levels;  ///< of 0, 1, 7, 8, 100, 127, 128, 254, 255
    std::vector<std::uint8_t> grey;    ///< of the first and the last two of K
  };
  const Row table[] = {
      {1, {0, 0, 0, 0, 0, 0, 1, 1, 1}, {0, 0, 255}},
      {2, {0, 0, 0, 0, 1, 1, 2, 3, 3}, {0, 170, 255}},
      {3, {0, 0, 0, 0, 3, 3, 4, 7, 7}, {0, 219, 255}},
      {5, {0, 0, 0, 1, 12, 15, 16, 31, 31}, {0, 247, 255}},
      {7, {0, 0, 3, 4, 50, 63, 64, 127, 127}, {0, 253, 255}},
      {8, {0, 1, 7, 8, 100, 127, 128, 254, 255}, {0, 254, 255}},
  };
  const Tensor pixels = row({0, 1, 7, 8, 100, 127, 128, 254, 255});
  for (const auto& [bits, levels, grey] : table) {
    BOOST_TEST_CONTEXT(bits << " bits") {
      const auto most = static_cast<std::uint8_t>((1 << bits) - 1);
      BOOST_TEST(bytes(levels_of_pixels(pixels, bits)) == levels);
      const auto last = static_cast<std::uint8_t>(most - 1);
      BOOST_TEST(bytes(pixels_of_levels(row({0, last, most}), 1 << bits)) == grey);
    }
  }
  BOOST_CHECK_THROW(levels_of_pixels(pixels, 0), Error);
  BOOST_CHECK_THROW(levels_of_pixels(pixels, 9), Error);
  BOOST_CHECK_THROW(pixels_of_levels(pixels, 257), Error);
}

// What a model draws is written as grey, and read again with the same bits.
BOOST_AUTO_TEST_CASE(grey_of_a_level_is_of_that_level) {
  for (int bits = 1; bits <= 8; ++bits) {
    const int count = 1 << bits;
    const Tensor levels = Tensor::arange(count, DType::I32).to(DType::U8).reshape({count, 1});
    const Tensor grey = pixels_of_levels(levels, count);
    BOOST_CHECK(bytes(levels_of_pixels(grey, bits)) == bytes(levels));
    for (int k = 0; k < count; ++k) {
      const auto nearest = static_cast<int>(std::floor(255.0 * k / (count - 1) + 0.5));
      BOOST_CHECK_EQUAL(int{bytes(grey)[static_cast<std::size_t>(k)]}, nearest);
    }
    BOOST_CHECK(bytes(pixels_of_levels(levels.to(DType::F32), count)) == bytes(grey));
  }
}

// What a decoder says is no level: a mean.
BOOST_AUTO_TEST_CASE(between_levels_lies_the_grey_between) {
  const auto grey = [](const std::vector<float>& levels, int count) {
    return bytes(pixels_of_levels(Tensor::from(levels, {std::ssize(levels)}), count));
  };
  BOOST_TEST(grey({-0.2F, 0, 0.25F, 0.5F, 1, 1.2F}, 2) ==
             (std::vector<std::uint8_t>{0, 0, 64, 128, 255, 255}));
  BOOST_TEST(grey({1.5F, 2.9F}, 4) == (std::vector<std::uint8_t>{128, 247}));
  BOOST_TEST(grey({3.4F, 3.6F, 254.9F}, 256) == (std::vector<std::uint8_t>{3, 4, 255}));
}

BOOST_AUTO_TEST_CASE(sources_with_fewer_bits) {
  const test::TempFolder folder;
  const std::string path = folder.path("images.npy");
  const Tensor images = Tensor::arange(240, DType::I32).to(DType::U8).reshape({12, 5, 4, 1});
  write_npy(path, images);
  for (const std::string& source : {std::string("glyphs"), path}) {
    const bool drawn = source == "glyphs";
    const LoadOptions all{.train = drawn ? 20 : -1, .valid = 1, .test = 2};
    LoadOptions few = all;
    few.bits = 3;
    const Dataset before = load(source, all), after = load(source, few);
    BOOST_CHECK_EQUAL(before.levels, 256);
    BOOST_CHECK_EQUAL(after.levels, 8);
    BOOST_CHECK(after.discrete);
    BOOST_CHECK_EQUAL(after.checksum, before.checksum);  // the same data
    const auto parts = {std::pair{&before.train, &after.train},
                        {&before.valid, &after.valid},
                        {&before.test, &after.test}};
    for (const auto& [eight, three] : parts) {
      BOOST_REQUIRE(eight->x.shape() == three->x.shape());
      const auto x = bytes(eight->x), k = bytes(three->x);
      for (std::size_t i = 0; i < x.size(); ++i) BOOST_REQUIRE_EQUAL(int{k[i]}, x[i] / 32);
    }
  }
  BOOST_CHECK_THROW(load("moons", {.train = 5, .bits = 5}), SettingError);
  check_error([] { load("moons", {.train = 5, .bits = 5}); }, {"[bits]", "'moons'", "pixels"});
}

// --- bits drawn with the grey as their probability -----------------------------------------------

BOOST_AUTO_TEST_CASE(a_bit_is_1_as_often_as_its_grey_says) {
  constexpr std::int64_t kPixels = 5000;
  Generator gen(3);
  for (const int grey : {0, 1, 64, 128, 200, 254, 255}) {
    const Tensor pixels = Tensor::full({1, kPixels}, grey, DType::U8, Device::CPU);
    gen.place({}, static_cast<std::uint64_t>(grey));
    const auto bits = bytes(draw_bits(gen, pixels));
    const double ones = std::count(bits.begin(), bits.end(), 1), p = grey / 255.0;
    BOOST_TEST(ones + std::count(bits.begin(), bits.end(), 0) == kPixels);
    BOOST_TEST(std::abs(ones - p * kPixels) <= 5 * std::sqrt(p * (1 - p) * kPixels));
  }
}

BOOST_AUTO_TEST_CASE(bits_belong_to_the_row_of_the_file) {
  const test::TempFolder folder;
  const std::string path = folder.path("images.npy"), swapped = folder.path("swapped.npy");
  Generator gen(1);
  const Tensor images = (uniform(gen, {30, 6, 5, 1}) * 256.0).to(DType::U8);
  write_npy(path, images);
  const Dataset grey = load(path), once = load(path, {.binarize = "static"}),
                again = load(path, {.train = 7, .binarize = "static"}),
                dynamic = load(path, {.binarize = "dynamic"}),
                whole = load(path, {.in_file_order = true, .binarize = "static"});
  BOOST_TEST(once.levels == 2);
  BOOST_TEST(once.checksum == grey.checksum);  // the same data
  BOOST_TEST(!once.intensities.defined());
  BOOST_CHECK(bytes(dynamic.intensities) == bytes(grey.train.x));
  std::map<std::int32_t, std::vector<std::uint8_t>> of_row;
  const auto add = [&](const Split& part) {
    const auto rows = part.numbers.to_vector<std::int32_t>();
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const auto bits = bytes(part.x.narrow(0, static_cast<std::int64_t>(i), 1));
      const auto [known, added] = of_row.emplace(rows[i], bits);
      BOOST_CHECK(known->second == bits);
    }
  };
  for (const Dataset* data : {&once, &again, &dynamic, &whole}) {
    for (const Split* part : {&data->train, &data->valid, &data->test}) add(*part);
  }
  BOOST_TEST(of_row.size() == 30U);
  // Rows of one image have bits of their own.
  std::vector<Tensor> alike(30, images.narrow(0, 0, 1));
  write_npy(swapped, concat(alike, 0));
  const auto rows = bytes(load(swapped, {.binarize = "static"}).train.x);
  BOOST_CHECK(!std::equal(rows.begin(), rows.begin() + 30, rows.begin() + 30));
}

BOOST_AUTO_TEST_CASE(what_is_bits_already_stays) {
  const test::TempFolder folder;
  const std::string path = folder.path("bits.npy");
  Generator gen(1);
  write_npy(path, bernoulli(gen, 0.4, {20, 6, 5, 1}).to(DType::U8));
  for (const char* how : {"static", "dynamic"}) {
    const Dataset bits = load(path, {.binarize = how});
    BOOST_CHECK(bytes(bits.train.x) == bytes(load(path).train.x));
    BOOST_TEST(bits.levels == 2);
    BOOST_TEST(!bits.intensities.defined());
    BOOST_TEST(bits.notes.size() == 1U);
  }
}

// The upper bits of 0 and 1 are all 0: a model of such pixels learns nothing.
BOOST_AUTO_TEST_CASE(upper_bits_that_say_nothing_are_told) {
  const test::TempFolder folder;
  const std::string path = folder.path("bits.npy");
  for (const int most : {1, 63, 64}) {
    Tensor images = Tensor::zeros({20, 2, 3, 1}, DType::U8);
    images.fill_(most);
    write_npy(path, images);
    const Dataset two = load(path, {.bits = 2});
    BOOST_TEST(two.notes.size() == (most < 64 ? 1U : 0U));
    if (most < 64)
      BOOST_TEST(two.notes[0].starts_with("no pixel is above 63: with bits = 2 all become 0"));
  }
}

BOOST_AUTO_TEST_CASE(what_has_no_bits_to_draw) {
  check_error([] { load("moons", {.train = 5, .binarize = "static"}); },
              {"[binarize]", "'moons'", "pixels"});
  check_error([] { load("glyphs", {.train = 5, .binarize = "both"}); },
              {"'both' is not one of none, static, dynamic"});
  check_error([] { load("glyphs", {.train = 5, .bits = 5, .binarize = "static"}); },
              {"[binarize]", "leave bits out"});
}

BOOST_AUTO_TEST_SUITE_END()
