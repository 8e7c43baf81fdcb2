// tones: signals from a seed, their levels, and what of them is the same every time.
#include "data/tones.h"

#include <boost/test/unit_test.hpp>
#include <cmath>

#include "data/source.h"
#include "tests/data_util.h"

using namespace nf;
using namespace nf::data;

BOOST_AUTO_TEST_SUITE(data_tones)

BOOST_AUTO_TEST_CASE(levels_are_those_of_mu_law) {
  BOOST_CHECK_EQUAL(mu_law_level(0), 128);
  BOOST_CHECK_EQUAL(mu_law_level(1), 255);
  BOOST_CHECK_EQUAL(mu_law_level(-1), 0);
  BOOST_CHECK_EQUAL(mu_law_level(5), 255);
  // ln(1 + 255 / 16) / ln 256 = 0.5097...: (1 + 0.5097) 128 = 193.2
  BOOST_CHECK_EQUAL(mu_law_level(1.0 / 16), 193);
  BOOST_CHECK_EQUAL(mu_law_level(-1.0 / 16), 62);
  for (int k = 1; k < 256; ++k) {
    const double from = (k - 128) / 128.0, size = (std::pow(256, std::abs(from)) - 1) / 255;
    const double edge = std::copysign(size, from);
    BOOST_CHECK_EQUAL(mu_law_level(edge + 1e-9), k);
    BOOST_CHECK_EQUAL(mu_law_level(edge - 1e-9), k - 1);
  }
}

BOOST_AUTO_TEST_CASE(a_signal_is_a_function_of_seed_stream_and_row) {
  using Bytes = std::vector<std::uint8_t>;
  const Tensor ten = tones(10, 1, 5), three = tones(3, 1, 5);
  BOOST_CHECK_EQUAL(ten.shape(), Shape({10, kToneLength}));
  BOOST_CHECK(ten.narrow(0, 0, 3).to_vector<std::uint8_t>() == three.to_vector<std::uint8_t>());
  BOOST_CHECK(tones(3, 2, 5).to_vector<std::uint8_t>() != three.to_vector<std::uint8_t>());
  BOOST_CHECK(tones(3, 1, 6).to_vector<std::uint8_t>() != three.to_vector<std::uint8_t>());
  const Bytes all = tones(200, 1, 0).to_vector<std::uint8_t>();
  double total = 0, quiet = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    total += all[i] / static_cast<double>(all.size());
    if (i % kToneLength >= kToneLength - 32) quiet += std::abs(all[i] - 128.0) / (200 * 32);
    if (i % kToneLength < 32) quiet -= std::abs(all[i] - 128.0) / (200 * 32);
  }
  BOOST_CHECK_SMALL(total - 127.5, 3.0);
  BOOST_CHECK_LT(quiet, -5);  // they fade
}

BOOST_AUTO_TEST_CASE(tones_are_a_source) {
  const Dataset data = load("tones", {.seed = 3, .train = 20, .valid = 5, .test = 4});
  BOOST_CHECK(data.discrete && !data.images() && !data.unit_scale);
  BOOST_CHECK_EQUAL(data.dims, kToneLength);
  BOOST_CHECK_EQUAL(data.train.size(), 20);
  BOOST_CHECK_EQUAL(data.valid.size(), 5);
  BOOST_CHECK_EQUAL(data.test.size(), 4);
  BOOST_CHECK(data.train.x.narrow(0, 0, 4).to_vector<std::uint8_t>() !=
              data.test.x.to_vector<std::uint8_t>());
  BOOST_CHECK_EQUAL(load("tones", {.train = 2, .valid = 1, .test = 1, .bits = 5}).levels, 32);
  test::check_error([] { load("tones", {.columns = {"a"}}); }, {"[data] columns is for files"});
}

BOOST_AUTO_TEST_SUITE_END()
