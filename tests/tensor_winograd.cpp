// Winograd's way of convolving: when it is taken, and what bits and numbers that are not finite may
// depend on. Its results are compared with seven loops in tensor_conv.cpp.
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>
#include <vector>

#include "autograd/functions.h"
#include "nn/layers/conv2d.h"
#include "tests/data_util.h"
#include "tests/devices.h"

BOOST_AUTO_TEST_SUITE(tensor_winograd)

using namespace nf;
using namespace nf::test;

namespace {

struct Images {
  Shape x, w;
  ConvGeometry geometry;
};

}  // namespace

// An image's result does not depend on the images beside it, nor on their number.
BOOST_FIXTURE_TEST_CASE(neighbours_change_no_bit, DefaultWinograd) {
  const Images cases[] = {{{37, 9, 10, 24}, {40, 24, 3, 3}, {1, 1, 1}},
                          {{5, 4, 4, 96}, {12, 96, 3, 3}, {1, 1, 1}},
                          {{5, 7, 7, 16}, {16, 16, 3, 3}, {1, 1, 1}}};
  for (const Winograd way : {Winograd::Off, Winograd::Auto, Winograd::On}) {
    set_winograd(way);
    for (const Images& c : cases) {
      const Tensor x = draw(c.x, DType::F32, 1), w = draw(c.w, DType::F32, 2);
      const Tensor out = conv2d(x, w, {}, c.geometry);
      for (const std::int64_t n : {std::int64_t{0}, c.x[0] - 1}) {
        BOOST_CHECK_MESSAGE(
            values(conv2d(x.narrow(0, n, 1), w, {}, c.geometry)) == values(out.narrow(0, n, 1)),
            c.x << ": image " << n << ", way " << static_cast<int>(way));
      }
    }
  }
}

// In Winograd's way a number that is not finite is in all outputs whose window holds it, and in
// none that is more than 5 pixels away, in its image.
BOOST_FIXTURE_TEST_CASE(what_is_not_finite_stays_near_in_winograd, DefaultWinograd) {
  set_winograd(Winograd::On);
  const Tensor w = draw({3, 2, 3, 3}, DType::F32, 2);
  for (const double bad : {std::nan(""), std::numeric_limits<double>::infinity()}) {
    for (const std::int64_t at : {0, 5, 8, 17}) {
      std::vector<double> v(2 * 18 * 18 * 2, 1.0);
      v[static_cast<std::size_t>((at * 18 + at) * 2 + 1)] = bad;
      const Tensor x = Tensor::from(v, {2, 18, 18, 2}).to(DType::F32);
      const std::vector<double> out = values(conv2d(x, w, {}, {1, 1, 1}));
      for (std::int64_t i = 0; i < 2 * 18 * 18 * 3; ++i) {
        const std::int64_t n = i / (18 * 18 * 3), y = i / (18 * 3) % 18, px = i / 3 % 18;
        const std::int64_t far = std::max(std::abs(y - at), std::abs(px - at));
        const bool finite = std::isfinite(out[static_cast<std::size_t>(i)]);
        BOOST_CHECK_MESSAGE(n == 1 || far > 5 ? finite : !finite || far > 1,
                            bad << " at " << at << ": " << n << ", " << y << ", " << px);
      }
    }
  }
}

// Where a convolution is exact, what lies behind a zero of a mask changes no bit: neither a pixel
// of 1e6 the outputs, nor a gradient of 1e6 the gradients of pixels. In Winograd's way both do.
BOOST_FIXTURE_TEST_CASE(a_masked_pixel_changes_no_bit_of_an_exact_convolution, DefaultWinograd) {
  constexpr std::int64_t kSide = 8, kChannels = 32, kAt = 4;
  // The rows above, and the pixels to the left.
  const std::vector<double> causal = {1, 1, 1, 1, 0, 0, 0, 0, 0};
  const Tensor w = draw({kChannels, kChannels, 3, 3}, DType::F32, 2) *
                   Tensor::from(causal, {1, 1, 3, 3}).to(DType::F32);
  const Shape images = {1, kSide, kSide, kChannels};
  const Tensor plain = draw(images, DType::F32, 1);
  Tensor changed = plain.clone();
  changed.narrow(1, kAt, 1).narrow(2, kAt, 1).fill_(1e6);
  // What no window with the pixel sees: the outputs before it, and the gradients behind it.
  const auto bits = [&](const Tensor& t, bool before) {
    const std::int64_t pixel = kAt * kSide + kAt, all = kSide * kSide;
    const Tensor pixels = t.reshape({all, kChannels});
    return values(before ? pixels.narrow(0, 0, pixel) : pixels.narrow(0, pixel, all - pixel));
  };
  for (const Winograd way : {Winograd::Auto, Winograd::On}) {
    set_winograd(way);
    for (const bool exact : {true, false}) {
      nn::Conv2dOptions options{.in = kChannels, .out = kChannels, .padding = {1, 1}};
      options.exact = exact;
      Generator gen(1);
      nn::Conv2d layer(options, gen);
      layer.parameters()[0].second->set_value(w);
      const auto run = [&](const Tensor& x, const Tensor& dout) {
        const Var in = Var::leaf(x);
        Tape tape;
        const Var out[] = {layer(in)};
        tape.backward(out, std::span(&dout, 1));
        return std::pair{bits(out[0].value(), true), bits(in.grad(), false)};
      };
      const auto [out, dx] = run(plain, plain);
      BOOST_TEST((run(changed, plain).first == out) == exact);
      BOOST_TEST((run(plain, changed).second == dx) == exact);
    }
  }
}

BOOST_FIXTURE_TEST_CASE(the_way_is_chosen, DefaultWinograd) {
  for (const Winograd way : {Winograd::Off, Winograd::Auto, Winograd::On}) {
    set_winograd(way);
    BOOST_CHECK(winograd() == way);
  }

  // What Auto takes: few channels, small maps and other kernels go directly.
  const auto same = [](const Images& c) {
    const Tensor x = draw(c.x, DType::F32, 1), w = draw(c.w, DType::F32, 2);
    const auto by = [&](Winograd way) {
      set_winograd(way);
      return values(conv2d(x, w, {}, c.geometry));
    };
    return by(Winograd::Auto) == by(Winograd::Off);
  };
  BOOST_TEST(!same({{1, 8, 8, 32}, {32, 32, 3, 3}, {1, 1, 1}}));
  BOOST_TEST(!same({{1, 8, 8, 12}, {64, 12, 3, 3}, {1, 1, 1}}));
  BOOST_TEST(same({{1, 8, 8, 8}, {64, 8, 3, 3}, {1, 1, 1}}));
  BOOST_TEST(same({{1, 8, 8, 16}, {16, 16, 3, 3}, {1, 1, 1}}));
  BOOST_TEST(same({{1, 5, 5, 32}, {32, 32, 3, 3}, {1, 1, 1}}));
  BOOST_TEST(same({{1, 8, 8, 32}, {32, 32, 3, 3}, {2, 1, 1}}));
  BOOST_TEST(same({{1, 8, 8, 32}, {32, 32, 5, 5}, {1, 2, 2}}));
}

BOOST_AUTO_TEST_SUITE_END()
