// Pixels of fewer than 8 bits: which levels they become, and which grey shows these.
#include "data/levels.h"

#include <boost/test/unit_test.hpp>
#include <cmath>

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

BOOST_AUTO_TEST_SUITE_END()
