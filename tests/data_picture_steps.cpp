// What is done to pictures before they are samples: sizes, crops, windows.
#include "data/picture_steps.h"

#include <cmath>
#include <set>

#include "data/source.h"
#include "tests/data_util.h"
#include "tests/picture_makers.h"

using namespace nf;
using namespace nf::data;
using namespace nf::test;

namespace {

using Levels = std::vector<std::uint8_t>;

Levels levels(const Tensor& x) { return x.to_vector<std::uint8_t>(); }

/// All rows of a source, in the order of its pictures.
Dataset in_order(const std::string& path, LoadOptions options = {}) {
  options.in_file_order = true;
  options.valid = options.test = 0;
  return load(path, options);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(data_picture_steps)

BOOST_AUTO_TEST_CASE(smaller_pixels_are_means_of_what_they_cover) {
  const std::int64_t h = 7, w = 10, c = 3;
  Levels values(static_cast<std::size_t>(h * w * c));
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<std::uint8_t>(i * i * 37 % 256);
  }
  const Tensor x = Tensor::from(values, {h, w, c});
  for (const auto& [width, height] : {std::pair{10, 7}, {5, 7}, {4, 3}, {1, 1}, {7, 2}, {9, 6}}) {
    const Levels got = levels(resized(x, {width, height}));
    // Each old pixel as height x width equal parts, of which h x w make a new one.
    std::size_t at = 0;
    for (std::int64_t y = 0; y < height; ++y) {
      for (std::int64_t k = 0; k < width; ++k) {
        for (std::int64_t d = 0; d < c; ++d, ++at) {
          std::int64_t sum = 0;
          for (std::int64_t v = y * h; v < (y + 1) * h; ++v) {
            for (std::int64_t u = k * w; u < (k + 1) * w; ++u) {
              sum += values[static_cast<std::size_t>((v / height * w + u / width) * c + d)];
            }
          }
          BOOST_CHECK_EQUAL(int{got[at]}, (2 * sum + h * w) / (2 * h * w));
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(larger_pixels_lie_between_two) {
  const Tensor x = Tensor::from<std::uint8_t>({0, 100, 60}, {1, 3, 1});
  BOOST_TEST(levels(resized(x, {6, 1})) == Levels({0, 25, 75, 90, 70, 60}),
             boost::test_tools::per_element());
  BOOST_TEST(levels(resized(x.reshape({3, 1, 1}), {2, 6})) ==
                 Levels({0, 0, 25, 25, 75, 75, 90, 90, 70, 70, 60, 60}),
             boost::test_tools::per_element());
  BOOST_TEST(
      levels(resized(Tensor::from<std::uint8_t>({9}, {1, 1, 1}), {2, 2})) == Levels({9, 9, 9, 9}),
      boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(steps_by_name) {
  // A picture whose level is x (gray) or y.
  const auto slope = [](std::uint32_t width, std::uint32_t height, bool down) {
    std::string rows;
    for (std::uint32_t y = 0; y < height; ++y) {
      for (std::uint32_t x = 0; x < width; ++x) rows += static_cast<char>(down ? y : x);
    }
    return png_file(width, height, kGray, 8, rows);
  };
  struct Row {
    std::string images;
    std::uint32_t width, height;
    std::int64_t to_width, to_height;
    double left, top, scale;  ///< old = left + scale * (new + 1/2) - 1/2
  };
  const Row rows[] = {
      {"", 5, 3, 5, 3, 0, 0, 1},
      {"crop:3x2", 7, 5, 3, 2, 2, 1, 1},
      {"crop:4", 7, 5, 4, 4, 1, 0, 1},
      {"square", 9, 4, 4, 4, 2, 0, 1},
      {"square, resize:5", 40, 30, 5, 5, 5, 0, 6},
      {"celeba", 178, 218, 64, 64, 15, 40, 148. / 64},
      {"short:6", 24, 12, 12, 6, 0, 0, 2},
      {"short:96,crop:64", 192, 240, 64, 64, 32, 56, 2},
  };
  const TempFolder folder;
  for (const Row& row : rows) {
    for (const bool down : {false, true}) {
      BOOST_TEST_CONTEXT(row.images << (down ? ", rows" : ", columns")) {
        folder.write("a.png", slope(row.width, row.height, down));
        const Dataset d = in_order(folder.path(), {.images = row.images});
        BOOST_TEST((d.width == row.to_width && d.height == row.to_height && d.channels == 1));
        const Levels got = levels(d.train.x);
        for (std::int64_t i = 0; i < d.dims; ++i) {
          const auto at = static_cast<double>(down ? i / d.width : i % d.width);
          const double old = (down ? row.top : row.left) + row.scale * (at + .5) - .5;
          BOOST_TEST(std::abs(got[static_cast<std::size_t>(i)] - old) <= .5 + 1e-9, i);
        }
      }
    }
  }
  const std::pair<const char*, const char*> wrong[] = {
      {"crop", "takes a size"},         {"crop:0", "takes a size"},
      {"crop:3x", "takes a size"},      {"resize:9999", "sides of 1 to 8192"},
      {"patches:x", "side of a tile"},  {"squares", "did you mean 'square'?"},
      {"celeba:64", "no such step"},    {"square,,gray", "no such step"},
      {"patches:2,crop:2", "last step"}};
  for (const auto& one : wrong) {
    check_error([&] { in_order(folder.path(), {.images = one.first}); }, {"[images]", one.second});
  }
  check_error([&] { in_order(folder.path(), {.images = "crop:300"}); },
              {"a.png' has 192 x 240 pixels, and crop takes 300 x 300"});
  check_error([&] { in_order(folder.path(), {.images = "celeba"}); },
              {"a.png'", "aligned pictures, which have 178 x 218", "square,resize:64"});
}

BOOST_AUTO_TEST_CASE(windows_are_drawn_by_what_a_picture_shows) {
  const PictureSteps steps = parse_picture_steps("random:3x2");
  std::set<std::pair<int, int>> places;
  for (int number = 0; number < 200; ++number) {
    // Level 10 y + x, but for the last pixel, by which the pictures differ.
    Levels values;
    for (int y = 0; y < 4; ++y) {
      for (int x = 0; x < 6; ++x) values.push_back(static_cast<std::uint8_t>(10 * y + x));
    }
    values.back() = static_cast<std::uint8_t>(number);
    const Tensor picture = Tensor::from(values, {4, 6, 1});
    const Levels got = levels(apply_steps(steps, "a", picture));
    BOOST_TEST(got == levels(apply_steps(steps, "b", picture)), boost::test_tools::per_element());
    const int left = got[0] % 10, top = got[0] / 10;
    places.emplace(left, top);
    BOOST_TEST_REQUIRE((left <= 3 && top <= 2));
    for (int i = 0; i < 5; ++i)
      BOOST_TEST(int{got.at(static_cast<std::size_t>(i))} == 10 * (top + i / 3) + left + i % 3);
  }
  BOOST_TEST(places.size() == 12);  // each of them
  BOOST_CHECK(size_after(parse_picture_steps("lsun"), "a", {300, 200}) == PictureSize({64, 64}));
  check_error(
      [] {
        size_after(parse_picture_steps("random:9"), "a", {8, 20});
      },
      {"a has 8 x 20 pixels, and random takes 9 x 9"});
  check_error(
      [] {
        size_after(parse_picture_steps("short:100"), "a", {1, 90});
      },
      {"a has 1 x 90 pixels, and short:100 would make 100 x 9000", "8192"});
}

BOOST_AUTO_TEST_SUITE_END()
