// CIFAR's records, and the real set where it is.
#include "data/cifar.h"

#include <cstdlib>

#include "data/source.h"
#include "tests/data_util.h"

using namespace nf;
using namespace nf::data;
using namespace nf::test;

BOOST_AUTO_TEST_SUITE(data_cifar)

BOOST_AUTO_TEST_CASE(records_of_both_kinds) {
  const TempFolder folder;
  struct Case {
    std::vector<std::string> records;
    int label_bytes;
    std::vector<std::int32_t> labels;
  };
  const Case cases[] = {
      {{"\7", std::string("\0", 1), "\x9"}, 1, {7, 0, 9}},
      {{"\x13\x63", std::string("\0\0", 2)}, 2, {99, 0}},
  };
  for (const Case& c : cases) {
    const std::string bytes = cifar_file(c.records);
    for (const std::string& content : {bytes, gzip(bytes)}) {
      const std::string path = folder.write("batch", content);
      BOOST_CHECK_EQUAL(cifar_label_bytes(path), c.label_bytes);
      const Split split = read_cifar(path);
      BOOST_CHECK(split.labels.to_vector<std::int32_t>() == c.labels);
      BOOST_CHECK_EQUAL(split.x.shape(), Shape({static_cast<std::int64_t>(c.labels.size()), 3072}));
      const auto pixels = split.x.to_vector<std::uint8_t>();
      BOOST_CHECK_EQUAL(pixels[0], 0);
      BOOST_CHECK_EQUAL(pixels[3 * 300], 300 % 256);  // red, green and blue of one pixel
      BOOST_CHECK_EQUAL(pixels[3 * 300 + 1], (1024 + 300) % 256);
      BOOST_CHECK_EQUAL(pixels[3 * 300 + 2], (2048 + 300) % 256);
      BOOST_CHECK_EQUAL(pixels[3071], 3071 % 256);
      BOOST_CHECK_EQUAL(pixels[3072], 1);
    }
  }
}

BOOST_AUTO_TEST_CASE(hostile_files_get_one_clear_line) {
  const TempFolder folder;
  const std::string good = cifar_file({"\1", "\2"});
  const std::string cases[] = {
      "",
      "\1",
      good.substr(0, good.size() - 1),
      good + "x",
      cifar_file({"\1", "\xA"}),  // a label of 10
      cifar_file({"\x14\1"}),     // a coarse label of 20
      cifar_file({"\1\x64"}),     // a fine label of 100
      gzip(good.substr(0, 3000)),
  };
  for (const std::string& bytes : cases) {
    const std::string path = folder.write("hostile", bytes);
    BOOST_CHECK_EQUAL(cifar_label_bytes(path), 0);
    check_error([&] { read_cifar(path); }, {path, "which are not records"});
  }
  const std::string bomb = folder.write("bomb", gzip(std::string(3073 << 14, '\0')));
  check_error([&] { read_cifar(bomb); }, {bomb, "unpacks to more than"});
}

/// Facts of the published first batch.
BOOST_AUTO_TEST_CASE(real_cifar) {
  const auto packed = real_data("cifar-10", "data_batch_1.bin.xz");
  if (!packed) {
    BOOST_TEST_MESSAGE("skipped: no CIFAR-10");
    return;
  }
  const TempFolder folder;
  const std::string path = folder.path("data_batch_1.bin");
  const std::string unpack = "xz -dc '" + *packed + "/data_batch_1.bin.xz' > '" + path + "'";
  if (std::system(unpack.c_str()) != 0) {
    BOOST_TEST_MESSAGE("skipped: no xz to unpack CIFAR-10");
    return;
  }
  const Dataset d = load(path, {.valid = 0, .test = 0});
  BOOST_CHECK(d.channels == 3 && d.height == 32 && d.width == 32 && d.discrete && d.classes == 10);
  BOOST_CHECK_EQUAL(d.train.size(), 10000);
  const Split split = read_cifar(path);
  // The first image is a frog, and its first pixel (59, 62, 63).
  BOOST_CHECK_EQUAL(split.labels.narrow(0, 0, 1).item(), 6);
  const auto pixel = [&](std::int64_t at) {
    return split.x.narrow(0, 0, 1).narrow(1, at, 1).item();
  };
  BOOST_CHECK_EQUAL(pixel(0), 59);
  BOOST_CHECK_EQUAL(pixel(1), 62);
  BOOST_CHECK_EQUAL(pixel(2), 63);
  std::vector<int> counts(10);
  for (const std::int32_t label : split.labels.to_vector<std::int32_t>()) ++counts[label];
  BOOST_CHECK(counts == std::vector<int>({1005, 974, 1032, 1016, 999, 937, 1030, 1001, 1025, 981}));
}

BOOST_AUTO_TEST_SUITE_END()
