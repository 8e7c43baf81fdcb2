// PNG and SVG: what is written is read back here, by zlib and by a small check of the markup.
#include <cmath>
#include <set>
#include <sstream>

#include "data/png.h"
#include "data/svg.h"
#include "tensor/files.h"
#include "tests/data_util.h"

using namespace nf;
using namespace nf::data;
using nf::test::bytes_of;
using nf::test::check_error;
using nf::test::TempFolder;

namespace {

struct Picture {
  int width = 0, height = 0, channels = 0;
  std::vector<int> pixels;  // (height, width, channels)

  std::vector<int> at(int x, int y) const {
    const auto first = pixels.begin() + (y * width + x) * channels;
    return {first, first + channels};
  }
};

unsigned big_endian(const std::string& bytes, std::size_t at) {
  unsigned out = 0;
  for (std::size_t i = 0; i < 4; ++i) out = out << 8 | static_cast<std::uint8_t>(bytes.at(at + i));
  return out;
}

int paeth(int left, int up, int corner) {
  const int a = std::abs(up - corner), b = std::abs(left - corner);
  const int c = std::abs(left + up - 2 * corner);
  return a <= b && a <= c ? left : b <= c ? up : corner;
}

/// Decodes 8-bit gray or RGB PNG (ISO 15948), checksums included.
Picture decode_png(const std::string& path) {
  const std::string file = bytes_of(path);
  BOOST_REQUIRE_EQUAL(file.substr(0, 8), "\x89PNG\r\n\x1a\n");
  Picture out;
  std::string packed;
  for (std::size_t at = 8; at < file.size();) {
    const std::size_t length = big_endian(file, at);
    const std::string type = file.substr(at + 4, 4), data = file.substr(at + 8, length);
    const auto* chunk = reinterpret_cast<const Bytef*>(file.data() + at + 4);
    BOOST_REQUIRE_EQUAL(crc32(0, chunk, static_cast<uInt>(length + 4)),
                        big_endian(file, at + 8 + length));
    if (type == "IHDR") {
      out.width = static_cast<int>(big_endian(data, 0));
      out.height = static_cast<int>(big_endian(data, 4));
      BOOST_REQUIRE_EQUAL(data[8], 8);
      out.channels = data[9] == 2 ? 3 : 1;
    } else if (type == "IDAT") {
      packed += data;
    }
    at += 12 + length;
  }
  const int c = out.channels, row = out.width * c;
  std::vector<Bytef> raw(static_cast<std::size_t>((row + 1) * out.height));
  uLongf size = raw.size();
  BOOST_REQUIRE_EQUAL(
      uncompress(raw.data(), &size, reinterpret_cast<const Bytef*>(packed.data()), packed.size()),
      Z_OK);
  BOOST_REQUIRE_EQUAL(size, raw.size());
  out.pixels.resize(static_cast<std::size_t>(row * out.height));
  for (int y = 0; y < out.height; ++y) {
    for (int k = 0; k < row; ++k) {
      const auto pixel = [&](int dy, int dk) {
        return y < dy || k < dk ? 0 : out.pixels[(y - dy) * row + k - dk];
      };
      const int left = pixel(0, c), up = pixel(1, 0), corner = pixel(1, c);
      const int guesses[] = {0, left, up, (left + up) / 2, paeth(left, up, corner)};
      out.pixels[y * row + k] = (raw[y * (row + 1) + 1 + k] + guesses[raw[y * (row + 1)]]) & 255;
    }
  }
  return out;
}

/// Every tag is closed in order, and quotes and brackets match.
bool well_formed(const std::string& text) {
  std::vector<std::string> open;
  std::size_t at = 0;
  while ((at = text.find('<', at)) != std::string::npos) {
    const std::size_t end = text.find('>', at);
    if (end == std::string::npos) return false;
    const std::string tag = text.substr(at + 1, end - at - 1);
    if (std::count(tag.begin(), tag.end(), '"') % 2 || tag.find('<') != std::string::npos)
      return false;
    const std::string name = tag.substr(0, tag.find_first_of(" /", 1));
    if (tag[0] == '/') {
      if (open.empty() || "/" + open.back() != tag) return false;
      open.pop_back();
    } else if (tag.back() != '/') {
      open.push_back(name);
    }
    at = end;
  }
  return open.empty() && text.find("nan") == std::string::npos &&
         text.find("inf") == std::string::npos;
}

std::size_t occurrences(const std::string& text, const std::string& what) {
  std::size_t n = 0;
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; ++at) ++n;
  return n;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(data_pictures)

BOOST_AUTO_TEST_CASE(a_single_gray_image) {
  TempFolder folder;
  const std::vector<std::uint8_t> values = {0, 50, 100, 150, 200, 255};
  write_png(folder.path("a.png"), Tensor::from(values, {2, 3}));
  const Picture p = decode_png(folder.path("a.png"));
  BOOST_CHECK(p.width == 3 && p.height == 2 && p.channels == 1);
  BOOST_CHECK(p.pixels == std::vector<int>(values.begin(), values.end()));
}

BOOST_AUTO_TEST_CASE(a_grid_of_gray_images) {
  TempFolder folder;
  std::vector<std::uint8_t> values(5 * 2 * 3);
  for (std::size_t k = 0; k < values.size(); ++k) values[k] = static_cast<std::uint8_t>(100 + k);
  const Tensor x = Tensor::from(values, {5, 2, 3});
  for (const Tensor& images : {x, x.reshape({5, 2, 3, 1})}) {
    write_png(folder.path("a.png"), images, {.padding = 1, .background = 7, .zoom = 2});
    const Picture p = decode_png(folder.path("a.png"));
    BOOST_CHECK(p.width == 3 * 7 + 1 && p.height == 2 * 5 + 1);  // 3 columns, 2 rows
    for (int y = 0; y < p.height; ++y) {
      for (int col = 0; col < p.width; ++col) {
        const int i = y / 5 * 3 + col / 7, v = y % 5 - 1, u = col % 7 - 1;
        const bool inside = i < 5 && v >= 0 && u >= 0;
        BOOST_CHECK_EQUAL(p.at(col, y)[0], inside ? 100 + i * 6 + v / 2 * 3 + u / 2 : 7);
      }
    }
  }
  write_png(folder.path("row.png"), x, {.columns = 5, .padding = 0});
  BOOST_CHECK_EQUAL(decode_png(folder.path("row.png")).width, 15);
}

BOOST_AUTO_TEST_CASE(colour_images) {
  TempFolder folder;
  const Tensor x = Tensor::from<std::uint8_t>({1, 10, 100, 2, 20, 200}, {1, 1, 2, 3});
  write_png(folder.path("a.png"), x, {.padding = 0});
  const Picture p = decode_png(folder.path("a.png"));
  BOOST_CHECK(p.width == 2 && p.height == 1 && p.channels == 3);
  BOOST_CHECK(p.pixels == std::vector<int>({1, 10, 100, 2, 20, 200}));
}

BOOST_AUTO_TEST_CASE(what_is_no_picture_is_refused) {
  TempFolder folder;
  const std::string path = folder.path("a.png");
  check_error([&] { write_png(path, Tensor::zeros({2, 2})); }, {"[png]", "expected u8"});
  check_error([&] { write_png(path, Tensor::zeros({1, 2, 2, 2}, DType::U8)); }, {"expected u8"});
  check_error([&] { write_png(path, Tensor::zeros({0, 2, 2}, DType::U8)); }, {"no images"});
  check_error(
      [&] {
        write_png(path, Tensor::zeros({2, 2}, DType::U8), {.zoom = 1 << 20});
      },
      {"too large"});
  check_error([&] { write_scatter_png(path, Tensor::zeros({2, 3})); }, {"points (N, 2)"});
  check_error(
      [&] {
        write_scatter_png(path, Tensor::zeros({2, 2}), 64, Bounds{1, 1, 0, 1});
      },
      {"bounds are empty"});
  check_error(
      [&] {
        write_png(folder.path("no/a.png"), Tensor::zeros({2, 2}, DType::U8));
      },
      {"no/a.png"});
  BOOST_CHECK_EQUAL(folder.files(), 0U);
}

BOOST_AUTO_TEST_CASE(points_are_bright_where_they_are) {
  TempFolder folder;
  const std::string path = folder.path("a.png");
  const float nan = NAN;
  const Tensor points = Tensor::from<float>({1, 1, 1, 1, -1, -1, nan, 0, 0, INFINITY}, {5, 2});
  const Bounds box = bounds_of(points);
  BOOST_CHECK_CLOSE(box.left, -1.1, 1e-3);
  BOOST_CHECK_CLOSE(box.top, 1.1, 1e-3);
  write_scatter_png(path, points, 101, Bounds{-2, 2, -2, 2});
  const Picture p = decode_png(path);
  const auto light = [&](int x, int y) { return p.at(x, y)[0] + p.at(x, y)[1] + p.at(x, y)[2]; };
  BOOST_CHECK(p.width == 101 && p.height == 101);
  BOOST_CHECK_GT(light(75, 25), light(25, 75));  // two points upper right, one lower left
  BOOST_CHECK_GT(light(25, 75), light(50, 50) + 50);
  BOOST_CHECK_EQUAL(light(50, 50), light(25, 25));
  for (const Shape& shape : {Shape{0, 2}, Shape{3, 2}}) {  // nothing, and all in one place
    write_scatter_png(path, Tensor::zeros(shape), 16);
    BOOST_CHECK_EQUAL(decode_png(path).width, 16);
  }
}

// A table's columns have units of their own: each fills its side of the picture.
BOOST_AUTO_TEST_CASE(boxes_of_tables_fill_the_picture) {
  struct Row {
    const char* what;
    std::vector<double> xy;
    Axes axes;
    Bounds box;
  };
  const Row rows[] = {
      {"age and income", {20, 1e4, 80, 1e5}, Axes::OwnUnits, {17, 83, 5500, 104500}},
      {"seconds",
       {1.7e9 - 100, 1, 1.7e9 + 100, 3},
       Axes::OwnUnits,
       {1.7e9 - 110, 1.7e9 + 110, 0.9, 3.1}},
      {"one unit", {0, 0, 2, 1}, Axes::OneUnit, {-0.1, 2.1, -0.6, 1.6}},
      {"one unit, but flat", {0, 0, 100, 1}, Axes::OneUnit, {-5, 105, -0.05, 1.05}},
      {"a constant column", {5, 0, 5, 1}, Axes::OwnUnits, {4, 6, -0.05, 1.05}},
      {"one point far out", {1e20, 3, 1e20, 3}, Axes::OwnUnits, {0.999e20, 1.001e20, 2, 4}},
  };
  for (const Row& row : rows) {
    const Bounds box = bounds_of(Tensor::from(row.xy, {2, 2}), row.axes);
    BOOST_TEST_CONTEXT(row.what) {
      BOOST_CHECK_CLOSE_FRACTION(box.left, row.box.left, 1e-12);
      BOOST_CHECK_CLOSE_FRACTION(box.right, row.box.right, 1e-12);
      BOOST_CHECK_CLOSE_FRACTION(box.bottom, row.box.bottom, 1e-9);
      BOOST_CHECK_CLOSE_FRACTION(box.top, row.box.top, 1e-9);
    }
  }
}

BOOST_AUTO_TEST_CASE(heat_is_dark_below_and_bright_above) {
  TempFolder folder;
  const std::string path = folder.path("a.png");
  std::ofstream(path, std::ios::binary)
      << heat_png(Tensor::from<float>({-1, 0, NAN, 0.5F, 1, 7}, {2, 3}));
  const Picture p = decode_png(path);
  BOOST_CHECK(p.width == 3 && p.height == 2 && p.channels == 3);
  const std::vector<int> dark{8, 6, 30}, middle{187, 55, 84}, bright{252, 248, 176};
  BOOST_CHECK(p.at(0, 0) == dark && p.at(1, 0) == dark && p.at(2, 0) == dark);
  BOOST_CHECK(p.at(0, 1) == middle && p.at(1, 1) == bright && p.at(2, 1) == bright);
  check_error([] { heat_png(Tensor::zeros({2, 0})); }, {"[heat]", "(H, W)"});
  check_error([] { heat_png(Tensor::zeros({2})); }, {"[heat]", "(H, W)"});
}

BOOST_AUTO_TEST_CASE(maps_have_one_scale_and_a_colour_for_each_name) {
  const Bounds box{-1, 1, -1, 1};
  std::vector<double> x, y;  // 2001 points, four to a pixel
  for (int i = 0; i <= 2000; ++i) {
    x.push_back(-1 + i / 1000.);
    y.push_back(-1);
  }
  const std::string text =
      map_svg({"a < b", "x", "y"}, box,
              {{"one", {-1, 1}, {-1, 1}}, {"two", x, y}, {"one", {0, 0}, {NAN, 1}}});
  BOOST_CHECK(well_formed(text));
  BOOST_CHECK_EQUAL(occurrences(text, "<path"), 3U);
  BOOST_CHECK_EQUAL(occurrences(text, ">one<"), 1U);
  BOOST_CHECK_EQUAL(occurrences(text, ">two<"), 1U);
  BOOST_CHECK_EQUAL(occurrences(text, "a &lt; b"), 1U);
  // The diagonal of the square, 520 pixels wide and high, from the lower left to the upper right.
  BOOST_CHECK_EQUAL(occurrences(text, "M76 564L76 564L596 44\""), 1U);
  const std::size_t points = occurrences(text, "L");
  BOOST_CHECK_GT(points, 900U);
  BOOST_CHECK_LT(points, 1100U);  // every other one is nearer than half a pixel
  check_error([&] { map_svg({}, box, {{"a", {1, 2}, {1}}}); }, {"[svg]", "'a'", "2", "1"});
  check_error([] { map_svg({}, {1, 1, 0, 1}, {}); }, {"bounds are empty"});
}

BOOST_AUTO_TEST_CASE(charts_are_well_formed) {
  TempFolder folder;
  const std::string path = folder.path("a.svg");
  const double nan = NAN;
  struct Case {
    const char* name;
    std::vector<Series> series;
  };
  const Case cases[] = {
      {"two curves", {{"train", {1, 2, 3}, {-5000, 10, 20}}, {"valid", {1, 2, 3}, {1, 2, 1.5}}}},
      {"no series", {}},
      {"no points", {{"a", {}, {}}}},
      {"one point", {{"a", {3}, {4}}}},
      {"constant", {{"a", {0, 1}, {5, 5}}}},
      {"gaps", {{"a", {0, 1, 2, 3, 4}, {1, nan, 2, INFINITY, 3}}}},
      {"only gaps", {{"a", {0, 1}, {nan, nan}}}},
      {"tiny", {{"a", {0, 1}, {1, 1 + 1e-15}}}},
      {"tiny x", {{"a", {1, 1 + 1e-15}, {1, 2}}}},
      {"huge", {{"a", {0, 1e300}, {-1e300, 1e300}}}},
      {"too huge", {{"a", {-1.7e308, 1.7e308}, {-1.7e308, 1.7e308}}}},
      {"small", {{"a", {0, 1e-9}, {1e-12, 2e-12}}}},
  };
  for (const Case& c : cases) {
    BOOST_TEST_CONTEXT(c.name) {
      write_curve_svg(path, {"<NICE> & \"co\"", "epoch", "nats"}, c.series);
      const std::string text = bytes_of(path);
      BOOST_CHECK(well_formed(text));
      BOOST_CHECK_EQUAL(occurrences(text, "<path"), c.series.size());
      BOOST_CHECK_EQUAL(occurrences(text, "&lt;NICE&gt; &amp; \"co\""), 1U);
      BOOST_CHECK_LT(text.size(), 20000U);
    }
  }
  check_error([&] { write_curve_svg(path, {}, {{"a", {1, 2}, {1}}}); }, {"[svg]", "'a'", "2", "1"});
}

// One epoch that diverged leaves the others their axis; legends are outside of the plot.
BOOST_AUTO_TEST_CASE(charts_show_what_matters) {
  for (const std::size_t epochs : {4U, 6U, 30U}) {
    Series train{"train", {}, {}}, valid{"validation", {}, {}};
    for (std::size_t i = 0; i < epochs; ++i) {
      for (Series* series : {&train, &valid}) {
        series->x.push_back(static_cast<double>(i));
        series->y.push_back(i + 1 == epochs ? -516295 : static_cast<double>(10 + i));
      }
    }
    const std::string text = curve_svg({"nice on mnist", "epoch", "nats"}, {train, valid});
    BOOST_CHECK_EQUAL(occurrences(text, "00000<"), 0U);  // no tick of hundreds of thousands
    BOOST_CHECK_EQUAL(occurrences(text, "y1=\"22.5\""), 2U);
    BOOST_CHECK_EQUAL(occurrences(text, ">train<"), 1U);
  }
  // One curve whose axis has its name needs no legend.
  const std::string text = curve_svg({"", "rank", "exp(-s)", true}, {{"exp(-s)", {0, 1}, {1, 2}}});
  BOOST_CHECK_EQUAL(occurrences(text, ">exp(-s)<"), 1U);
  const std::string title = curve_svg({std::string(500, 'x'), "", ""}, {{"a", {0, 1}, {1, 2}}});
  BOOST_CHECK_EQUAL(occurrences(title, std::string(90, 'x')), 0U);
}

/// What stands at the ticks, in the order of x and then of y.
std::vector<std::string> labels_of(const std::string& svg) {
  std::vector<std::string> out;
  const std::string mark = "fill=\"#444\">";
  for (std::size_t at = 0; (at = svg.find(mark, at)) != std::string::npos;) {
    at += mark.size();
    out.push_back(svg.substr(at, svg.find('<', at) - at));
  }
  return out;
}

BOOST_AUTO_TEST_CASE(labels_of_ticks_are_short) {
  struct Row {
    struct {
      double low, high;
    } x, y;
    const char* has;
  };
  const Row rows[] = {
      {{20, 80}, {1e4, 1e5}, ">40000<"},
      {{1.7e9 - 100, 1.7e9 + 100}, {-3, 3}, ">+ 1700000000<"},
      {{1.7e16, 1.7e16 + 64}, {-3, 3}, ">+ 1.7e16<"},
      {{-1e11, 3e11}, {0, 1e-12}, ">-1.0e11<"},
      {{0, 2.5e6}, {0, 1e-6}, ">2e-7<"},
      {{-0.3, 0.3}, {-7.00002, -6.99998}, ">- 7<"},
  };
  for (const Row& row : rows) {
    const std::string svg =
        map_svg({"", "x", "y"}, {row.x.low, row.x.high, row.y.low, row.y.high}, {});
    BOOST_TEST(svg.find(row.has) != std::string::npos, row.has << " in " << svg);
    const auto labels = labels_of(svg);
    BOOST_TEST((labels.size() >= 8U && labels.size() <= 24U), labels.size());
    BOOST_TEST(std::set<std::string>(labels.begin(), labels.end()).size() >= labels.size() / 2);
    for (const std::string& label : labels) BOOST_TEST(label.size() <= 8U, label);
  }
}

// Lines end at the frame, and the chart says that points are not on it.
BOOST_AUTO_TEST_CASE(curves_are_cut_at_the_frame) {
  Series valid{"validation", {}, {}};
  for (int i = 0; i < 20; ++i) {
    valid.x.push_back(i);
    valid.y.push_back(i < 18 ? 10 + i : -1e15);
  }
  const std::string text = curve_svg({"", "epoch", "nats"}, {valid});
  BOOST_CHECK(well_formed(text));
  BOOST_TEST(text.find(">2 points lie outside of the chart<") != std::string::npos);
  const std::size_t path = text.find("d=\"M");
  std::istringstream numbers(text.substr(path + 3, text.find('"', path + 3) - path - 3));
  int count = 0;
  for (std::string part; std::getline(numbers, part, 'L'); ++count) {
    if (part[0] == 'M') part.erase(0, 1);
    const double y = std::stod(part.substr(part.find(' ')));
    BOOST_TEST((y >= 40 && y <= 388), part);
  }
  BOOST_TEST(count == 20);  // the first point twice, 17 more, and down to the frame
  const std::string whole = curve_svg({"", "", "", true}, {valid});
  BOOST_TEST(whole.find("outside") == std::string::npos);
  // Two points outside, and the line between them inside; then none of it.
  const auto through = [](double y) {
    const std::string svg = map_svg({}, {-1, 1, -1, 1}, {{"a", {-1e8, 1e8}, {-1e8 + y, 1e8 + y}}});
    return svg.substr(svg.find("<path"), 60);
  };
  BOOST_TEST(through(0).find("d=\"M72 568L600 40\"") != std::string::npos, through(0));
  BOOST_TEST(through(9).find("d=\"\"") != std::string::npos, through(9));
}

BOOST_AUTO_TEST_CASE(markup_keeps_lines) {
  BOOST_CHECK_EQUAL(markup("a < b\n\tc & d\x1b[31m\r"), "a &lt; b\n\tc &amp; d[31m");
}

BOOST_AUTO_TEST_CASE(small_images_are_enlarged) {
  TempFolder folder;
  const std::string path = folder.path("a.png");
  write_png(path, Tensor::full({64, 28, 28}, 7, DType::U8), {.zoom = 0});
  const Picture picture = decode_png(path);
  BOOST_CHECK_EQUAL(picture.width, 8 * (3 * 28 + 2) + 2);
  check_grid(1'000'000, 2, 2);
  check_error([] { check_grid(1'000'000, 28, 28); }, {"[png]", "30002 x 30002", "too large"});
}

BOOST_AUTO_TEST_CASE(histograms_add_up) {
  const std::string bytes =
      text_histogram(Tensor::from<std::uint8_t>({0, 0, 0, 255, 255, 128, 0, 0}, {2, 4}), 2);
  BOOST_CHECK_EQUAL(occurrences(bytes, "\n"), 2U);
  BOOST_CHECK(bytes.find("62.50 %") != std::string::npos);
  BOOST_CHECK(bytes.find("37.50 %") != std::string::npos);
  const std::string odd = text_histogram(Tensor::from<float>({1, NAN, 1, INFINITY}, {4}), 3);
  BOOST_CHECK(odd.find("100.00 %") != std::string::npos);
  BOOST_CHECK(odd.find("2 values are not finite") != std::string::npos);
  BOOST_CHECK_EQUAL(text_histogram(Tensor::zeros({0})), "");
  check_error([] { text_histogram(Tensor::zeros({1}), 0); }, {"0 bins"});
}

// A PNG as a mask: gray levels, whatever it was saved as.
BOOST_AUTO_TEST_CASE(masks_are_read) {
  const TempFolder folder;
  const std::string path = folder.path("mask.png");
  const GridOptions plain = {.columns = 1, .padding = 0};
  const Tensor gray = Tensor::from<std::uint8_t>({0, 50, 100, 150, 200, 255}, {2, 3});
  write_png(path, gray, plain);
  BOOST_TEST(read_png(path).shape() == gray.shape());
  BOOST_TEST(read_png(path).to_vector<std::uint8_t>() == gray.to_vector<std::uint8_t>(),
             boost::test_tools::per_element());
  // Red, green, blue, white: by their luma.
  write_png(
      path,
      Tensor::from<std::uint8_t>({255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255}, {1, 2, 2, 3}),
      plain);
  const auto luma = read_png(path).to_vector<std::uint8_t>();
  BOOST_TEST_REQUIRE(luma.size() == 4U);
  BOOST_TEST(luma[3] == 255);
  BOOST_TEST((luma[2] < luma[0] && luma[0] < luma[1]));

  const std::string whole = bytes_of(path);
  for (const auto& [kept, says] : std::initializer_list<std::pair<std::size_t, const char*>>{
           {0, "no PNG that can be read"},
           {8, "no PNG that can be read"},
           {33, "no PNG that can be read"},
           {whole.size() / 2, "is damaged"}}) {
    atomic_write(path, whole.substr(0, kept));
    check_error([&] { read_png(path); }, {"[png]", path, says});
  }
  std::string wide = whole;
  wide[16] = '\x7f';  // 2^31 pixels wide
  atomic_write(path, wide);
  check_error([&] { read_png(path); }, {"[png]", path});
  std::string unknown = whole;
  unknown.replace(37, 4,
                  "I\n\x1b$");  // found by fuzzing: a type of chunk is repeated in the message
  atomic_write(path, unknown);
  check_error([&] { read_png(path); }, {"[png]", "I\\x0a\\x1b$ PNG chunk"});
  std::string long_chunk = whole;
  long_chunk[33] = '\x2d';  // found by fuzzing: 2^29 bytes of pixels, which were allocated
  atomic_write(path, long_chunk);
  check_error([&] { read_png(path); }, {"[png]", "a chunk of 754974", "are left"});
  std::string empty_chunk = whole;
  empty_chunk.insert(33, std::string("\0\0\0\0IDAT\x35\xaf\x06\x1e", 12));
  atomic_write(path, empty_chunk);
  check_error([&] { read_png(path); }, {"[png]", "empty IDAT at byte 33"});
  atomic_write(path, std::string(1 << 20, 'x'));
  check_error([&] { read_png(path); }, {path});
  check_error([&] { read_png(folder.path("none.png")); }, {"none.png"});
}

BOOST_AUTO_TEST_SUITE_END()
