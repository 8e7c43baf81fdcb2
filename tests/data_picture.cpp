// Pictures in files: what is decoded, what is refused, and what a folder of them becomes.
#include <sys/stat.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numeric>

#include "data/decode.h"
#include "data/progress.h"
#include "data/source.h"
#include "tensor/checksum.h"
#include "tensor/threads.h"
#include "tests/data_util.h"
#include "tests/picture_makers.h"

using namespace nf;
using namespace nf::data;
using namespace nf::test;

namespace fs = std::filesystem;

namespace {

using Levels = std::vector<std::uint8_t>;

Levels levels(const Tensor& x) { return x.to_vector<std::uint8_t>(); }

std::string bytes(const Levels& values) { return {values.begin(), values.end()}; }

/// All rows of a source, in the order of its pictures.
Dataset in_order(const std::string& path, LoadOptions options = {}) {
  options.in_file_order = true;
  options.valid = options.test = 0;
  return load(path, options);
}

bool noted(const Dataset& data, const std::string& text) {
  return std::any_of(data.notes.begin(), data.notes.end(),
                     [&](const std::string& note) { return note.find(text) != std::string::npos; });
}

void make_folders(const TempFolder& folder, std::initializer_list<const char*> names) {
  for (const char* name : names) fs::create_directories(folder.path(name));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(data_picture)

BOOST_AUTO_TEST_CASE(every_form_of_png_and_jpeg) {
  struct Row {
    const char* name;
    std::string file;
    Shape shape;
    Levels first;  ///< numbers of the first pixels
    int within = 0;
    bool deep = false, cmyk = false;
  };
  const std::string palette = png_chunk("PLTE", bytes({1, 2, 3, 10, 20, 30}));
  const Row rows[] = {
      {"gray", png_file(3, 2, kGray, 8, bytes({1, 2, 3, 4, 5, 6})), {2, 3, 1}, {1, 2, 3, 4, 5, 6}},
      {"one bit", png_file(3, 1, kGray, 1, bytes({0xA0})), {1, 3, 1}, {255, 0, 255}},
      {"16 bits", png_file(1, 2, kGray, 16, bytes({7, 255, 9, 0})), {2, 1, 1}, {7, 9}, 0, true},
      {"rgb", png_file(1, 2, kRgb, 8, bytes({1, 2, 3, 4, 5, 6})), {2, 1, 3}, {1, 2, 3, 4, 5, 6}},
      {"gray, opacity", png_file(1, 1, kGrayAlpha, 8, bytes({100, 51})), {1, 1, 2}, {100, 51}},
      {"rgb, opacity", png_file(1, 1, kRgba, 8, bytes({1, 2, 3, 9})), {1, 1, 4}, {1, 2, 3, 9}},
      {"palette",
       png_file(2, 1, kPalette, 8, bytes({1, 0}), palette),
       {1, 2, 3},
       {10, 20, 30, 1, 2, 3}},
      {"gray JPEG", gray_jpeg(), {8, 8, 1}, {0, 16, 32, 48, 64, 80, 96, 112, 8, 24, 40}, 2},
      {"colour JPEG", colour_jpeg(), {8, 16, 3}, {200, 40, 40, 200, 40, 40}, 4},
      {"progressive JPEG", progressive_jpeg(), {8, 16, 3}, {200, 40, 40, 200, 40, 40}, 4},
      {"CMYK JPEG", cmyk_jpeg(), {8, 8, 3}, {225, 49, 49}, 2, false, true},
  };
  for (const Row& row : rows) {
    BOOST_TEST_CONTEXT(row.name) {
      BOOST_TEST(looks_like_picture(row.file));
      const PictureInfo info = picture_info("it", row.file, row.file.size());
      BOOST_TEST((info.height == row.shape[0] && info.width == row.shape[1]));
      BOOST_TEST(info.gray() == (row.shape[2] <= 2));
      const Picture picture = decode_picture("it", row.file);
      BOOST_CHECK_EQUAL(picture.pixels.shape(), row.shape);
      BOOST_TEST((picture.deep == row.deep && picture.cmyk == row.cmyk));
      const Levels got = levels(picture.pixels);
      for (std::size_t i = 0; i < row.first.size(); ++i) {
        BOOST_TEST(std::abs(got[i] - row.first[i]) <= row.within, i << ": " << int{got[i]});
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(damaged_files_are_errors) {
  const auto read = [](const std::string& path) { load("picture:" + path); };
  check_damaged(rgb_png(2, 2, "abc"), read);
  check_damaged(gray_jpeg(), read);
  check_damaged(progressive_jpeg(), read);
}

BOOST_AUTO_TEST_CASE(headers_that_promise_too_much) {
  const auto jpeg_of = [](int height, int width) {
    std::string file = gray_jpeg();
    const std::size_t frame = file.find("\xFF\xC0");
    file.replace(
        frame + 5, 4,
        bytes({static_cast<std::uint8_t>(height >> 8), static_cast<std::uint8_t>(height & 255),
               static_cast<std::uint8_t>(width >> 8), static_cast<std::uint8_t>(width & 255)}));
    return file;
  };
  std::string scans = gray_jpeg();
  const std::size_t scan = scans.find("\xFF\xDA"), end = scans.size() - 2;
  const std::string pass = scans.substr(scan, end - scan);
  for (int i = 0; i < 100; ++i) scans.insert(scan, pass);
  std::string codes = gray_jpeg();  // found by fuzzing: stb_image writes as many as there are
  codes.replace(codes.find("\xFF\xC4") + 5, 16, std::string(16, '\xD1'));
  std::string hidden = gray_jpeg();  // 0xFF 0xFF 0x00 is data for it
  hidden.insert(end, std::string("\xFF\xFF\0\0\x08", 5));
  // One pixel that unpacks to 64 MiB.
  std::string bomb = png_file(1, 1, kGray, 8, "");
  const std::size_t pixels = bomb.find("IDAT") - 4;
  bomb = bomb.substr(0, pixels) + png_chunk("IDAT", test::zlib(std::string(64 << 20, '\0'))) +
         png_chunk("IEND", "");
  const std::pair<std::string, std::string> rows[] = {
      {png_file(60000, 60000, kGray, 8, ""), "60000 x 60000 pixels; at most"},
      {png_file(30000, 30000, kGray, 8, ""), "at most 134217728 are read"},
      {png_file(8000, 8000, kRgb, 8, ""), "8000 x 8000 pixels in "},
      {jpeg_of(60000, 60000), "32768 a side"},
      {jpeg_of(20000, 20000), "at most 134217728 are read"},
      {jpeg_of(4000, 4000), "4000 x 4000 pixels in "},
      {scans, "more than 100 passes"},
      {codes, "a table of 3344 Huffman codes"},
      {hidden, "no marker at byte"},
      {bomb, "outofmem"},
      {png_file(0, 1, kGray, 8, ""), "it has no pixels"},
      {"GIF89a", "neither PNG nor JPEG"},
      {"", "neither PNG nor JPEG"},
  };
  const TempFolder folder;
  for (const auto& [file, rule] : rows) {
    BOOST_TEST_CONTEXT(rule) {
      const std::string path = folder.write("a.png", file);
      check_error([&] { in_order(folder.path()); }, {"[picture]", "a.png'", rule, "--skip-bad"});
    }
  }
  const std::string one = folder.write("a.png", gray_png(1, 1, 7));
  BOOST_CHECK_EQUAL(in_order(folder.path()).train.x.shape(), Shape({1, 1}));
}

BOOST_AUTO_TEST_CASE(gray_colour_and_opacity) {
  struct Row {
    std::vector<std::string> files;
    std::string images;
    std::int64_t channels;
    Levels levels;
    std::string note;
  };
  const std::string gray = gray_png(1, 1, 50), red = rgb_png(1, 1, bytes({200, 0, 0}));
  const std::string glass = png_file(1, 1, kRgba, 8, bytes({100, 200, 255, 51}));
  const Row rows[] = {
      {{gray, gray}, "", 1, {50, 50}, ""},
      {{gray, red}, "", 3, {50, 50, 50, 200, 0, 0}, "1 of 2 pictures are gray"},
      {{gray, red}, "gray", 1, {50, 77 * 200 / 256}, ""},
      {{gray, gray}, "colour", 3, {50, 50, 50, 50, 50, 50}, ""},
      {{glass}, "", 3, {20, 40, 51}, "1 picture with transparent pixels"},
      {{png_file(1, 1, kRgba, 8, bytes({1, 2, 3, 255}))}, "", 3, {1, 2, 3}, ""},
      {{png_file(1, 1, kGrayAlpha, 8, bytes({255, 51}))}, "", 1, {51}, "as over black"},
      {{png_file(1, 1, kGray, 16, bytes({8, 200}))}, "", 1, {8}, "of 16 bits"},
  };
  for (const Row& row : rows) {
    BOOST_TEST_CONTEXT(row.images << " " << row.note) {
      const TempFolder folder;
      for (std::size_t i = 0; i < row.files.size(); ++i) {
        folder.write(str(i, ".png"), row.files[i]);
      }
      const Dataset d = in_order(folder.path(), {.images = row.images});
      BOOST_TEST(d.channels == row.channels);
      BOOST_TEST(levels(d.train.x) == row.levels, boost::test_tools::per_element());
      BOOST_TEST((row.note.empty() ? d.notes.empty() : noted(d, row.note)));
    }
  }
  const TempFolder print;
  print.write("a.jpg", cmyk_jpeg());
  BOOST_TEST(noted(in_order(print.path()), "CMYK"));
}

BOOST_AUTO_TEST_CASE(folders_are_classes) {
  struct Row {
    const char* name;
    std::vector<const char*> files;  ///< the level of each is its place
    std::vector<int> order;          ///< levels as they are read
    std::vector<int> labels;
    std::vector<std::string> classes;
  };
  const Row rows[] = {
      {"flat", {"b.png", "a.PNG", "B.jpeg", "a10.png", "a9.png"}, {2, 1, 3, 4, 0}, {}, {}},
      {"classes",
       {"dog/1.png", "Cat/deep/er/2.jpg", "dog/0.png", "Cat/z.png"},
       {1, 3, 2, 0},
       {0, 0, 1, 1},
       {"Cat", "dog"}},
      {"one folder", {"all/1.png", "all/0.png"}, {1, 0}, {}, {}},
      {"beside", {"dog/1.png", "0.png", "cat/1.png"}, {1, 2, 0}, {}, {}},
      {"only train", {"train/dog/1.png", "train/cat/2.png"}, {1, 0}, {0, 1}, {"cat", "dog"}},
      {"names", {"a\nb/1.png", "\xff/2.png"}, {0, 1}, {0, 1}, {"a\\x0ab", "\\xff"}},
  };
  for (const Row& row : rows) {
    BOOST_TEST_CONTEXT(row.name) {
      const TempFolder folder;
      for (std::size_t i = 0; i < row.files.size(); ++i) {
        fs::create_directories(fs::path(folder.path(row.files[i])).parent_path());
        folder.write(row.files[i], gray_png(2, 1, static_cast<int>(i)));
      }
      const Dataset d = in_order(folder.path());
      std::vector<int> order;
      for (std::int64_t i = 0; i < d.train.size(); ++i) {
        order.push_back(levels(d.train.x.narrow(0, i, 1))[1]);
      }
      BOOST_TEST(order == row.order, boost::test_tools::per_element());
      BOOST_TEST(d.train.labels.defined() == !row.labels.empty());
      if (!row.labels.empty()) {
        BOOST_TEST(d.train.labels.to_vector<std::int32_t>() == row.labels,
                   boost::test_tools::per_element());
      }
      BOOST_TEST(d.class_names == row.classes, boost::test_tools::per_element());
      BOOST_TEST(static_cast<std::size_t>(d.classes) == row.classes.size());
      BOOST_TEST(noted(d, "labels by folder: 0 '") == !row.classes.empty());
      BOOST_TEST(noted(d, "pictures lie beside folders") == (std::string(row.name) == "beside"));
    }
  }
}

BOOST_AUTO_TEST_CASE(parts_that_are_folders_have_the_same_classes) {
  const TempFolder folder;
  make_folders(folder, {"Training/cat", "Training/dog", "val/dog", "TEST/ape"});
  const char* const files[] = {"Training/cat/1.png", "Training/dog/1.png", "val/dog/1.png",
                               "TEST/ape/1.png"};
  for (int i = 0; i < 4; ++i) folder.write(files[i], gray_png(1, 1, i));
  const Dataset d = load(folder.path());
  BOOST_TEST((d.train.size() == 2 && d.valid.size() == 1 && d.test.size() == 1));
  BOOST_TEST(d.class_names == std::vector<std::string>({"ape", "cat", "dog"}),
             boost::test_tools::per_element());
  BOOST_TEST(d.valid.labels.to_vector<std::int32_t>().at(0) == 2);
  BOOST_TEST(d.test.labels.to_vector<std::int32_t>().at(0) == 0);
  BOOST_TEST((levels(d.valid.x).at(0) == 2 && levels(d.test.x).at(0) == 3));
}

BOOST_AUTO_TEST_CASE(classes_of_a_model_keep_their_numbers) {
  const TempFolder folder;
  make_folders(folder, {"dog", "cat"});
  folder.write("dog/1.png", gray_png(1, 1, 0));
  const std::vector<std::string> names = {"ape", "cat", "dog"};
  BOOST_TEST(in_order(folder.path(), {.class_names = names})
                 .train.labels.to_vector<std::int32_t>()
                 .at(0) == 2);
  check_error(
      [&] {
        in_order(folder.path(), {.class_names = {"ape", "cat"}});
      },
      {folder.path(), "the folder 'dog' is no class of the model, which are ape, cat"});
  // Files of the other parts, too.
  const TempFolder train;
  make_folders(train, {"ape", "cat", "dog"});
  for (const std::string& name : names) train.write(name + "/1.png", gray_png(1, 1, 1));
  const Dataset d = load(train.path(), {.test = 0, .valid_data = folder.path()});
  BOOST_TEST(d.valid.labels.to_vector<std::int32_t>().at(0) == 2);
}

BOOST_AUTO_TEST_CASE(what_is_no_picture_is_left_out) {
  const TempFolder folder, elsewhere;
  elsewhere.write("far.png", gray_png(1, 1, 9));
  folder.write("a.png", gray_jpeg());  // its content is what counts
  folder.write("b.jpg", png_file(8, 8, kGray, 8, std::string(64, 'x')));
  folder.write("list.txt", "a");
  folder.write("Thumbs.db", "a");
  folder.write("._a.png", "not a picture");
  fs::create_directory_symlink(folder.path(), folder.path("loop"));
  fs::create_directory_symlink(elsewhere.path(), folder.path("away"));
  fs::create_symlink(folder.path("none"), folder.path("dangling.png"));
  fs::create_symlink("self.png", folder.path("self.png"));
  BOOST_TEST_REQUIRE(::mkfifo(folder.path("pipe.png").c_str(), 0600) == 0);
  const Dataset d = in_order(folder.path());
  BOOST_TEST(d.train.size() == 2);
  BOOST_TEST(levels(d.train.x).at(64) == 'x');
  BOOST_TEST(noted(d, "5 other files are left out, as 'Thumbs.db'"));
  BOOST_TEST(noted(d, "2 links to folders are left out, as 'away'"));
  const TempFolder empty;
  make_folders(empty, {"a/b"});
  check_error([&] { load(empty.path()); }, {empty.path(), "no .png or .jpg"});
  check_error([&] { load("idx:" + folder.path()); }, {folder.path(), "no data set"});
}

BOOST_AUTO_TEST_CASE(bad_files_are_named_or_skipped_whatever_the_threads) {
  const TempFolder folder;
  make_folders(folder, {"x", "y"});
  for (int i = 0; i < 60; ++i) {
    folder.write(str(i % 2 ? "x/" : "y/", i, ".png"), gray_png(2, 2, i));
  }
  const Dataset all = in_order(folder.path());
  folder.write("y/20.png", gray_png(2, 2, 0).substr(0, 50));  // cut off
  std::string flipped = gray_png(2, 2, 3);
  flipped[flipped.find("IDAT") + 5] ^= 1;  // seen when it is decoded
  folder.write("x/31.png", flipped);
  folder.write("y/40.png", "");
  std::string checksum;
  for (const int threads : {1, 2, 5}) {
    set_num_threads(threads);
    check_error([&] { in_order(folder.path()); }, {"y/40.png'", "neither PNG nor JPEG"});
    const Dataset d = in_order(folder.path(), {.skip_bad = true});
    if (checksum.empty()) checksum = d.checksum;
    BOOST_TEST(d.checksum == checksum);
    BOOST_TEST((d.skipped == 3 && d.train.size() == 57 && d.classes == 2));
    BOOST_TEST(noted(d, "skipped 3 of 60 pictures"));
    BOOST_TEST(noted(d, "y/20.png' is damaged"));
    const Levels rows = levels(d.train.x);
    const std::vector<std::int32_t> labels = d.train.labels.to_vector<std::int32_t>();
    for (std::size_t i = 0; i < labels.size(); ++i) {
      BOOST_TEST(labels[i] == (rows[4 * i] % 2 ? 0 : 1));
    }
  }
  fs::remove(folder.path("y/40.png"));
  check_error([&] { in_order(folder.path()); }, {"x/31.png'", "wrong checksum"});
  set_num_threads(0);
  BOOST_TEST(all.checksum != checksum);
  const TempFolder bad;
  bad.write("a\nb.png", "");
  check_error([&] { in_order(bad.path(), {.skip_bad = true}); },
              {"none of its 1 pictures can be used", "a\\x0ab.png"});
  check_error([&] { in_order(bad.path()); }, {"a\\x0ab.png"});
}

BOOST_AUTO_TEST_CASE(files_that_vanish_or_change_while_they_are_read) {
  for (const bool vanish : {true, false}) {
    const TempFolder folder;
    for (const char* name : {"a.png", "b.png"}) folder.write(name, gray_png(2, 2, 1));
    const auto disturb = [&](std::int64_t done, std::int64_t total) {
      if (done < total) return;  // all headers are read
      if (vanish) fs::remove(folder.path("b.png"));
      if (!vanish) folder.write("b.png", gray_png(3, 2, 1));
    };
    reading_report() = disturb;
    check_error([&] { in_order(folder.path()); },
                {"b.png'", vanish ? "No such file" : "was changed while the folder was read"});
    folder.write("b.png", gray_png(2, 2, 1));
    const Dataset d = in_order(folder.path(), {.skip_bad = true});
    BOOST_TEST((d.skipped == 1 && d.train.size() == 1));
    reading_report() = {};
  }
}

BOOST_AUTO_TEST_CASE(pictures_of_different_sizes_say_what_to_do) {
  const TempFolder folder;
  folder.write("a.png", gray_png(32, 48, 1));
  folder.write("b.png", gray_png(64, 64, 1));
  check_error([&] { load(folder.path()); },
              {folder.path(), "'a.png' has 32 x 48 pixels, 'b.png' 64 x 64",
               "--images square,resize:64, crop:N or patches:N"});
  BOOST_TEST(in_order(folder.path(), {.images = "square,resize:16"}).dims == 256);
  BOOST_TEST(in_order(folder.path(), {.images = "crop:32x40"}).height == 40);
  check_error([&] { in_order(folder.path(), {.images = "crop:40"}); }, {"a.png' has 32 x 48"});
  BOOST_TEST(in_order(folder.path(), {.images = "crop:40", .skip_bad = true}).skipped == 1);
}

BOOST_AUTO_TEST_CASE(a_picture_in_patches) {
  std::string rows;
  for (int i = 0; i < 7 * 5; ++i) rows += static_cast<char>(i);
  const TempFolder folder;
  const std::string path = folder.write("photo", png_file(7, 5, kGray, 8, rows));
  const Dataset d = in_order(path, {.images = "patches:2"});
  BOOST_TEST((d.width == 2 && d.height == 2 && d.train.size() == 6 && d.classes == 0));
  const Levels got = levels(d.train.x);
  for (int tile = 0; tile < 6; ++tile) {
    for (int p = 0; p < 4; ++p) {
      const int y = tile / 3 * 2 + p / 2, x = tile % 3 * 2 + p % 2;
      BOOST_TEST(got[static_cast<std::size_t>(tile * 4 + p)] == y * 7 + x);
    }
  }
  BOOST_TEST(noted(d, "6 patches of 2 x 2; 1 pixels at the right and 1 at the bottom are left"));
  folder.write("wide.png", gray_png(9, 2, 1));
  folder.write("tall.png", gray_png(2, 3, 2));
  const Dataset several = in_order(folder.path(), {.images = "patches:2"});
  BOOST_TEST(several.train.size() == 4 + 1);
  BOOST_TEST(noted(several, "5 patches of 2 pictures"));
  check_error([&] { in_order(path, {.images = "patches:6"}); },
              {path, "has 7 x 5 pixels, less than a patch of 6"});
  BOOST_TEST(in_order(path).train.size() == 1);
}

BOOST_AUTO_TEST_CASE(settings_of_pictures_elsewhere_are_refused) {
  const TempFolder folder;
  const std::string table = folder.write("a.csv", "1,2\n3,4\n");
  for (const std::string& source : {table, std::string("glyphs")}) {
    check_error([&] { load(source, {.images = "square"}); }, {"images"});
    check_error([&] { load(source, {.skip_bad = true}); }, {"skip_bad"});
  }
  BOOST_TEST(load(table, {.train = 1, .images = "square", .of_run = true}).train.size() == 1);
  const TempFolder pictures;
  pictures.write("a.png", gray_png(2, 2, 1));
  check_error([&] { load(pictures.path(), {.columns = {"a"}}); }, {"are for tables"});
  check_error([&] { load(pictures.path(), {.given = "a"}); }, {"holds images"});
  check_error([&] { load(pictures.path(), {.given = "label"}); }, {"has no labels"});
}

BOOST_AUTO_TEST_SUITE_END()
