// Pictures that say how the camera was held.
#include "data/decode.h"
#include "data/exif.h"
#include "data/source.h"
#include "tensor/text.h"
#include "tests/data_util.h"
#include "tests/picture_makers.h"

using namespace nf;
using namespace nf::data;
using namespace nf::test;

namespace {

/// The data of a segment APP1 with one entry, in either order of bytes.
std::string exif(int orientation, bool big_endian, int tag = 0x0112, int type = 3) {
  const auto number = [&](int value, int size) {
    std::string out = little(static_cast<std::uint64_t>(value), size);
    return big_endian ? std::string(out.rbegin(), out.rend()) : out;
  };
  return std::string("Exif\0\0", 6) + (big_endian ? "MM" : "II") + number(42, 2) + number(8, 4) +
         number(1, 2) + number(tag, 2) + number(type, 2) + number(1, 4) + number(orientation, 2) +
         number(0, 2) + number(0, 4);
}

std::string with_exif(const std::string& jpeg, const std::string& data) {
  const std::string length = big(static_cast<std::uint32_t>(data.size() + 2)).substr(2);
  return jpeg.substr(0, 2) + "\xFF\xE1" + length + data + jpeg.substr(2);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(data_exif)

// As EXIF 2.3 has it: where the 0th row and the 0th column of what is stored are to be seen. What
// is stored has the corners 0, 112 above and 56, 168 below.
BOOST_AUTO_TEST_CASE(pictures_are_made_upright) {
  const int corners[8][4] = {{0, 112, 56, 168}, {112, 0, 168, 56}, {168, 56, 112, 0},
                             {56, 168, 0, 112}, {0, 56, 112, 168}, {56, 0, 168, 112},
                             {168, 112, 56, 0}, {112, 168, 0, 56}};
  for (int orientation = 1; orientation <= 8; ++orientation) {
    for (const bool big_endian : {false, true}) {
      const std::string said = exif(orientation, big_endian);
      BOOST_TEST(exif_orientation(said) == orientation);
      const Picture seen = decode_picture("a", with_exif(gray_jpeg(), said));
      const auto levels = seen.pixels.to_vector<std::uint8_t>();
      const int* const expected = corners[orientation - 1];
      for (const auto& [at, corner] : {std::pair{0, 0}, {7, 1}, {56, 2}, {63, 3}}) {
        BOOST_TEST(std::abs(levels[static_cast<std::size_t>(at)] - expected[corner]) <= 2,
                   "orientation " << orientation << ", corner " << corner);
      }
      const std::string wide = with_exif(colour_jpeg(), said);  // red on the left, blue beside it
      const PictureInfo info = picture_info("a", wide, wide.size());
      const bool side = orientation >= 5;
      BOOST_TEST((info.width == (side ? 8 : 16) && info.height == (side ? 16 : 8)));
      const Tensor pixels = decode_picture("a", wide).pixels;
      BOOST_CHECK_EQUAL(pixels.shape(), side ? Shape({16, 8, 3}) : Shape({8, 16, 3}));
      const bool red_first =
          orientation == 1 || orientation == 4 || orientation == 5 || orientation == 6;
      BOOST_TEST((pixels.to_vector<std::uint8_t>()[0] > 100) == red_first);
    }
  }
}

BOOST_AUTO_TEST_CASE(damaged_ones_are_left_as_they_are) {
  const std::string good = exif(6, true);
  for (std::size_t bytes = 0; bytes + 6 < good.size(); ++bytes) {  // the number ends 6 before
    BOOST_TEST(exif_orientation(good.substr(0, bytes)) == 1, bytes);
  }
  std::string far = good;
  far.replace(10, 4, "\xFF\xFF\xFF\xF0");  // where the directory would be
  std::string many = good;
  many.replace(14, 2, "\xFF\xFF");
  many.replace(16, 2, "\x01\x13");
  for (const std::string& bad : {far, many, exif(0, true), exif(9, false), exif(6, true, 0x0113),
                                 exif(6, false, 0x0112, 4), std::string("Exif\0\0XX", 8)}) {
    BOOST_TEST(exif_orientation(bad) == 1);
  }
}

BOOST_AUTO_TEST_CASE(a_folder_tells_what_was_turned) {
  const TempFolder folder;
  folder.write("a.jpg", with_exif(colour_jpeg(), exif(8, false)));
  folder.write("b.png", rgb_png(8, 16, "abc"));  // of the same size when a.jpg is upright
  const Dataset d = load(folder.path(), {.valid = 0, .test = 0});
  BOOST_TEST((d.height == 16 && d.width == 8));
  const std::string notes = join(d.notes, "\n");
  BOOST_TEST(notes.find("1 picture, taken with the camera turned (EXIF), made upright: 'a.jpg'") !=
                 std::string::npos,
             notes);
}

BOOST_AUTO_TEST_SUITE_END()
