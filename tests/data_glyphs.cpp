#include "data/glyphs.h"

#include <algorithm>
#include <numeric>

#include "data/idx.h"
#include "tensor/checksum.h"
#include "tensor/threads.h"
#include "tests/data_util.h"

using namespace nf;
using namespace nf::data;

namespace {

using Bytes = std::vector<std::uint8_t>;

Bytes pixels(std::uint64_t seed, GlyphSet set, std::int64_t first, std::int64_t count) {
  return glyphs(seed, set, first, count).x.to_vector<std::uint8_t>();
}

}  // namespace

BOOST_AUTO_TEST_SUITE(data_glyphs)

BOOST_AUTO_TEST_CASE(the_same_for_any_number_of_threads) {
  const int before = num_threads();
  set_num_threads(1);
  const Bytes one = pixels(7, GlyphSet::Train, 0, 300);
  for (const int threads : {2, 4}) {
    set_num_threads(threads);
    BOOST_CHECK(pixels(7, GlyphSet::Train, 0, 300) == one);
  }
  set_num_threads(before);
}

BOOST_AUTO_TEST_CASE(an_image_depends_on_seed_set_and_index_alone) {
  const Bytes all = pixels(7, GlyphSet::Train, 0, 20);
  const Bytes tail = pixels(7, GlyphSet::Train, 15, 5);
  BOOST_CHECK(std::equal(tail.begin(), tail.end(), all.begin() + 15 * 784));
  BOOST_CHECK(pixels(8, GlyphSet::Train, 0, 20) != all);
  BOOST_CHECK(pixels(7, GlyphSet::Test, 0, 20) != all);
  for (int i = 1; i < 20; ++i) {
    BOOST_CHECK(!std::equal(all.begin(), all.begin() + 784, all.begin() + i * 784));
  }
}

// Runs are evaluated on the images that they were trained on, by whatever build: with or without
// instructions that round a*b + c once, of any compiler.
BOOST_AUTO_TEST_CASE(every_build_draws_the_same) {
  Checksum sum;
  sum.add(glyphs(1, GlyphSet::Train, 0, 20000).x);
  sum.add(glyphs(1, GlyphSet::Test, 0, 2000).x);
  BOOST_CHECK_EQUAL(sum.text(), "93b35c5eb306d97c");
}

BOOST_AUTO_TEST_CASE(digits_are_balanced_whole_and_inked_like_mnist) {
  constexpr int kCount = 4000;
  const Split split = glyphs(1, GlyphSet::Train, 0, kCount);
  BOOST_CHECK_EQUAL(split.x.shape(), Shape({kCount, 784}));
  BOOST_CHECK(split.labels.dtype() == DType::I32);
  std::vector<int> counts(10);
  for (const std::int32_t label : split.labels.to_vector<std::int32_t>()) ++counts.at(label);
  for (const int count : counts) BOOST_CHECK(count > 320 && count < 480);  // 400 +- 4 deviations

  const Bytes x = split.x.to_vector<std::uint8_t>();
  double total = 0;
  for (int i = 0; i < kCount; ++i) {
    const std::uint8_t* image = &x[i * 784];
    const double ink = std::accumulate(image, image + 784, 0.);
    total += ink;
    BOOST_CHECK(ink > 20 * 255 && ink < 300 * 255);
    BOOST_CHECK_GE(*std::max_element(image, image + 784), 200);
    int border = 0;  // no stroke is cut off
    for (int k = 0; k < 28; ++k) {
      border =
          std::max({border, +image[k], +image[27 * 28 + k], +image[28 * k], +image[28 * k + 27]});
    }
    BOOST_CHECK_LT(border, 128);
  }
  const double mean = total / (784. * kCount);
  BOOST_TEST_INFO("mean " << mean);
  BOOST_CHECK(mean > 20 && mean < 45);  // MNIST: 33.3
}

BOOST_AUTO_TEST_CASE(a_nearest_mean_classifier_reads_them) {
  // The class means of some images tell the digits of others: labels and pictures belong together.
  const Split train = glyphs(3, GlyphSet::Train, 0, 3000), test = glyphs(3, GlyphSet::Test, 0, 500);
  const Bytes x = train.x.to_vector<std::uint8_t>(), y = test.x.to_vector<std::uint8_t>();
  const auto labels = train.labels.to_vector<std::int32_t>();
  const auto truth = test.labels.to_vector<std::int32_t>();
  std::vector<double> means(10 * 784), counts(10);
  for (std::size_t i = 0; i < labels.size(); ++i) {
    ++counts[labels[i]];
    for (int p = 0; p < 784; ++p) means[labels[i] * 784 + p] += x[i * 784 + p];
  }
  for (int k = 0; k < 7840; ++k) means[k] /= counts[k / 784];
  int right = 0;
  for (std::size_t i = 0; i < truth.size(); ++i) {
    std::vector<double> distance(10);
    for (int k = 0; k < 7840; ++k) {
      const double d = means[k] - y[i * 784 + k % 784];
      distance[k / 784] += d * d;
    }
    right += std::min_element(distance.begin(), distance.end()) - distance.begin() == truth[i];
  }
  BOOST_TEST_INFO(right << " of 500");
  BOOST_CHECK_GE(right, 400);  // 82 % on MNIST
}

BOOST_AUTO_TEST_CASE(written_as_mnist_is) {
  test::TempFolder folder;
  const std::string at = folder.path("new/glyphs");
  write_glyphs(at, 5, 12, 4);
  const Split train = glyphs(5, GlyphSet::Train, 0, 12);
  const Tensor images = read_idx(at + "/train-images-idx3-ubyte");
  BOOST_CHECK_EQUAL(images.shape(), Shape({12, 28, 28}));
  BOOST_CHECK(images.to_vector<std::uint8_t>() == train.x.to_vector<std::uint8_t>());
  const Tensor labels = read_idx(at + "/train-labels-idx1-ubyte");
  BOOST_CHECK(labels.to(DType::I32).to_vector<std::int32_t>() ==
              train.labels.to_vector<std::int32_t>());
  BOOST_CHECK_EQUAL(read_idx(at + "/t10k-images-idx3-ubyte").dim(0), 4);
  BOOST_CHECK_EQUAL(read_idx(at + "/t10k-labels-idx1-ubyte").dim(0), 4);
  test::check_error([&] { write_glyphs(folder.write("file", "x"), 5, 1, 1); },
                    {"[glyphs]", "file"});
}

BOOST_AUTO_TEST_SUITE_END()
