#include "data/source.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <numeric>
#include <set>

#include "data/glyphs.h"
#include "data/idx.h"
#include "data/npy.h"
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
    BOOST_TEST(d.cut == "test is the source's own, validation the end of the training samples");
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

/// 20 rows (i, -i) in a file of this format.
std::string twenty_rows(const TempFolder& folder, const std::string& format) {
  const std::string path = folder.path("rows." + format);
  std::vector<float> values;
  std::string text = "plus,minus\n";
  for (int i = 0; i < 20; ++i) {
    values.insert(values.end(), {static_cast<float>(i), static_cast<float>(-i)});
    text += str(i, ",", -i, "\n");
  }
  const Tensor rows = Tensor::from(values, {20, 2});
  write_npy(path, rows);
  const std::string npy = test::bytes_of(path);
  if (format == "idx") write_idx(path, rows);
  if (format == "csv") folder.write("rows.csv", text);
  if (format == "npz") folder.write("rows.npz", test::zip_file({{"data.npy", npy}}));
  if (format == "mat") {
    const Tensor columns = rows.t().contiguous();  // as MATLAB stores it
    const std::string bytes(reinterpret_cast<const char*>(columns.data<float>()), 20 * 2 * 4);
    folder.write("rows.mat", test::mat_file(test::mat_matrix("z", 7, {20, 2}, 7, bytes)));
  }
  return path;
}

BOOST_AUTO_TEST_CASE(single_files_are_shuffled_and_cut) {
  TempFolder folder;
  std::vector<double> order;
  for (const char* format : {"idx", "npy", "npz", "mat", "csv"}) {
    BOOST_TEST_CONTEXT(format) {
      const std::string path = twenty_rows(folder, format);
      const Dataset d = load(path, {.seed = 3});
      BOOST_CHECK(d.train.size() == 16 && d.valid.size() == 2 && d.test.size() == 2);
      BOOST_TEST(d.cut.starts_with("drawn from the rows at random"));
      BOOST_CHECK(!d.discrete && !d.images() && d.dims == 2 && d.classes == 0);
      BOOST_CHECK(d.columns == (std::string(format) == "csv"
                                    ? std::vector<std::string>({"plus", "minus"})
                                    : std::vector<std::string>()));
      std::vector<double> rows;
      for (const Split* split : {&d.train, &d.valid, &d.test}) {
        for (const double x : split->x.to_vector<double>()) rows.push_back(x);
      }
      // The same order for every format and seed; all rows are there, whole.
      if (order.empty()) order = rows;
      BOOST_CHECK(rows == order);
      std::set<double> seen;
      for (std::size_t i = 0; i < rows.size(); i += 2) {
        BOOST_CHECK_EQUAL(rows[i], -rows[i + 1]);
        seen.insert(rows[i]);
      }
      BOOST_CHECK_EQUAL(seen.size(), 20U);
      BOOST_CHECK(!std::is_sorted(rows.begin(), rows.end()));
      const Dataset few =
          load(std::string(format) + ":" + path, {.train = 3, .valid = 2, .test = 2});
      BOOST_CHECK(few.train.size() == 3);
      BOOST_CHECK(few.test.x.to_vector<double>() == d.test.x.to_vector<double>());
      BOOST_CHECK(few.valid.x.to_vector<double>() == d.valid.x.to_vector<double>());
    }
  }
}

BOOST_AUTO_TEST_CASE(images_with_channels_first_or_last) {
  TempFolder folder;
  for (const std::int64_t c : {1, 3, 4}) {
    const Tensor x = images(7, c, 10).reshape({7, c, 2, 5});
    write_idx(folder.path("first"), x);
    write_npy(folder.path("last"), x.permute({0, 2, 3, 1}));
    for (const char* name : {"first", "last"}) {
      for (const char* layout : {"auto", name}) {
        const Dataset d = load(folder.path(name), {.valid = 2, .test = 0, .layout = layout});
        BOOST_CHECK(d.channels == c && d.height == 2 && d.width == 5 && d.dims == 10 * c);
        BOOST_CHECK(d.train.size() == 5 && d.valid.size() == 2 && d.test.size() == 0);
        BOOST_TEST(has_picture(d));
        const Bytes row = d.train.x.narrow(0, 0, 1).to_vector<std::uint8_t>();
        const auto depth = static_cast<std::size_t>(c);
        for (std::size_t p = 0; p < row.size(); ++p) {  // pixel by pixel, channels last
          BOOST_CHECK_EQUAL(row[p], row[0] + p % depth * 10 + p / depth);
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(a_layout_that_sizes_do_not_tell_is_asked_for) {
  TempFolder folder;
  for (const Shape& shape : {Shape({7, 2, 2, 5}), Shape({7, 3, 2, 1}), Shape({7, 1, 6, 1})}) {
    const std::string path = folder.path("x");
    write_npy(path, images(7, shape[1] * shape[2], shape[3]).reshape(shape));
    check_error([&] { load(path); }, {path, "first, (N, C, H, W)", "last, (N, H, W, C)"});
    const Dataset first = load(path, {.layout = "first"}), last = load(path, {.layout = "last"});
    BOOST_CHECK(first.channels == shape[1] && first.width == shape[3]);
    BOOST_CHECK(last.channels == shape[3] && last.width == shape[2]);
    BOOST_TEST(has_picture(first) == (shape[1] != 2));
  }
}

BOOST_AUTO_TEST_CASE(archives_with_parts_and_labels) {
  TempFolder folder;
  const auto array = [&](const Tensor& x) {
    write_npy(folder.path("array"), x);
    return test::bytes_of(folder.path("array"));
  };
  const std::string ten = array(images(10, 2, 2)), ten_labels = array(labels(10).reshape({10, 1}));
  const std::string four = array(images(4, 2, 2)), four_labels = array(labels(4).to(DType::I32));
  const auto keras = folder.write("keras", test::zip_file({{"x_train.npy", ten},
                                                           {"y_train.npy", ten_labels},
                                                           {"x_test.npy", four},
                                                           {"y_test.npy", four_labels}}));
  const Dataset d = load(keras);
  BOOST_CHECK(d.train.size() == 9 && d.valid.size() == 1 && d.test.size() == 4);
  BOOST_CHECK(d.classes == 3 && d.height == 2 && first_pixel(d.test) == 0);
  BOOST_CHECK(first_pixel(d.valid) != 9);  // not the last row: files may be sorted
  const auto medmnist = folder.write("medmnist", test::zip_file({{"train_images.npy", ten},
                                                                 {"train_labels.npy", ten_labels},
                                                                 {"val_images.npy", four},
                                                                 {"val_labels.npy", four_labels}}));
  const Dataset m = load(medmnist, {.valid = 3, .test = 0});
  BOOST_CHECK(m.train.size() == 10 && m.valid.size() == 3 && m.valid.labels.numel() == 3);
  const auto whole = folder.write("whole", test::zip_file({{"x.npy", ten}, {"y.npy", ten_labels}}));
  BOOST_CHECK(load(whole).classes == 3 && load(whole).test.size() == 1);
  const auto wrong =
      folder.write("wrong", test::zip_file({{"x.npy", ten}, {"y.npy", four_labels}}));
  check_error([&] { load(wrong); }, {wrong, "4 labels, but 10 samples"});
  const auto unknown = folder.write("unknown", test::zip_file({{"a.npy", ten}, {"b.npy", four}}));
  check_error([&] { load(unknown); }, {unknown, "holds a (10, 2, 2), b (4, 2, 2)", "expected"});
}

BOOST_AUTO_TEST_CASE(folders_of_cifar_and_svhn) {
  TempFolder ten, hundred, svhn;
  for (int batch = 1; batch <= 5; ++batch) {
    const std::string bytes = test::cifar_file({std::string(1, static_cast<char>(batch)), "\1"});
    ten.write(str("data_batch_", batch, ".bin"), batch == 3 ? test::gzip(bytes) : bytes);
  }
  check_error([&] { load(ten.path()); }, {"no test_batch.bin", "www.cs.toronto.edu"});
  ten.write("test_batch.bin", test::cifar_file({"\1", "\2", "\11"}));
  hundred.write("train.bin", test::cifar_file(std::vector<std::string>(10, "\1\x62")));
  hundred.write("test.bin.gz", test::gzip(test::cifar_file({"\1\x63"})));
  const Dataset a = load(ten.path()), b = load("cifar:" + hundred.path());
  BOOST_TEST(a.family == "cifar-10");
  BOOST_TEST(b.family == "cifar-100");
  for (const Dataset* d : {&a, &b}) {
    BOOST_CHECK(d->channels == 3 && d->height == 32 && d->width == 32 && d->dims == 3072);
    BOOST_CHECK(d->discrete && d->train.size() == 8 && d->valid.size() == 2);
  }
  BOOST_CHECK(a.test.size() == 3 && a.classes == 10);
  BOOST_CHECK(a.train.labels.to_vector<std::int32_t>() ==
              std::vector<std::int32_t>({1, 1, 2, 1, 3, 1, 4, 1}));
  BOOST_CHECK(b.test.size() == 1 && b.classes == 100);

  // X (2, 2, 3, N): pixel (row, column, channel, image) is 100 n + 10 c + 2 w + h.
  const auto digits = [](std::uint32_t n, const std::string& y) {
    std::string x;
    for (std::uint32_t i = 0; i < n; ++i) {
      for (int c = 0; c < 3; ++c) {
        for (int p = 0; p < 4; ++p) x += static_cast<char>(100 * i + 10 * c + p);
      }
    }
    return test::mat_file(test::mat_packed(test::mat_matrix("X", 9, {2, 2, 3, n}, 2, x)) +
                          test::mat_packed(test::mat_matrix("y", 6, {n, 1}, 2, y)));
  };
  svhn.write("train_32x32.mat", digits(2, "\1\12"));
  check_error([&] { load(svhn.path()); }, {"no test_32x32.mat", "ufldl.stanford.edu"});
  svhn.write("test_32x32.mat", digits(1, "\11"));
  const Dataset d = load(svhn.path());
  BOOST_TEST(d.family == "svhn");
  BOOST_CHECK(d.channels == 3 && d.height == 2 && d.width == 2 && d.classes == 10);
  BOOST_CHECK(d.train.x.to_vector<std::uint8_t>() ==
              Bytes({0,   10,  20,  2,   12,  22,  1,   11,  21,  3,   13,  23,
                     100, 110, 120, 102, 112, 122, 101, 111, 121, 103, 113, 123}));
  BOOST_CHECK(d.train.labels.to_vector<std::int32_t>() == std::vector<std::int32_t>({1, 0}));
  svhn.write("test_32x32.mat", digits(1, "\13"));
  check_error([&] { load(svhn.path()); }, {"label 0 is 11", "SVHN"});
}

/// n images of S x S in planes, as rows (N, 3 S S): number k of image i is i + k.
std::string planes(int n, int side) {
  std::string out;
  for (int i = 0; i < n; ++i) {
    for (int k = 0; k < 3 * side * side; ++k) out += static_cast<char>(i + k);
  }
  return out;
}

/// Whether the rows of images of S x S, channels last, are such planes, the first of image `first`.
bool from_planes(const Split& part, int side, int first) {
  const Bytes rows = part.x.to_vector<std::uint8_t>();
  const std::size_t plane = static_cast<std::size_t>(side) * static_cast<std::size_t>(side);
  for (std::size_t k = 0; k < rows.size(); ++k) {
    const std::size_t row = k / (3 * plane), pixel = k % (3 * plane) / 3, channel = k % 3;
    const std::size_t expected = static_cast<std::size_t>(first) + row + channel * plane + pixel;
    if (rows[k] != static_cast<std::uint8_t>(expected)) return false;
  }
  return !rows.empty();
}

BOOST_AUTO_TEST_CASE(batches_of_small_imagenet) {
  const auto batch = [](int n, int side, const std::vector<int>& labels) {
    std::string y;
    for (const int label : labels) y += test::little(static_cast<std::uint64_t>(label), 8);
    const std::string shape = str("(", n, ", ", 3 * side * side, ")"), count = str("(", n, ",)");
    return test::zip_file({{"data.npy", test::npy("|u1", shape, planes(n, side))},
                           {"labels.npy", test::npy("<i8", count, y)},
                           {"mean.npy", test::npy("<f8", "(1,)", std::string(8, '\0'))}});
  };
  const TempFolder folder;
  for (const int side : {32, 64}) {
    const Dataset d = load(folder.write("one.npz", batch(3, side, {1, 1000, 7})),
                           {.valid = 0, .test = 0, .in_file_order = true});
    BOOST_TEST((d.channels == 3 && d.height == side && d.width == side && d.discrete));
    BOOST_TEST(from_planes(d.train, side, 0));
    BOOST_TEST(d.train.labels.to_vector<std::int32_t>() == std::vector<std::int32_t>({0, 999, 6}),
               boost::test_tools::per_element());
  }
  const Dataset from_zero = load(folder.write("few.npz", batch(2, 32, {1, 9})), {.test = 0});
  BOOST_TEST(from_zero.classes == 10);  // as CIFAR's

  const TempFolder all;
  all.write("val_data.npz", batch(2, 32, {1000, 1}));
  for (int i = 1; i <= 10; ++i) {
    check_error([&] { load(all.path()); }, {str("no train_data_batch_", i, ".npz"), "image-net"});
    all.write(str("train_data_batch_", i, ".npz"), batch(2, 32, {i, 1000}));
  }
  const Dataset d = load(all.path());
  BOOST_TEST(d.family == "imagenet-32");
  BOOST_TEST((d.train.size() == 18 && d.valid.size() == 2 && d.test.size() == 2));
  BOOST_TEST((d.classes == 1000 && from_planes(d.test, 32, 0) && from_planes(d.valid, 32, 0)));
  const auto labels = d.train.labels.to_vector<std::int32_t>();
  for (int i = 0; i < 9; ++i) BOOST_TEST(labels[static_cast<std::size_t>(2 * i)] == i);
  all.write("train_data_batch_4.npz", batch(2, 64, {1, 1000}));
  check_error([&] { load(all.path()); }, {"of 3072 and of 12288 numbers"});
}

BOOST_AUTO_TEST_CASE(cifar_for_matlab) {
  const auto batch = [](std::uint32_t n, const std::string& name, const std::string& y) {
    const std::string rows = planes(static_cast<int>(n), 32);
    std::string columns;  // as MATLAB stores them
    for (std::size_t k = 0; k < 3072; ++k) {
      for (std::size_t i = 0; i < n; ++i) columns += rows[i * 3072 + k];
    }
    return test::mat_file(test::mat_matrix("data", 9, {n, 3072}, 2, columns) +
                          test::mat_matrix(name, 9, {n, 1}, 2, y));
  };
  const TempFolder folder;
  const std::string one = folder.write("one.mat", batch(2, "fine_labels", "\1\143"));
  const Dataset d = load(one, {.valid = 0, .test = 0, .in_file_order = true});
  BOOST_TEST((d.height == 32 && d.channels == 3 && d.classes == 100 && d.family.empty()));
  BOOST_TEST(from_planes(d.train, 32, 0));
  for (int i = 1; i <= 5; ++i) {
    folder.write(str("data_batch_", i, ".mat"), batch(2, "labels", std::string(2, i)));
  }
  check_error([&] { load(folder.path()); }, {"no test_batch.mat", "toronto"});
  folder.write("test_batch.mat", batch(1, "labels", "\11"));
  const Dataset all = load(folder.path());
  BOOST_TEST(all.family == "cifar-10");
  BOOST_TEST((all.train.size() == 8 && all.valid.size() == 2 && all.test.size() == 1));
  BOOST_TEST((all.classes == 10 && from_planes(all.test, 32, 0)));
}

BOOST_AUTO_TEST_CASE(files_of_other_kinds_say_what_to_do) {
  TempFolder folder;
  const std::pair<std::string, std::string> cases[] = {
      {str(std::string(257, 'a'), "ustar"), "tar archive; unpack it"},
      {"\xFD"
       "7zXZ",
       "xz -dk"},
      {"\x89HDF\r\n", "HDF5"},
      {"\x80\x02}q", "take the binary version"},
      {"\x89PNG\r\n", "neither PNG nor JPEG"},
      {std::string("\1\2\3\0", 4), "no format that is known here; known are idx, npy"},
      {"", "no format that is known here"},
      {"the first column,b\7,the third one\n1,2,3\n", "line 1: byte 7 is not text"},
  };
  for (const auto& [bytes, rule] : cases) {
    const std::string path = folder.write("other", bytes);
    check_error([&] { load(path); }, {path, rule});
  }
}

BOOST_AUTO_TEST_CASE(files_that_do_not_fit_get_one_clear_line) {
  struct Case {
    const char* file;
    Tensor content;
    std::string rule;
  };
  const Case cases[] = {
      {"train-labels-idx1-ubyte", labels(11), "11 labels, but 12 samples"},
      {"t10k-labels-idx1-ubyte", labels(5), "5 labels, but 4 samples"},
      {"train-images-idx3-ubyte", labels(12), "labels where images or rows were expected"},
      {"train-labels-idx1-ubyte", images(12, 2, 3), "where labels were expected"},
      {"train-labels-idx1-ubyte", Tensor::zeros({12}), "where labels were expected"},
      {"train-labels-idx1-ubyte", Tensor::full({12}, -1, DType::I32), "label 0 is -1"},
      {"t10k-images-idx3-ubyte", images(4, 3, 3), "do not belong together"},
      {"train-images-idx3-ubyte", Tensor::zeros({12, 2, 3}), "astype('uint8')"},
      {"train-images-idx3-ubyte", Tensor::zeros({0, 2, 3}, DType::U8), "holds nothing"},
      {"train-images-idx3-ubyte", Tensor::zeros({2, 1, 1, 1, 1}, DType::U8), "expected rows"},
      {"train-images-idx3-ubyte", Tensor::full({12, 6}, NAN),
       "row 0 (counted from 0), column 1 is nan"},
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
  check_error([] { load(""); }, {"is empty"});
  check_error([&] { load(folder.path()); },
              {folder.path(), "no train-images-idx3-ubyte", "t10k", "data_batch_1.bin"});
  check_error([&] { load("tiff:" + folder.path()); }, {"unknown format 'tiff'", "known are idx"});
  check_error([&] { load("idx:" + folder.path("none")); }, {"none", "No such file"});
  check_error([&] { load(folder.write("a.txt", "hello")); }, {"a.txt", "holds no rows of numbers"});
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
      BOOST_TEST(d.cut.starts_with("drawn"));
      BOOST_CHECK_EQUAL(d.train.x.shape(), Shape({30, d.dims}));
      BOOST_CHECK(d.valid.size() == 20 && d.test.size() == 10);
      BOOST_CHECK_EQUAL(d.images(), name == "glyphs");
      const bool levels = name == "glyphs" || name == "tones";
      BOOST_CHECK_EQUAL(d.discrete, levels);
      BOOST_CHECK_EQUAL(std::isfinite(d.entropy), !levels);
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

BOOST_AUTO_TEST_CASE(a_table_can_stay_in_the_order_of_its_file) {
  const test::TempFolder folder;
  const std::string path = folder.path("rows.csv");
  std::ofstream out(path);
  for (int i = 0; i < 50; ++i) out << i << ",0\n";
  out.close();
  const Dataset d = load(path, {.in_file_order = true});
  double next = 0;
  for (const Split* split : {&d.train, &d.valid, &d.test}) {
    for (std::int64_t i = 0; i < split->size(); ++i, ++next) {
      BOOST_CHECK_EQUAL(split->x.narrow(0, i, 1).to_vector<double>()[0], next);
    }
  }
  BOOST_CHECK_EQUAL(next, 50);
  BOOST_TEST(d.cut.starts_with("in the order of the file"));
}

BOOST_AUTO_TEST_SUITE_END()
