// .npy and .npz: every type and order, and hostile files.
#include "data/npy.h"

#include <cstring>

#include "data/source.h"
#include "tests/data_util.h"

using namespace nf;
using namespace nf::data;
using namespace nf::test;

namespace {

template <class T>
std::string raw(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

/// The first 6 numbers of a type as a (2, 3) array.
template <class T>
std::string six() {
  return raw<T>({0, 1, 2, 3, 4, 5});
}

Tensor parse(const std::string& bytes) {
  const TempFolder folder;
  return read_npy(folder.write("x", bytes));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(data_npy)

BOOST_AUTO_TEST_CASE(what_is_written_comes_back) {
  const TempFolder folder;
  const Tensor table = Tensor::arange(6, DType::F64).reshape({2, 3});
  for (const DType dtype : {DType::F32, DType::F64, DType::U8, DType::I32}) {
    for (const Tensor& x : {table.to(dtype), table.t().to(dtype), Tensor::scalar(3, dtype),
                            Tensor::zeros({0, 4}, dtype), Tensor::ones({7}, dtype)}) {
      write_npy(folder.path("x"), x);
      folder.write("x.gz", gzip(bytes_of(folder.path("x"))));
      for (const char* name : {"x", "x.gz"}) {
        const Tensor back = read_npy(folder.path(name));
        BOOST_CHECK_EQUAL(back.shape(), x.shape());
        BOOST_CHECK(back.dtype() == dtype);
        visit_dtype(dtype, [&]<class T>() {
          BOOST_CHECK(back.to_vector<T>() == x.contiguous().to_vector<T>());
        });
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(all_types_of_numpy) {
  struct Case {
    const char* descr;
    DType dtype;
    std::string elements;
  };
  const Case cases[] = {
      {"|u1", DType::U8, six<std::uint8_t>()},
      {"|b1", DType::U8, six<std::uint8_t>()},
      {"|i1", DType::I32, six<std::int8_t>()},
      {"<u2", DType::I32, six<std::uint16_t>()},
      {"<i2", DType::I32, six<std::int16_t>()},
      {"<u4", DType::I32, six<std::uint32_t>()},
      {"<i4", DType::I32, six<std::int32_t>()},
      {"<u8", DType::I32, six<std::uint64_t>()},
      {"<i8", DType::I32, six<std::int64_t>()},
      {"<f4", DType::F32, six<float>()},
      {"<f8", DType::F64, six<double>()},
      {"=f8", DType::F64, six<double>()},
      {">i2", DType::I32, std::string("\0\0\0\1\0\2\0\3\0\4\0\5", 12)},
  };
  for (const Case& c : cases) {
    BOOST_TEST_CONTEXT(c.descr) {
      const Tensor rows = parse(npy(c.descr, "(2, 3)", c.elements));
      const Tensor columns = parse(npy(c.descr, "(3, 2)", c.elements, /*fortran=*/true));
      BOOST_CHECK(rows.dtype() == c.dtype && columns.dtype() == c.dtype);
      const auto values = [](const Tensor& x) { return x.to(DType::F64).to_vector<double>(); };
      BOOST_CHECK(values(rows) == std::vector<double>({0, 1, 2, 3, 4, 5}));
      BOOST_CHECK_EQUAL(columns.shape(), Shape({3, 2}));
      BOOST_CHECK(values(columns) == std::vector<double>({0, 3, 1, 4, 2, 5}));
    }
  }
}

BOOST_AUTO_TEST_CASE(headers_of_other_writers) {
  const std::string data = six<std::uint8_t>();
  const std::string headers[] = {
      npy_header("|u1", "(6,)"),
      "{\"shape\":(6,),\"fortran_order\":False,\"descr\":\"|u1\"}",
      npy_header("|u1", "( 6 , )") + std::string(60, ' ') + "\n",
  };
  for (const std::string& header : headers) {
    for (const int version : {1, 2, 3}) {
      BOOST_CHECK_EQUAL(parse(npy_file(header, data, version)).shape(), Shape({6}));
    }
  }
}

BOOST_AUTO_TEST_CASE(hostile_files_get_one_clear_line) {
  struct Case {
    std::string bytes, rule;
  };
  const auto with_header = [](const std::string& text) { return npy_file(text, "abcdef"); };
  const Case cases[] = {
      {"", "not a .npy file"},
      {"\x93NUMPZ..", "not a .npy file"},
      {"\x93NUMPY", "version 0"},
      {npy_file(npy_header("|u1", "(6,)"), "abcdef", 4), "version 4"},
      {std::string("\x93NUMPY\2\0\xff\xff\xff\xff", 12), "a header of 4294967295 bytes"},
      {std::string("\x93NUMPY\1\0\xff\xff", 10), "ends inside the header"},
      {with_header(""), "no '{'"},
      {with_header("{}"), "it needs descr"},
      {with_header("{'descr'"), "no ':'"},
      {with_header("{'descr': '|u1', 'shape': (6,)}"), "it needs descr, fortran_order and shape"},
      {with_header(npy_header("|u1", "(6,)") + "x"), "text after its end"},
      {with_header(npy_header("|u1", "(6")), "whole numbers"},
      {with_header(npy_header("|u1", "(-6,)")), "whole numbers"},
      {with_header(npy_header("|u1", "(6.0,)")), "no ')'"},
      {with_header(npy_header("|u1", "(99999999999999999999,)")), "whole numbers"},
      {with_header("{'descr: 1}"), "no text in quotes"},
      {with_header("{'de\nscr': 1}"), "not ASCII"},
      {with_header("{'other': 1}"), "unknown key 'other'"},
      {with_header("{'descr': [('a', '<f4')], }"), "no text in quotes"},
      {with_header(npy_header("|O", "(6,)")), "elements of type '|O' are not supported"},
      {with_header(npy_header("<f2", "(3,)")), "elements of type '<f2' are not supported"},
      {with_header(npy_header("", "(3,)")), "elements of type '' are not supported"},
      {with_header(npy_header("|u1", "(7,)")), "announces 7 bytes"},
      {with_header(npy_header("|u1", "(5,)")), "more bytes than its header announces"},
      {with_header(npy_header("|u1", "(1,1,1,1,1,1,6)")), "7 dimensions, at most 6"},
      {with_header(npy_header("<f8", "(4611686018427387904,)")), "absurd"},
      {with_header(npy_header("|u1", "(0, 9223372036854775808)")), "absurd"},
      {with_header(npy_header("|u1", "(4294967296, 4294967296)")), "absurd"},
      {gzip(npy("|u1", "(1000000000,)", "abc")), "announces 1000000000 bytes"},
      {gzip(npy("|u1", "(9,)", "abc")), "ends inside the elements"},
      {gzip(npy("|u1", "(10,)", std::string(30 << 20, '\0'))), "more bytes than its header"},
      {npy("<i8", "(2,)", little(1, 8) + little(1ULL << 31, 8)), "element 1 is 2147483648"},
      {npy("<u4", "(1,)", little(0xFFFFFFFF, 4)), "element 0 is 4294967295"},
  };
  const TempFolder folder;
  for (const Case& c : cases) {
    BOOST_TEST_CONTEXT(c.rule) {
      const std::string path = folder.write("hostile", c.bytes);
      check_error([&] { read_npy(path); }, {path, c.rule});
    }
  }
  check_error([&] { read_npy(folder.path("none")); }, {"none", "No such file"});
}

BOOST_AUTO_TEST_CASE(archives) {
  const TempFolder folder;
  for (const bool deflate : {false, true}) {
    const auto path =
        folder.write("a.npz", zip_file({{"x.npy", npy("|u1", "(2, 3)", "abcdef"), deflate},
                                        {"readme.txt", "hello", deflate},
                                        {"y.npy", npy("<i8", "(1,)", little(7, 8)), deflate}}));
    const auto arrays = read_npz(path);
    BOOST_REQUIRE_EQUAL(arrays.size(), 2U);
    BOOST_CHECK_EQUAL(arrays.at("x").shape(), Shape({2, 3}));
    BOOST_CHECK(arrays.at("x").to_vector<std::uint8_t>() ==
                std::vector<std::uint8_t>({'a', 'b', 'c', 'd', 'e', 'f'}));
    BOOST_CHECK_EQUAL(arrays.at("y").item(), 7);
  }
  // Text beside numbers is left alone, unless it is asked for.
  const std::string pixels = npy("|u1", "(2, 4)", "abcdefgh"),
                    word = npy("<U1", "(1,)", little('a', 4));
  const auto beside = folder.write("b.npz", zip_file({{"x.npy", pixels}, {"meta.npy", word}}));
  BOOST_CHECK_EQUAL(load(beside, {.valid = 0, .test = 0}).train.x.shape(), Shape({2, 4}));
  for (const char* name : {"x", "y", "data"}) {
    const std::string entry = str(name, ".npy");
    const auto wrong =
        *name == 'y' ? zip_file({{"x.npy", pixels}, {entry, word}}) : zip_file({{entry, word}});
    check_error([&] { load(folder.write("c.npz", wrong)); },
                {"array '", name, "' holds text or objects; save numbers"});
  }
  check_error(
      [&] {
        load(folder.write("d.npz", zip_file({{"names.npy", word}})));
      },
      {"holds ", "names"});
}

BOOST_AUTO_TEST_CASE(hostile_archives_get_one_clear_line) {
  const std::string array = npy("|u1", "(2, 3)", "abcdef");
  const std::string good = zip_file({{"x.npy", array, false}});
  const std::size_t central = good.find("PK\1\2"), end = good.find("PK\5\6");
  const auto with = [&](std::size_t at, const std::string& bytes) {
    std::string out = good;
    return out.replace(at, bytes.size(), bytes);
  };
  std::string twice = good.substr(0, end);  // the directory lists the one entry twice
  twice += good.substr(central, end - central) + "PK\5\6" + little(0, 4) + little(2, 2) +
           little(2, 2) + little(2 * (end - central), 4) + little(central, 4) + little(0, 2);
  const std::string bomb = npy("|u1", "(10,)", std::string(30 << 20, '\0'));
  struct Case {
    std::string bytes, rule;
  };
  const Case cases[] = {
      {"", "no directory"},
      {"PK\3\4", "no directory"},
      {good.substr(0, good.size() - 1), "no directory"},
      {zip_file({}), "without arrays"},
      {zip_file({{"a.txt", "hello"}}), "without arrays"},
      {zip_file({{"x.npy", "hello"}}), "array 'x': not a .npy file"},
      {zip_file({{"x.npy", bomb}}), "more bytes than its header"},
      {zip_file({{"x.npy", npy("|u1", "(1000000,)", "a")}}), "announces 1000000 bytes"},
      {zip_file({{"x.npy", array}, {"x.npy", array}}), "there twice"},
      {twice, "overlaps"},
      {with(central + 8, little(1, 2)), "encrypted"},
      {with(central + 10, little(9, 2)), "packed by method 9"},
      {with(central + 16, little(1, 4)), "checksum is wrong"},
      {with(central + 20, little(0xFFFFFFFF, 4)), "zip64"},
      {with(central + 20, little(1 << 30, 4)), "stored, but of"},
      {with(central + 20, little(1 << 30, 4) + little(1 << 30, 4)), "overlaps"},
      {with(central + 28, little(60000, 2)), "the directory is cut off"},
      {with(central + 42, little(1, 4)), "no local header"},
      {with(central + 42, little(1 << 30, 4)), "are announced"},
      {with(central, "QK"), "the directory is malformed"},
      {with(end + 10, little(2, 2)), "the directory is malformed"},
      {with(end + 16, little(0xFFFFFF00, 4)), "a directory of"},
  };
  const TempFolder folder;
  for (const Case& c : cases) {
    BOOST_TEST_CONTEXT(c.rule) {
      const std::string path = folder.write("hostile", c.bytes);
      check_error([&] { read_npz(path); }, {path, c.rule});
    }
  }
}

BOOST_AUTO_TEST_CASE(no_cut_or_flipped_byte_crashes) {
  const std::string array = npy("<i2", "(2, 2)", "abcdefgh", true);
  check_damaged(array, [](const auto& path) { read_npy(path); });
  for (const bool deflate : {false, true}) {
    check_damaged(zip_file({{"x.npy", array, deflate}}), [](const auto& path) { read_npz(path); });
  }
}

BOOST_AUTO_TEST_CASE(archives_are_written_as_zipfile_does) {
  const TempFolder folder;
  const std::string path = folder.path("a.npz");
  const std::map<std::string, Tensor> arrays = {
      {"x", Tensor::from<std::uint8_t>({1, 2, 3, 4, 5, 6}, {2, 3})},
      {"y", Tensor::from<std::int32_t>({7, 8}, {2})}};
  write_npz(path, arrays);
  std::vector<ZipMember> members;
  for (const auto& [name, values] : arrays) {
    write_npy(folder.path("one"), values);
    members.push_back({name + ".npy", bytes_of(folder.path("one")), /*deflate=*/false});
  }
  BOOST_TEST(bytes_of(path) == zip_file(members));
  for (const auto& [name, values] : read_npz(path)) {
    BOOST_TEST((values.shape() == arrays.at(name).shape()));
    BOOST_TEST((values.dtype() == arrays.at(name).dtype()));
  }
}

BOOST_AUTO_TEST_SUITE_END()
