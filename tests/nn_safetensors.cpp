// Safetensors: round trips, the bytes that other tools see, and hostile files.
#include "nn/safetensors.h"

#include <boost/test/unit_test.hpp>
#include <cstring>

#include "tensor/ops.h"
#include "tests/data_util.h"

using namespace nf;
using namespace nf::nn;
using test::check_error;
using test::TempFolder;

namespace {

std::string little_endian(std::uint64_t n) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes += static_cast<char>(n >> (8 * i));
  return bytes;
}

/// A file with this header and so many bytes of data.
std::string file_of(const std::string& header, std::size_t data_bytes = 0) {
  return little_endian(header.size()) + header + std::string(data_bytes, '\1');
}

std::string tensor_of(const std::string& dtype, const std::string& shape,
                      const std::string& offsets) {
  return R"({"a":{"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets +
         "}}";
}

std::string repeated(const std::string& text, int count) {
  std::string all;
  for (int i = 0; i < count; ++i) all += text;
  return all;
}

bool same(const Tensor& a, const Tensor& b) {
  if (a.dtype() != b.dtype() || !(a.shape() == b.shape())) return false;
  return visit_dtype(a.dtype(), [&]<class T>() { return a.to_vector<T>() == b.to_vector<T>(); });
}

}  // namespace

BOOST_AUTO_TEST_SUITE(nn_safetensors)

BOOST_AUTO_TEST_CASE(everything_comes_back) {
  const TempFolder folder;
  const std::string path = folder.path("all.safetensors");
  const Tensor table = Tensor::arange(24, DType::F64).reshape({4, 6});
  const StateDict tensors = {
      {"f32", Tensor::from<float>({1.5F, -0.0F, 3e-45F}, {3})},
      {"f64", table},
      {"u8", Tensor::from<std::uint8_t>({0, 255}, {1, 2})},
      {"i32", Tensor::from<std::int32_t>({-7, 1 << 30}, {2, 1})},
      {"scalar", Tensor::scalar(0.1, DType::F64)},
      {"empty", Tensor::zeros({0, 3})},
      {"six", Tensor::ones({1, 2, 1, 2, 1, 2})},
      {"transposed", table.t()},
      {"every second", table.slice(1, 1, 3, 2)},
      {"flipped", table.flip(0)},
      {"repeated", Tensor::ones({1}).broadcast_to({3, 2})},
      {"a.b \"quoted\" \xc3\xa9", Tensor::ones({1})},
  };
  const Metadata metadata = {{"step", "12"}, {"text", "with \"quotes\", \n and \xc3\xa9"}};
  save_safetensors(path, tensors, metadata);
  const SafetensorsFile file = load_safetensors(path);
  BOOST_CHECK_EQUAL(file.tensors.size(), tensors.size());
  for (const auto& [name, tensor] : tensors) {
    BOOST_REQUIRE_MESSAGE(file.tensors.count(name), name);
    BOOST_CHECK_MESSAGE(same(file.tensors.at(name), tensor), name);
  }
  BOOST_CHECK(std::signbit(file.tensors.at("f32").to_vector<float>()[1]));
  BOOST_CHECK(file.metadata == metadata);

  save_safetensors(path, {});  // over the old file
  BOOST_CHECK(load_safetensors(path).tensors.empty());
  BOOST_CHECK_EQUAL(folder.files(), 1U);
  check_error(
      [&] {
        save_safetensors(path, {{"a", table}, {"a", table}});
      },
      {"[safetensors]", "two tensors are named 'a'"});
  BOOST_CHECK(load_safetensors(path).tensors.empty());
}

BOOST_AUTO_TEST_CASE(the_bytes_are_those_of_the_format) {
  const TempFolder folder;
  const std::string path = folder.path("bytes.safetensors");
  save_safetensors(path,
                   {{"net.0.weight", Tensor::from<float>({1, 2}, {1, 2})},
                    {"order", Tensor::from<std::int32_t>({1, 0, 258}, {3})}},
                   {{"step", "3"}});
  std::string header =
      R"({"__metadata__":{"checksum":"fb6e9575bf531700-be4054c9448fdce9","step":"3"},)"
      R"("net.0.weight":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},)"
      R"("order":{"dtype":"I32","shape":[3],"data_offsets":[8,20]}})";
  while (header.size() % 8 != 0) header += ' ';
  const std::string data("\x00\x00\x80\x3f\x00\x00\x00\x40\x01\0\0\0\0\0\0\0\x02\x01\0\0", 20);
  BOOST_CHECK_EQUAL(test::bytes_of(path), little_endian(header.size()) + header + data);
}

BOOST_AUTO_TEST_CASE(files_of_other_tools_are_read) {
  const TempFolder folder;
  // Spaces, another order of keys and data, a gap, an unpadded header.
  const std::string header =
      R"( { "b" : {"data_offsets":[8, 12],"shape":[],"dtype":"F32"},)"
      R"("a":{"shape":[2],"dtype":"U8","data_offsets":[0,2]}, "__metadata__":{}})";
  const auto path = folder.write(
      "other", little_endian(header.size()) + header + std::string("\7\x8......\0\0\x80\x3f", 12));
  const auto file = load_safetensors(path);
  BOOST_CHECK(same(file.tensors.at("a"), Tensor::from<std::uint8_t>({7, 8}, {2})));
  BOOST_CHECK_EQUAL(file.tensors.at("b").item(), 1);
}

BOOST_AUTO_TEST_CASE(hostile_files_are_refused) {
  const TempFolder folder;
  struct Case {
    const char* what;
    std::string bytes;
    const char* message;
  };
  const std::string two_of = R"("dtype":"U8","shape":[4],"data_offsets":)";
  const Case cases[] = {
      {"empty", "", "too short"},
      {"7 bytes", "1234567", "too short"},
      {"a length of 2^63", little_endian(1ULL << 63) + "{}", "header claims"},
      {"a length of 2^64 - 1", little_endian(~0ULL) + "{}", "header claims"},
      {"a length beyond the end", little_endian(3) + "{}", "header claims"},
      {"text", "this is a text file, not a checkpoint", "header claims"},
      {"no JSON", file_of("hello wo"), "not a JSON object"},
      {"an array", file_of("[]"), "not a JSON object"},
      {"a number", file_of("12"), "not a JSON object"},
      {"no header", file_of(""), "not a JSON object"},
      {"cut JSON", file_of(R"({"a":{"dtype":"F32")"), "not a JSON object"},
      {"invalid UTF-8", file_of("{\"\xff\":1}"), "not a JSON object"},
      {"100 000 open brackets", file_of(std::string(100'000, '[')), "not a JSON object"},
      {"100 000 nested arrays",
       file_of(R"({"a":)" + std::string(100'000, '[') + std::string(100'000, ']') + "}"),
       "needs dtype"},
      {"100 000 nested objects",
       file_of(repeated(R"({"a":)", 100'000) + "1" + std::string(100'000, '}')), "needs dtype"},
      {"a tensor that is a number", file_of(R"({"a":1})"), "needs dtype"},
      {"no dtype", file_of(R"({"a":{"shape":[],"data_offsets":[0,0]}})"), "needs dtype"},
      {"no shape", file_of(R"({"a":{"dtype":"F32","data_offsets":[0,0]}})"), "needs dtype"},
      {"no offsets", file_of(R"({"a":{"dtype":"F32","shape":[]}})"), "needs dtype"},
      {"a dtype that is a number", file_of(R"({"a":{"dtype":1,"shape":[],"data_offsets":[0,0]}})"),
       "needs dtype"},
      {"an unknown dtype", file_of(tensor_of("BF16", "[2]", "[0,4]"), 4), "dtype BF16"},
      {"line breaks in a dtype", file_of(tensor_of("F\\n", "[2]", "[0,4]"), 4),
       R"(dtype F\x0a is not)"},
      {"line breaks in a name", file_of(R"({"a\nb":1})"), R"(tensor 'a\x0ab' needs)"},
      {"three offsets", file_of(tensor_of("U8", "[2]", "[0,2,4]"), 4), "needs dtype"},
      {"a negative offset", file_of(tensor_of("U8", "[2]", "[-2,0]"), 4), "whole numbers"},
      {"a float offset", file_of(tensor_of("U8", "[2]", "[0,2.0]"), 4), "whole numbers"},
      {"text as an offset", file_of(tensor_of("U8", "[2]", R"(["0",2])"), 4), "whole numbers"},
      {"an offset of 2^64", file_of(tensor_of("U8", "[2]", "[0,18446744073709551616]"), 4),
       "whole numbers"},
      {"reversed offsets", file_of(tensor_of("U8", "[2]", "[2,0]"), 4), "lie outside"},
      {"offsets beyond the end", file_of(tensor_of("U8", "[5]", "[0,5]"), 4), "lie outside"},
      {"truncated data", file_of(tensor_of("F32", "[2]", "[0,8]"), 7), "lie outside"},
      {"too few bytes", file_of(tensor_of("F32", "[2]", "[0,4]"), 8), "needs 8 bytes"},
      {"too many bytes", file_of(tensor_of("U8", "[2]", "[0,4]"), 8), "needs 2 bytes"},
      {"bytes for an empty shape", file_of(tensor_of("U8", "[0]", "[0,4]"), 8), "needs 0 bytes"},
      {"a negative size", file_of(tensor_of("U8", "[-2]", "[0,2]"), 4), "whole numbers"},
      {"sizes of -1", file_of(tensor_of("U8", "[-1,-2]", "[0,2]"), 4), "whole numbers"},
      {"a float size", file_of(tensor_of("U8", "[2.0]", "[0,2]"), 4), "whole numbers"},
      {"text as a size", file_of(tensor_of("U8", R"(["2"])", "[0,2]"), 4), "whole numbers"},
      {"a huge size", file_of(tensor_of("U8", "[4611686018427387904]", "[0,2]"), 4), "larger than"},
      {"a product of 2^64 + 4", file_of(tensor_of("F32", "[2147483649,2147483649]", "[0,4]"), 4),
       "larger than"},
      {"a product that overflows within the file",
       file_of(tensor_of("U8", "[2048,2048,2048,2048,2048,2048]", "[0,4]"), 4096), "overflows"},
      {"huge sizes after a zero",
       file_of(tensor_of("F32", "[0,4611686018427387904,4611686018427387904]", "[0,0]"), 4),
       "overflows"},
      {"a size of 2^63 after a zero",
       file_of(tensor_of("U8", "[0,9223372036854775808]", "[0,0]"), 4), "overflows"},
      {"seven dimensions", file_of(tensor_of("U8", "[1,1,1,1,1,1,1]", "[0,1]"), 4), "7 dimensions"},
      {"overlap", file_of(R"({"a":{)" + two_of + R"([0,4]},"b":{)" + two_of + R"([3,7]}})", 8),
       "overlap"},
      {"shared bytes", file_of(R"({"a":{)" + two_of + R"([0,4]},"b":{)" + two_of + R"([0,4]}})", 8),
       "shares"},
      {"bytes after the last tensor", file_of(R"({"a":{)" + two_of + R"([0,4]}})", 9),
       "5 bytes after the last tensor"},
      {"metadata that is text", file_of(R"({"__metadata__":"a"})"), "must be an object"},
      {"metadata with numbers", file_of(R"({"__metadata__":{"a":1}})"), "must be text"},
      {"metadata with objects", file_of(R"({"__metadata__":{"a":{}}})"), "must be text"},
  };
  const std::size_t before = backend_for(Device::CPU).peak_bytes();
  for (const Case& c : cases) {
    BOOST_TEST_CONTEXT(c.what) {
      const std::string path = folder.write("hostile.safetensors", c.bytes);
      check_error([&] { load_safetensors(path); }, {"[safetensors]", path, c.message});
    }
  }
  BOOST_CHECK_LT(backend_for(Device::CPU).peak_bytes(), before + (1 << 20));
  const std::string nowhere = folder.path("nowhere");
  check_error([&] { load_safetensors(nowhere); }, {"[safetensors]", nowhere});
  check_error([&] { load_safetensors(folder.path()); }, {"[safetensors]", "not a file"});
}

BOOST_AUTO_TEST_CASE(every_cut_and_every_flipped_bit_is_noticed) {
  const TempFolder folder;
  const std::string path = folder.path("whole");
  const StateDict tensors = {{"a", Tensor::arange(5)}, {"b", Tensor::ones({2, 2}, DType::F64)}};
  const Metadata metadata = {{"k", "v"}, {"step", "12"}};
  save_safetensors(path, tensors, metadata);
  const std::string whole = test::bytes_of(path);
  for (std::size_t cut = 0; cut < whole.size(); ++cut) {
    const std::string cut_path = folder.write("cut", whole.substr(0, cut));
    BOOST_CHECK_THROW(load_safetensors(cut_path), Error);
  }
  const std::size_t elements = whole.size() - 5 * 4 - 4 * 8;
  int unnoticed = 0;
  for (std::size_t bit = 0; bit < 8 * whole.size(); ++bit) {
    std::string damaged = whole;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ 1 << bit % 8);
    const std::string damaged_path = folder.write("damaged", damaged);
    const auto load = [&] { load_safetensors(damaged_path); };
    if (bit / 8 >= elements) {
      check_error(load, {"[safetensors]", damaged_path, "is damaged", "restore it from a copy"});
    }
    // What is read in spite of it is as it was, but for a checksum of another name.
    try {
      for (const auto& [key, value] : metadata) {
        BOOST_CHECK_EQUAL(read_safetensors_header(damaged_path).metadata.at(key), value);
      }
      const SafetensorsFile file = load_safetensors(damaged_path);
      for (const auto& [name, tensor] : tensors) BOOST_CHECK(same(file.tensors.at(name), tensor));
      ++unnoticed;
    } catch (const Error&) {
    }
  }
  BOOST_CHECK_LE(unnoticed, 8 * 10);  // letters of "checksum", and spaces at the header's end
}

BOOST_AUTO_TEST_CASE(large_tensors_are_checked_to_their_end) {
  const TempFolder folder;
  const std::string path = folder.path("large");
  save_safetensors(path, {{"a", Tensor::zeros({300'001})}, {"b", Tensor::zeros({7}, DType::U8)}});
  const std::string whole = test::bytes_of(path);
  for (const std::size_t from_end : {1U, 7U, 8U, 100'000U, 600'000U, 1'200'011U}) {
    std::string damaged = whole;
    damaged[whole.size() - from_end] = 1;
    check_error([&] { load_safetensors(folder.write("damaged", damaged)); }, {"is damaged"});
  }
  load_safetensors(path);
}

// Of older programs and of others, whose "checksum" is another thing.
BOOST_AUTO_TEST_CASE(files_without_our_checksum_are_read) {
  const TempFolder folder;
  for (const char* metadata : {R"("k":"v")", R"("checksum":"12ab","k":"v")", R"("checksum":"")"}) {
    const std::string header = std::string(R"({"__metadata__":{)") + metadata +
                               R"(},"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})";
    const SafetensorsFile file = load_safetensors(folder.write("other", file_of(header, 2)));
    BOOST_CHECK(same(file.tensors.at("a"), Tensor::from<std::uint8_t>({1, 1}, {2})));
    BOOST_CHECK_EQUAL(file.metadata.contains("checksum"), header.find("checksum") != header.npos);
  }
  check_error(
      [&] {
        save_safetensors(folder.path("x"), {}, {{"checksum", "1"}});
      },
      {"[safetensors]", "'checksum'", "another name"});
}

// With a search through all names for each name, this would take minutes.
BOOST_AUTO_TEST_CASE(two_hundred_thousand_names) {
  constexpr std::int64_t kNames = 200'000;
  const TempFolder folder;
  const Tensor values = Tensor::arange(kNames);
  StateDict tensors;
  for (std::int64_t i = 0; i < kNames; ++i) {
    tensors.emplace_back(str("layers.", i, ".weight"), values.narrow(0, i, 1));
  }
  const std::string path = folder.path("many.safetensors");
  save_safetensors(path, tensors);
  const SafetensorsFile file = load_safetensors(path);
  BOOST_REQUIRE_EQUAL(file.tensors.size(), static_cast<std::size_t>(kNames));
  for (const std::int64_t i : {std::int64_t{0}, std::int64_t{77'777}, kNames - 1}) {
    BOOST_CHECK_EQUAL(file.tensors.at(str("layers.", i, ".weight")).item(), static_cast<double>(i));
  }
  tensors.push_back(tensors[5]);
  check_error([&] { save_safetensors(path, tensors); }, {"two tensors", "'layers.5.weight'"});
}

BOOST_AUTO_TEST_SUITE_END()
