#include "tensor/checksum.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <functional>

using namespace nf;

namespace {

std::string sum_of(const std::function<void(Checksum&)>& add) {
  Checksum sum;
  add(sum);
  return sum.text();
}

std::string plain(std::string_view bytes) {
  return sum_of([&](Checksum& sum) { sum.add(bytes); });
}

std::string fast(std::string_view bytes) {
  return sum_of([&](Checksum& sum) { sum.add(fast_checksum(bytes)); });
}

}  // namespace

BOOST_AUTO_TEST_SUITE(tensor_checksum)

// They stand in files: a change of the function is another version of these.
BOOST_AUTO_TEST_CASE(values_are_for_ever) {
  std::string bytes;
  for (int i = 0; i < 200; ++i) bytes += static_cast<char>(i);
  BOOST_TEST(plain(bytes) == "2f960f8de82ddf2c");
  BOOST_TEST(fast(bytes) == "21c76292489948b1");
  BOOST_TEST(sum_of([](Checksum& sum) { sum.add(Tensor::arange(5)); }) == "c716a8d2d9d6f18a");
}

BOOST_AUTO_TEST_CASE(every_bit_and_the_length_count) {
  for (const auto& sum : {plain, fast}) {
    const std::string zeros(100, '\0');
    std::vector<std::string> seen = {sum(zeros), sum(zeros.substr(1)), sum(zeros.substr(8)),
                                     sum(zeros.substr(64)), sum("")};
    for (std::size_t bit = 0; bit < 8 * zeros.size(); ++bit) {
      std::string flipped = zeros;
      flipped[bit / 8] = static_cast<char>(1 << bit % 8);
      seen.push_back(sum(flipped));
    }
    std::sort(seen.begin(), seen.end());
    BOOST_CHECK(std::adjacent_find(seen.begin(), seen.end()) == seen.end());
  }
}

// Words that change places between lanes, or lanes that do.
BOOST_AUTO_TEST_CASE(the_order_counts) {
  std::string bytes(1024, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i / 8 * 7);
  std::vector<std::string> seen = {fast(bytes)};
  for (std::size_t word = 8; word + 8 <= bytes.size(); word += 8) {
    std::string swapped = bytes;
    std::swap_ranges(swapped.begin(), swapped.begin() + 8,
                     swapped.begin() + static_cast<std::ptrdiff_t>(word));
    if (swapped != bytes) seen.push_back(fast(swapped));
  }
  std::sort(seen.begin(), seen.end());
  BOOST_CHECK(std::adjacent_find(seen.begin(), seen.end()) == seen.end());
}

BOOST_AUTO_TEST_CASE(every_element_of_a_tensor_counts) {
  constexpr std::int64_t kNumbers = 20'000;
  std::vector<std::string> seen;
  for (const std::int64_t at : {0, 1, 4095, 4096, 4097, 10'000, 19'999}) {
    std::vector<float> numbers(kNumbers);
    numbers[static_cast<std::size_t>(at)] = 1;
    for (const Shape& shape : {Shape{kNumbers}, Shape{100, 200}}) {
      seen.push_back(sum_of([&](Checksum& sum) { sum.add(Tensor::from(numbers, shape)); }));
    }
  }
  std::sort(seen.begin(), seen.end());
  BOOST_CHECK(std::adjacent_find(seen.begin(), seen.end()) == seen.end());
}

BOOST_AUTO_TEST_CASE(rows_have_equal_numbers_where_they_are_equal) {
  const auto rows = row_checksums(Tensor::from<float>({1, 2, 3, 4, 1, 2, 1, 3}, {4, 2}));
  BOOST_TEST(rows[0] == rows[2]);
  BOOST_TEST(rows[0] != rows[1]);
  BOOST_TEST(rows[0] != rows[3]);
}

BOOST_AUTO_TEST_SUITE_END()
