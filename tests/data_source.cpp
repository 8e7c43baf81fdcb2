#include "data/source.h"

#include <cmath>
#include <numeric>

#include "data/glyphs.h"
#include "data/idx.h"
#include "tests/data_util.h"

using namespace nf;
using namespace nf::data;
using nf::test::check_error;
using nf::test::TempFolder;

namespace {

using Bytes = std::vector<std::uint8_t>;

/// n images of h x w: pixel p of image i is i + p.
Tensor images(std::int64_t n, std::int64_t h, std::int64_t w) {
  Bytes values(static_cast<std::size_t>(n * h * w));
  for (std::size_t k = 0; k < values.size(); ++k) {
    values[k] = static_cast<std::uint8_t>(k / (h * w) + k % (h * w));
  }
  return Tensor::from(values, {n, h, w});
}

Tensor labels(std::int64_t n) {
  Bytes values(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<std::uint8_t>(i % 3);
  return Tensor::from(values, {n});
}

/// A folder like MNIST's, with 12 and 4 images of 2 x 3.
void write_small_mnist(const TempFolder& folder) {
  write_idx(folder.path("train-images-idx3-ubyte"), images(12, 2, 3));
  write_idx(folder.path("train-labels-idx1-ubyte"), labels(12));
  write_idx(folder.path("t10k-images-idx3-ubyte"), images(4, 2, 3));
  write_idx(folder.path("t10k-labels-idx1-ubyte"), labels(4));
}

std::int64_t first_pixel(const Split& split) { return split.x.to_vector<std::uint8_t>().at(0); }

}  // namespace

BOOST_AUTO_TEST_SUITE(data_source)

BOOST_AUTO_TEST_CASE(a_folder_of_four_files) {
  TempFolder folder;
  write_small_mnist(folder);
  for (const std::string& spec : {folder.path(), "idx:" + folder.path()}) {
    const Dataset d = load(spec);
    BOOST_CHECK_EQUAL(d.train.x.shape(), Shape({10, 6}));
    BOOST_CHECK_EQUAL(d.valid.x.shape(), Shape({2, 6}));
    BOOST_CHECK_EQUAL(d.test.x.shape(), Shape({4, 6}));
    BOOST_CHECK_EQUAL(d.valid.labels.shape(), Shape({2}));
    BOOST_CHECK_EQUAL(first_pixel(d.train), 0);
    BOOST_CHECK_EQUAL(first_pixel(d.valid), 10);  // the last two of the training file
    BOOST_CHECK(d.valid.labels.to_vector<std::int32_t>() == std::vector<std::int32_t>({1, 2}));
    BOOST_CHECK_EQUAL(d.dims, 6);
    BOOST_CHECK(d.channels == 1 && d.height == 2 && d.width == 3 && d.images());
    BOOST_CHECK(d.discrete && d.classes == 3 && std::isnan(d.entropy));
  }
  const Dataset few = load(folder.path(), {.train = 3, .valid = 4, .test = 1});
  BOOST_CHECK(few.train.size() == 3 && few.valid.size() == 4 && few.test.size() == 1);
  BOOST_CHECK_EQUAL(first_pixel(few.valid), 8);
  std::filesystem::remove(folder.path("t10k-labels-idx1-ubyte"));  // labels may be missing
  BOOST_CHECK(!load(folder.path()).test.labels.defined());
}

BOOST_AUTO_TEST_CASE(gzipped_or_not_is_told_by_the_content) {
  TempFolder folder;
  write_small_mnist(folder);
  const std::string raw = folder.path("train-images-idx3-ubyte");
  const std::string bytes = test::bytes_of(raw);
  folder.write("train-images-idx3-ubyte", test::gzip(bytes));
  BOOST_CHECK_EQUAL(load(folder.path()).train.size(), 10);
  std::filesystem::remove(raw);
  folder.write("train-images-idx3-ubyte.gz", bytes);  // not gzipped, whatever it is called
  BOOST_CHECK_EQUAL(load(folder.path()).train.size(), 10);
}

BOOST_AUTO_TEST_CASE(single_files) {
  TempFolder folder;
  write_idx(folder.path("rows"),
            Tensor::from<double>({1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14}, {7, 2}));
  const Dataset rows = load(folder.path("rows"));
  BOOST_CHECK(rows.train.size() == 5 && rows.valid.size() == 1 && rows.test.size() == 1);
  BOOST_CHECK(!rows.discrete && !rows.images() && rows.dims == 2 && rows.classes == 0);
  BOOST_CHECK(rows.train.x.dtype() == DType::F32);
  BOOST_CHECK(rows.valid.x.to_vector<float>() == std::vector<float>({11, 12}));
  BOOST_CHECK(rows.test.x.to_vector<float>() == std::vector<float>({13, 14}));
  write_idx(folder.path("rgb"), images(14, 3, 4).reshape({7, 3, 2, 4}));
  const Dataset rgb = load(folder.path("rgb"), {.valid = 2, .test = 0});
  BOOST_CHECK(rgb.channels == 3 && rgb.height == 2 && rgb.width == 4 && rgb.dims == 24);
  BOOST_CHECK(rgb.train.size() == 5 && rgb.valid.size() == 2 && rgb.test.size() == 0);
}

BOOST_AUTO_TEST_CASE(files_that_do_not_fit_get_one_clear_line) {
  struct Case {
    const char* file;
    Tensor content;
    std::string rule;
  };
  const Case cases[] = {
      {"train-labels-idx1-ubyte", labels(11), "11 labels, but 12 images"},
      {"t10k-labels-idx1-ubyte", labels(5), "5 labels, but 4 images"},
      {"train-images-idx3-ubyte", labels(12), "labels where images or rows were expected"},
      {"train-labels-idx1-ubyte", images(12, 2, 3), "where labels were expected"},
      {"train-labels-idx1-ubyte", Tensor::zeros({12}), "where labels were expected"},
      {"train-labels-idx1-ubyte", Tensor::full({12}, -1, DType::I32), "label 0 is -1"},
      {"t10k-images-idx3-ubyte", images(4, 3, 3), "do not belong together"},
      {"train-images-idx3-ubyte", Tensor::zeros({12, 2, 3}), "pixels must be u8"},
      {"train-images-idx3-ubyte", Tensor::zeros({0, 2, 3}, DType::U8), "holds nothing"},
      {"train-images-idx3-ubyte", Tensor::zeros({2, 1, 1, 1, 1}, DType::U8), "expected rows"},
      {"train-images-idx3-ubyte", Tensor::full({12, 6}, NAN), "row 0, column 0 is not a finite"},
  };
  for (const Case& c : cases) {
    BOOST_TEST_CONTEXT(c.rule) {
      TempFolder folder;
      write_small_mnist(folder);
      write_idx(folder.path(c.file), c.content);
      check_error([&] { load(folder.path()); }, {folder.path(), c.rule});
    }
  }
}

BOOST_AUTO_TEST_CASE(names_paths_and_counts_that_are_not_there) {
  TempFolder folder;
  check_error([] { load("mons"); }, {"'mons'", "did you mean 'moons'?", "checkerboard"});
  check_error([] { load("no/such/folder"); }, {"'no/such/folder'", "no such file or folder"});
  check_error([] { load("mnist"); }, {"train-images-idx3-ubyte", "yann.lecun.com"});
  check_error([] { load(""); }, {"built-in are"});
  check_error([&] { load(folder.path()); }, {folder.path(), "no train-images-idx3-ubyte", "t10k"});
  check_error([&] { load("tiff:" + folder.path()); }, {"unknown format 'tiff'", "idx"});
  check_error([&] { load("idx:" + folder.path("none")); }, {"none", "No such file"});
  check_error([&] { load(folder.write("a.txt", "hello")); }, {"a.txt", "no format that is known"});
  write_small_mnist(folder);
  check_error([&] { load(folder.path(), {.valid = 13}); }, {"13 samples asked for, 12 are there"});
  check_error([&] { load(folder.path(), {.test = 5}); }, {"5 samples asked for, 4 are there"});
  check_error([&] { load(folder.path("t10k-images-idx3-ubyte"), {.valid = 3, .test = 2}); },
              {"5 samples asked for, 4 are there"});
}

BOOST_AUTO_TEST_CASE(built_in_sources_by_name) {
  const LoadOptions few = {.seed = 5, .train = 30, .valid = 20, .test = 10};
  for (const std::string& name : built_in_sources()) {
    BOOST_TEST_CONTEXT(name) {
      const Dataset d = load(name, few);
      BOOST_CHECK_EQUAL(d.name, name);
      BOOST_CHECK_EQUAL(d.train.x.shape(), Shape({30, d.dims}));
      BOOST_CHECK(d.valid.size() == 20 && d.test.size() == 10);
      BOOST_CHECK_EQUAL(d.images(), name == "glyphs");
      BOOST_CHECK_EQUAL(d.discrete, name == "glyphs");
      BOOST_CHECK_EQUAL(std::isfinite(d.entropy), name != "glyphs");
      const auto rows = [](const Split& s) { return s.x.to(DType::F64).to_vector<double>(); };
      BOOST_CHECK(rows(load(name, few).train) == rows(d.train));
      BOOST_CHECK(rows(load(name, {.seed = 6, .train = 30, .valid = 20, .test = 10}).train) !=
                  rows(d.train));
      BOOST_CHECK(rows({d.train.x.narrow(0, 0, 10), {}}) != rows(d.test));
    }
  }
}

BOOST_AUTO_TEST_CASE(glyphs_by_name_are_those_of_the_written_files) {
  TempFolder folder;
  write_glyphs(folder.path(), 5, 12, 3);
  const Dataset written = load(folder.path());
  const Dataset named = load("glyphs", {.seed = 5, .train = 10, .valid = 2, .test = 3});
  const auto same = [](const Split& a, const Split& b) {
    return a.x.to_vector<std::uint8_t>() == b.x.to_vector<std::uint8_t>() &&
           a.labels.to_vector<std::int32_t>() == b.labels.to_vector<std::int32_t>();
  };
  BOOST_CHECK(same(written.train, named.train));
  BOOST_CHECK(same(written.valid, named.valid));
  BOOST_CHECK(same(written.test, named.test));
}

BOOST_AUTO_TEST_CASE(real_mnist) {
  const auto folder = test::mnist_folder();
  if (!folder) {
    BOOST_TEST_MESSAGE("skipped: no MNIST");
    return;
  }
  const Dataset d = load(*folder);
  BOOST_CHECK_EQUAL(d.train.x.shape(), Shape({50000, 784}));
  BOOST_CHECK_EQUAL(d.valid.x.shape(), Shape({10000, 784}));
  BOOST_CHECK_EQUAL(d.test.x.shape(), Shape({10000, 784}));
  BOOST_CHECK_EQUAL(d.classes, 10);
  const auto first = d.train.labels.narrow(0, 0, 4).to_vector<std::int32_t>();
  BOOST_CHECK(first == std::vector<std::int32_t>({5, 0, 4, 1}));
  double sum = 0;
  for (const Split* split : {&d.train, &d.valid}) {
    const std::uint8_t* x = split->x.data<std::uint8_t>();
    sum = std::accumulate(x, x + split->x.numel(), sum);
  }
  BOOST_CHECK_CLOSE(sum / (60000. * 784), 33.3184, 1e-3);
}

BOOST_AUTO_TEST_SUITE_END()
