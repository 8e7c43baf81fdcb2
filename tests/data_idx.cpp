#include "data/idx.h"

#include "tests/data_util.h"

using namespace nf;
using namespace nf::data;
using nf::test::bytes_of;
using nf::test::check_error;
using nf::test::gzip;
using nf::test::TempFolder;

namespace {

/// An IDX header: type, then the sizes.
std::string header(int type, std::initializer_list<std::uint32_t> sizes) {
  std::string out = {0, 0, static_cast<char>(type), static_cast<char>(sizes.size())};
  for (const std::uint32_t size : sizes) {
    for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(size >> shift);
  }
  return out;
}

template <class T>
void check_round_trip(const std::vector<T>& values, const Shape& shape) {
  TempFolder folder;
  const Tensor x = Tensor::from(values, shape);
  write_idx(folder.path("x"), x);
  folder.write("x.gz", gzip(bytes_of(folder.path("x"))));
  for (const char* name : {"x", "x.gz"}) {
    const Tensor back = read_idx(folder.path(name));
    BOOST_CHECK_EQUAL(back.shape(), shape);
    BOOST_CHECK(back.dtype() == x.dtype());
    BOOST_CHECK(back.to_vector<T>() == values);
  }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(data_idx)

BOOST_AUTO_TEST_CASE(round_trips) {
  check_round_trip<std::uint8_t>({0, 1, 127, 128, 254, 255}, {2, 3});
  check_round_trip<std::uint8_t>({7}, {1, 1, 1, 1, 1, 1});
  check_round_trip<std::uint8_t>({}, {0, 28, 28});
  check_round_trip<std::int32_t>({-1, 0, 1 << 30}, {3});
  check_round_trip<float>({1.5F, -2e30F, 0.F, 1e-30F}, {4, 1});
  check_round_trip<double>({1. / 3, -1e300}, {1, 2});
}

BOOST_AUTO_TEST_CASE(the_bytes_are_those_of_the_format) {
  TempFolder folder;
  write_idx(folder.path("x"), Tensor::from<std::int32_t>({1, -2}, {2}));
  const std::string expected = header(0x0C, {2}) + std::string("\0\0\0\1\xff\xff\xff\xfe", 8);
  BOOST_CHECK(bytes_of(folder.path("x")) == expected);
}

BOOST_AUTO_TEST_CASE(small_integers_are_widened) {
  TempFolder folder;
  const auto bytes = folder.write("int8", header(0x09, {3}) + std::string("\x80\0\x7f", 3));
  BOOST_CHECK(read_idx(bytes).to_vector<std::int32_t>() ==
              std::vector<std::int32_t>({-128, 0, 127}));
  const auto words = folder.write("int16", header(0x0B, {2}) + std::string("\x80\0\1\2", 4));
  BOOST_CHECK(read_idx(words).to_vector<std::int32_t>() ==
              std::vector<std::int32_t>({-32768, 258}));
}

BOOST_AUTO_TEST_CASE(a_strided_view_is_written_as_it_is_seen) {
  TempFolder folder;
  const Tensor x = Tensor::from<std::uint8_t>({1, 2, 3, 4, 5, 6}, {2, 3});
  write_idx(folder.path("x"), x.t());
  BOOST_CHECK(read_idx(folder.path("x")).to_vector<std::uint8_t>() ==
              std::vector<std::uint8_t>({1, 4, 2, 5, 3, 6}));
}

BOOST_AUTO_TEST_CASE(hostile_files_get_one_clear_line) {
  const std::string good = header(8, {2, 2}) + "abcd";
  const std::string zipped = gzip(header(8, {100, 100}) + std::string(10000, 'x'));
  std::string wrong_checksum = zipped, wrong_data = zipped;
  wrong_checksum[zipped.size() - 8] ^= 1;
  wrong_data[zipped.size() / 2] ^= 0x55;
  const std::string bomb = gzip(header(8, {10}) + std::string(30 << 20, '\0'));
  struct Case {
    const char* name;
    std::string bytes, rule;
  };
  const Case cases[] = {
      {"empty", "", "ends inside the magic number"},
      {"short-magic", std::string("\0\0\x08", 3), "ends inside the magic number"},
      {"text", "hello, world", "not an IDX file"},
      {"png", "\x89PNG\r\n\x1a\n", "not an IDX file"},
      {"no-dimensions", std::string("\0\0\x08\0", 4) + "abc", "not an IDX file"},
      {"type-10", header(0x0A, {1}) + "a", "element type 10 is not supported"},
      {"7-dimensions", header(8, {1, 1, 1, 1, 1, 1, 1}) + "a", "7 dimensions, at most 6"},
      {"255-dimensions", std::string("\0\0\x08\xff", 4), "255 dimensions, at most 6"},
      {"short-header", header(8, {2, 2}).substr(0, 9), "ends inside the header"},
      {"truncated", good.substr(0, good.size() - 1), "announces 4 bytes of elements"},
      {"trailing", good + "e", "more bytes than its header announces"},
      {"huge", header(8, {0xFFFFFFFF}) + "a", "announces 4294967295 bytes"},
      {"overflow", header(8, {0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF}) + "a", "absurd"},
      {"overflow-to-small", header(0x0E, {1U << 31, 1U << 31, 1}) + "a", "absurd"},
      {"overflow-after-zero", header(8, {0, 0xFFFFFFFF, 0xFFFFFFFF}), "absurd"},
      {"gz-truncated", zipped.substr(0, zipped.size() - 12), "cut off"},
      {"gz-no-checksum", zipped.substr(0, zipped.size() - 4), "cut off"},
      {"gz-only-magic", "\x1f\x8b", ""},
      {"gz-wrong-checksum", wrong_checksum, "incorrect data check"},
      {"gz-wrong-data", wrong_data, "get the file again"},
      {"gz-short", gzip(header(8, {9}) + "abc"), "ends inside the elements: 3 of 9"},
      {"gz-trailing", gzip(good + "e"), "more bytes than its header announces"},
      {"gz-huge", gzip(header(8, {0xFFFFFFFF}) + "a"), "announces 4294967295 bytes"},
      {"gz-bomb", bomb, "more bytes than its header announces"},
  };
  TempFolder folder;
  for (const Case& c : cases) {
    BOOST_TEST_CONTEXT(c.name) {
      const std::string path = folder.write(c.name, c.bytes);
      check_error([&] { read_idx(path); }, {path, c.rule});
    }
  }
  check_error([&] { read_idx(folder.path("none")); }, {"none", "No such file"});
  check_error([&] { read_idx(folder.path()); }, {"not a file"});
  BOOST_CHECK(looks_like_idx(good));
  BOOST_CHECK(!looks_like_idx("hello, world"));
  BOOST_CHECK(!looks_like_idx(""));
}

BOOST_AUTO_TEST_CASE(no_cut_or_flipped_byte_crashes) {
  test::check_damaged(header(8, {2, 3}) + "abcdef", [](const auto& path) { read_idx(path); });
  test::check_damaged(gzip(header(13, {2}) + "abcdefgh"), [](const auto& path) { read_idx(path); });
}

BOOST_AUTO_TEST_CASE(scalars_and_missing_folders_are_refused) {
  TempFolder folder;
  check_error([&] { write_idx(folder.path("x"), Tensor::scalar(1)); }, {"scalar"});
  check_error([&] { write_idx(folder.path("no/x"), Tensor::zeros({2})); }, {"no/x"});
}

BOOST_AUTO_TEST_SUITE_END()
