// .mat files: arrays as MATLAB and SciPy save them, and hostile files.
#include "data/mat.h"

#include "data/source.h"
#include "tests/data_util.h"

using namespace nf;
using namespace nf::data;
using namespace nf::test;

namespace {

/// A uint8 array (2, 3) with the elements 1..6, column by column.
std::string small(const std::string& name) {
  return mat_matrix(name, 9, {2, 3}, 2, "\1\2\3\4\5\6");
}

/// A scalar as MATLAB writes it: name and value inside their tags.
std::string scalar(std::uint8_t value) {
  const std::string name = little(1 << 16 | 1, 4) + "n" + std::string(3, '\0');
  return mat_element(14, mat_element(6, little(6, 8)) +
                             mat_element(5, little(1, 4) + little(1, 4)) + name +
                             little(1 << 16 | 2, 4) + little(value, 4));
}

std::map<std::string, Tensor> parse(const std::string& bytes) {
  const TempFolder folder;
  return read_mat(folder.write("x.mat", bytes));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(data_mat)

BOOST_AUTO_TEST_CASE(arrays_by_name_packed_or_not) {
  for (const bool packed : {false, true}) {
    const auto form = [&](const std::string& m) { return packed ? mat_packed(m) : m; };
    const std::string cell = mat_element(14, mat_element(6, little(1, 8)));
    const auto arrays = parse(mat_file(form(small("first")) + form(cell) + form(scalar(7)) +
                                       form(small("a_longer_name"))));
    BOOST_REQUIRE_EQUAL(arrays.size(), 3U);
    for (const char* name : {"first", "a_longer_name"}) {
      const Tensor& x = arrays.at(name);
      BOOST_CHECK_EQUAL(x.shape(), Shape({2, 3}));
      BOOST_CHECK(x.to_vector<std::uint8_t>() == std::vector<std::uint8_t>({1, 3, 5, 2, 4, 6}));
    }
    BOOST_CHECK(arrays.at("n").dtype() == DType::F64);
    BOOST_CHECK_EQUAL(arrays.at("n").item(), 7);
  }
}

BOOST_AUTO_TEST_CASE(classes_and_the_types_they_are_stored_in) {
  struct Case {
    int array_class;
    std::uint32_t type;
    std::string elements;
    DType dtype;
    double first;
  };
  const Case cases[] = {
      {6, 9, std::string("\0\0\0\0\0\0\xf8\x3f", 8), DType::F64, 1.5},
      {6, 1, "\xfe", DType::F64, -2},  // whole doubles are stored in fewer bytes
      {6, 4, little(65535, 2), DType::F64, 65535},
      {7, 7, std::string("\0\0\xc0\x3f", 4), DType::F32, 1.5},
      {9, 2, "\xff", DType::U8, 255},
      {8, 1, "\xff", DType::I32, -1},
      {10, 3, little(0xFFFE, 2), DType::I32, -2},
      {12, 5, little(1 << 30, 4), DType::I32, 1 << 30},
      {13, 6, little(1 << 30, 4), DType::I32, 1 << 30},
      {14, 12, little(5, 8), DType::I32, 5},
      {15, 13, little(5, 8), DType::I32, 5},
  };
  for (const Case& c : cases) {
    const auto arrays = parse(mat_file(mat_matrix("x", c.array_class, {1, 1}, c.type, c.elements)));
    BOOST_CHECK(arrays.at("x").dtype() == c.dtype);
    BOOST_CHECK_EQUAL(arrays.at("x").item(), c.first);
  }
}

BOOST_AUTO_TEST_CASE(hostile_files_get_one_clear_line) {
  const auto matrix = [](const std::vector<std::uint32_t>& sizes, std::uint32_t type = 2) {
    return mat_matrix("x", 9, sizes, type, "abcdef");
  };
  std::string hdf5 = mat_file("");
  hdf5.replace(0, 10, "MATLAB 7.3");
  std::string big_endian = mat_file("");
  big_endian.replace(124, 4, std::string("\1\0MI", 4));
  std::string wrong_checksum = mat_packed(small("x"));
  wrong_checksum.back() = static_cast<char>(wrong_checksum.back() ^ 1);
  struct Case {
    std::string bytes, rule;
  };
  const Case cases[] = {
      {"", "not a .mat file"},
      {mat_file("").substr(0, 127), "not a .mat file"},
      {hdf5, "version 7.3 is HDF5"},
      {big_endian, "little-endian"},
      {mat_file("abc"), "ends inside an element's tag"},
      {mat_file(little(14, 4) + little(1 << 30, 4)), "are announced, the file has 136"},
      {mat_file(little(15, 4) + little(0xFFFFFFFF, 4) + "abc"), "are announced"},
      {mat_file(little(15, 4) + little(3, 4) + "abc"), "get the file again"},
      {mat_file(mat_packed(small("x")).substr(0, 30)), "are announced"},
      {mat_file(wrong_checksum), "incorrect data check"},
      {mat_file(mat_packed(small("x").substr(0, 60))), "ends inside"},
      {mat_file(mat_packed(small("x") + std::string(30 << 20, '\0'))), "more bytes than"},
      {mat_file(matrix({2, 4})), "needs 8 bytes, its elements have 6"},
      {mat_file(matrix({2, 2})), "needs 4 bytes, its elements have 6"},
      {mat_file(matrix({1 << 30, 1 << 30})), "announces 1152921504606846976 bytes"},
      {mat_file(matrix({1U << 31, 1})), "a negative size"},
      {mat_file(matrix({1 << 30, 1 << 30, 1 << 30})), "absurd"},
      {mat_file(matrix({1, 1, 1, 1, 1, 1, 6})), "7 dimensions, at most 6"},
      {mat_file(matrix({6})), "sizes of 4 bytes"},
      {mat_file(matrix(std::vector<std::uint32_t>(65, 1))), "the sizes of 260 bytes"},
      {mat_file(matrix({2, 3}, 16)), "elements of type 16, which are not numbers"},
      {mat_file(mat_matrix(std::string(300, 'n'), 9, {1, 1}, 2, "a")), "a name of 300 bytes"},
      {mat_file(mat_matrix("x", 0x0806, {1, 1}, 9, "abcdefgh")), "complex"},
      {mat_file(mat_matrix("x", 14, {1, 1}, 12, little(1ULL << 40, 8))),
       "element 0 is 1099511627776"},
      {mat_file(mat_matrix("x", 9, {1, 1}, 9, std::string("\0\0\0\0\0\0\xf8\x3f", 8))), "is 1.5"},
      {mat_file(mat_matrix("x", 12, {1, 1}, 7, little(0x4F000000, 4))), "is 2.14748e+09"},  // 2^31
      {mat_file(small("x") + small("x")), "'x' is there twice"},
      {mat_file(mat_element(14, mat_element(6, "abcd"))), "array flags of 4 bytes"},
      {mat_file(mat_element(14, little(8 << 16 | 6, 4) + "abcd")), "a small element of 8 bytes"},
  };
  const TempFolder folder;
  for (const Case& c : cases) {
    BOOST_TEST_CONTEXT(c.rule) {
      const std::string path = folder.write("hostile", c.bytes);
      check_error([&] { read_mat(path); }, {path, c.rule});
    }
  }
  check_error([&] { read_mat(folder.path("none")); }, {"none", "No such file"});
}

BOOST_AUTO_TEST_CASE(no_cut_or_flipped_byte_crashes) {
  // Cut right behind the header it is a good file without variables.
  const auto read = [](const auto& path) { NF_CHECK(!read_mat(path).empty(), "nothing in it"); };
  check_damaged(mat_file(small("x")), read);
  check_damaged(mat_file(mat_packed(scalar(3))), read);
}

BOOST_AUTO_TEST_CASE(real_faces) {
  const auto folder = real_data("olivetti", "olivettifaces.mat");
  if (!folder) {
    BOOST_TEST_MESSAGE("skipped: no Olivetti faces");
    return;
  }
  const auto arrays = read_mat(*folder + "/olivettifaces.mat");
  BOOST_CHECK_EQUAL(arrays.at("faces").shape(), Shape({4096, 400}));
  const Dataset d = load(*folder + "/olivettifaces.mat");
  BOOST_CHECK(d.channels == 1 && d.height == 64 && d.width == 64 && d.discrete);
  BOOST_CHECK(d.train.size() == 320 && d.valid.size() == 40 && d.test.size() == 40);
}

BOOST_AUTO_TEST_SUITE_END()
