// Inpainting: the masks by their patterns, and the ascent where its end is known. The latent
// sphere.
#include "flows/compose.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <numeric>
#include <set>

#include "flows/examine/inpaint.h"
#include "flows/examine/sphere.h"
#include "flows/layers/level_cdf.h"
#include "flows/layers/logit.h"
#include "flows/layers/scaling.h"
#include "flows/layers/whitening.h"
#include "tensor/ops.h"
#include "tests/data_util.h"
#include "tests/devices.h"

using namespace nf;
using namespace nf::flows;
using test::check_error;

namespace {

std::string pattern(const Tensor& mask) {
  std::string out;
  for (const std::uint8_t observed : mask.to_vector<std::uint8_t>()) out += observed ? '#' : '.';
  return out;
}

/// A Gaussian in the plane with mean (1, -1), deviations 1 and 0.5, correlation 0.8.
std::shared_ptr<FlowDensity> tilted() {
  auto whitening = std::make_shared<TriangularWhitening>(2);
  Generator gen(1);
  const Tensor e = normal(gen, {4000, 2}, DType::F64);
  const Tensor a = e.narrow(1, 0, 1), b = a * 0.8 + e.narrow(1, 1, 1) * 0.6;
  const auto density = std::make_shared<FlowDensity>(whitening, base_by_name("gaussian"), 2);
  density->to(DType::F64);
  whitening->initialize(concat(std::vector<Tensor>{a + 1.0, b * 0.5 - 1.0}, 1));
  density->eval();
  return density;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(flows_inpaint)

BOOST_AUTO_TEST_CASE(masks_of_the_paper) {
  Generator gen(1);
  const std::pair<const char*, const char*> cases[] = {
      {"top", "........########"},
      {"bottom", "########........"},
      {"odd", ".#.#.#.#.#.#.#.#"},
      {"even", "#.#.#.#.#.#.#.#."},
      {"left", "..##..##..##..##"},
      {"right", "##..##..##..##.."},
      {"middle-vertical", "####........####"},
      {"middle-horizontal", "#..##..##..##..#"},
  };
  std::set<std::string> named = {"random-75", "random-90"};
  for (const auto& [name, expected] : cases) {
    BOOST_TEST(pattern(inpaint_mask(name, 1, 4, 4, gen)) == expected, name);
    std::string three;
    for (const char* p = expected; *p; ++p) three += std::string(3, *p);
    BOOST_TEST(pattern(inpaint_mask(name, 3, 4, 4, gen)) == three, name);
    named.insert(name);
  }
  BOOST_TEST((named == std::set<std::string>(inpaint_masks().begin(), inpaint_masks().end())));
  for (const auto& [name, missing] : {std::pair("random-75", .75), std::pair("random-90", .9)}) {
    const Tensor mask = inpaint_mask(name, 3, 100, 100, gen);
    const Tensor pixels = mask.reshape({10000, 3});
    const double observed = mean(mask.to(DType::F64)).item();
    BOOST_TEST(std::abs(1 - observed - missing) < 0.02, name << " " << observed);
    BOOST_TEST(pattern(pixels.narrow(1, 0, 1)) == pattern(pixels.narrow(1, 2, 1)));
  }
  check_error([&] { inpaint_mask("lefft", 1, 4, 4, gen); }, {"'lefft'", "did you mean 'left'?"});
}

// With x_0 observed, ln p is highest in x_1 at its conditional mean, -1 + 0.4 (x_0 - 1).
BOOST_AUTO_TEST_CASE(ascent_ends_near_the_conditional_mode) {
  const auto density = tilted();
  std::vector<std::vector<double>> before;
  for (const auto& [name, tensor] : density->state()) {
    before.push_back(tensor.to(DType::F64).to_vector<double>());
  }
  Generator gen(2);
  const Tensor x = normal(gen, {500, 2}, DType::F64) + 1.0;
  const Tensor observed = Tensor::from<std::uint8_t>({1, 0}, {2});
  InpaintOptions options = {
      .ascent = Ascent::Paper, .steps = 1000, .low = -4, .high = 2, .gradient = .01, .seed = 3};
  const Tensor filled = inpaint(*density, x, observed, options).x;
  BOOST_TEST((filled.narrow(1, 0, 1).contiguous().to_vector<double>() ==
              x.narrow(1, 0, 1).contiguous().to_vector<double>()));
  const Tensor error = filled.narrow(1, 1, 1) - (x.narrow(1, 0, 1) - 1.0) * 0.4 + 1.0;
  // The noise that remains: per step 6 a on a pull of 36 a g / (0.3^2) = 4 a of the distance, at
  // the end with a = 10 / 1100: a deviation of about 6 sqrt(a / 8) = 0.2.
  BOOST_TEST(std::abs(mean(error).item()) < 0.05);
  const double deviation = std::sqrt(mean(square(error)).item());
  BOOST_TEST((deviation > 0.1 && deviation < 0.3), deviation);
  const Tensor same = inpaint(*density, x, observed, options).x;
  BOOST_TEST((filled.to_vector<double>() == same.to_vector<double>()));
  // The controlled ascent leaves no noise, and needs fewer steps.
  options.ascent = Ascent::Controlled;
  options.steps = 300;
  const Tensor exact = inpaint(*density, x, observed, options).x;
  const Tensor mode = (x.narrow(1, 0, 1) - 1.0) * 0.4 - 1.0;
  BOOST_TEST(max(abs(exact.narrow(1, 1, 1) - mode)).item() < 0.02);  // of the fit to 4000 samples
  // The model is what it was, and still learns.
  std::size_t at = 0;
  for (const auto& [name, tensor] : density->state()) {
    BOOST_TEST((tensor.to(DType::F64).to_vector<double>() == before[at++]), name);
  }
  for (const auto& [name, parameter] : density->parameters())
    BOOST_TEST(parameter->requires_grad());
}

// Without a gradient the paper's steps are its noise alone: a_i = 10 / (100 + i).
BOOST_AUTO_TEST_CASE(the_papers_steps_get_shorter) {
  const auto density = tilted();
  const Tensor x = Tensor::zeros({1000, 2}, DType::F64), none = Tensor::zeros({2}, DType::U8);
  InpaintOptions options = {.ascent = Ascent::Paper, .low = -10, .high = 10, .gradient = 0};
  for (const int i : {10, 100, 900}) {
    options.steps = i;
    const Tensor before = inpaint(*density, x, none, options).x;
    options.steps = i + 1;
    auto moves = abs(inpaint(*density, x, none, options).x - before).to_vector<double>();
    std::nth_element(moves.begin(), moves.begin() + 1000, moves.end());
    const double rate = moves[1000] / (0.6745 * 20);  // the median of |e|, and the range
    BOOST_TEST(rate == 10.0 / (100 + i), boost::test_tools::tolerance(0.15));
  }
}

BOOST_AUTO_TEST_CASE(what_is_filled_in_stays_in_range) {
  const auto density = tilted();
  const Tensor x = Tensor::zeros({20, 2}, DType::F64);
  const Tensor none = Tensor::zeros({20, 2}, DType::U8);
  const Tensor all = Tensor::ones({2}, DType::U8);
  for (const Ascent ascent : {Ascent::Controlled, Ascent::Paper}) {
    const Tensor filled =
        inpaint(*density, x, none, {.ascent = ascent, .steps = 5, .low = 0.25, .high = 0.5}).x;
    BOOST_TEST(min(filled).item() >= 0.25);
    BOOST_TEST(max(filled).item() <= 0.5);
    const Inpainted whole = inpaint(*density, x, all, {.ascent = ascent, .steps = 5});
    BOOST_TEST((whole.x.to_vector<double>() == x.to_vector<double>()));
    BOOST_TEST((whole.start == whole.end));
  }

  const Tensor byte_x = Tensor::zeros({20, 2}, DType::U8);
  check_error([&] { inpaint(*density, byte_x, none); }, {"[inpaint]", "(N, 2)"});
  check_error([&] { inpaint(*density, x, Tensor::zeros({3}, DType::U8)); }, {"mask", "(3,)"});
  check_error([&] { inpaint(*density, x, x); }, {"mask must be u8"});
  check_error([&] { inpaint(*density, x, none, {.low = 1, .high = 1}); }, {"range"});
  check_error([&] { inpaint(*density, x, none, {.steps = 0}); }, {"0 steps"});
  const Tensor infinite = Tensor::full({20, 2}, INFINITY, DType::F64);
  check_error([&] { inpaint(*density, infinite, all); }, {"not finite", "in range?"});
}

/// Correlated pixels, some nearly constant, and a model of them whose whitening makes gradients of
/// very different sizes: the ascent with fixed steps leaves such a density for good.
BOOST_AUTO_TEST_CASE(a_controlled_ascent_never_ends_below_its_start) {
  constexpr std::int64_t kDims = 16;
  Generator gen(4);
  const Tensor spread = exp(Tensor::arange(kDims) * -0.4);  // 1 to 0.002
  const Tensor mix = normal(gen, {kDims, kDims}), causes = normal(gen, {2000, kDims}) * spread;
  const Tensor mixed = matmul(causes, mix);
  const Tensor data = clamp(mixed * 20.0 + 128.0, 1, 254);
  for (const bool whitened : {true, false}) {
    auto flow = std::make_shared<Compose>();
    flow->add("scale", std::make_shared<Scale>(1.0 / 256));
    if (whitened) flow->add("whitening", std::make_shared<ZcaWhitening>(kDims));
    flow->add("scaling", std::make_shared<Scaling>(kDims));
    flow->initialize(data);
    FlowDensity density(flow, base_by_name("logistic"), kDims);
    const Tensor x = data.narrow(0, 0, 20);
    Tensor observed = Tensor::ones({kDims}, DType::U8);
    observed.narrow(0, 0, kDims / 2).fill_(0);
    InpaintOptions options = {.steps = 300, .low = 0, .high = 255.99, .seed = 1};
    const auto sum_of = [](const std::vector<double>& all) {
      return std::accumulate(all.begin(), all.end(), 0.0);
    };
    const Inpainted filled = inpaint(density, x, observed, options);
    for (std::size_t i = 0; i < filled.end.size(); ++i) {
      BOOST_TEST(filled.end[i] >= filled.start[i]);
    }
    // About as good as what was taken out, from a thousand nats below.
    double original = 0;
    for (const double v : density.log_prob(x).value().to(DType::F64).to_vector<double>()) {
      original += v;
    }
    BOOST_TEST(sum_of(filled.end) > original - 20 * 3.0);
    options.ascent = Ascent::Paper;
    const Inpainted paper = inpaint(density, x, observed, options);
    BOOST_TEST(sum_of(paper.end) < sum_of(filled.end));
    if (whitened) BOOST_TEST(sum_of(paper.end) < original - 1000);
  }
}

// Behind a cdf a likely level is reached by no slope: the ascent goes on in what the cdf makes of
// the pixels, where all levels are side by side.
BOOST_AUTO_TEST_CASE(an_ascent_behind_a_cdf_finds_likely_levels) {
  constexpr std::int64_t kDims = 8;
  Generator gen(6);
  const Tensor black = bernoulli(gen, 0.7, {4000, kDims}), noise = uniform(gen, {4000, kDims});
  const Tensor data = where(black.to(DType::U8), noise, affine(noise, 50, 200));
  auto flow = std::make_shared<Compose>();
  flow->add("cdf", std::make_shared<LevelCdf>(kDims));
  flow->add("logit", std::make_shared<Logit>(1e-6));
  flow->add("whitening", std::make_shared<TriangularWhitening>(kDims));
  flow->initialize(data);
  FlowDensity density(flow, base_by_name("gaussian"), kDims);
  const Tensor x = data.narrow(0, 0, 50);
  Tensor observed = Tensor::ones({kDims}, DType::U8);
  observed.narrow(0, 2, 4).fill_(0);
  const Inpainted filled =
      inpaint(density, x, observed, {.steps = 100, .low = 0, .high = 255.99, .seed = 1});
  const auto original = density.log_prob(x).value().to(DType::F64).to_vector<double>();
  double end = 0, taken = 0;
  for (std::size_t i = 0; i < filled.end.size(); ++i) {
    BOOST_TEST(filled.end[i] >= filled.start[i] - 1e-3);
    end += filled.end[i];
    taken += original[i];
  }
  BOOST_TEST(end > taken + 50 * 1.0);  // likelier than what was there, by a nat each
  BOOST_TEST((min(filled.x).item() >= 0 && max(filled.x).item() < 256));
  const Tensor kept = where(observed, filled.x - x, x.zeros_like());
  BOOST_TEST(max(abs(kept)).item() == 0);
}

// All points at one distance from the origin, evenly spaced, in three dimensions.
BOOST_AUTO_TEST_CASE(a_sphere_in_latent_space) {
  const auto base = base_by_name("gaussian");
  Generator gen(5), same(5);
  const std::int64_t dims = 400, rows = 3, columns = 4;
  const Tensor z = latent_sphere(*base, gen, dims, rows, columns).to(DType::F64);
  BOOST_TEST(z.shape() == Shape({12, dims}));
  const Tensor products = matmul(z, z.t().contiguous());  // (12, 12)
  const double square_radius = products.to_vector<double>()[0];
  BOOST_TEST(square_radius / static_cast<double>(dims) == 1, boost::test_tools::tolerance(0.3));
  const auto cosine = products.to_vector<double>();
  for (int a = 0; a < 12; ++a) {
    for (int b = 0; b < 12; ++b) {
      const double pa = M_PI * (a / 4 + .5) / 3, pb = M_PI * (b / 4 + .5) / 3;
      const double turn = M_PI / 2 * (a % 4 - b % 4);
      const double expected =
          std::sin(pa) * std::sin(pb) * std::cos(turn) + std::cos(pa) * std::cos(pb);
      BOOST_TEST(std::abs(cosine[static_cast<std::size_t>(12 * a + b)] / square_radius - expected) <
                 1e-5);
    }
  }
  const Tensor half = latent_sphere(*base, same, dims, rows, columns, 0.5).to(DType::F64);
  BOOST_TEST(max(abs(half * 2.0 - z)).item() < 1e-4);
  check_error([&] { latent_sphere(*base, gen, 2, 3, 4); }, {"3 dimensions", "have 2"});
  check_error([&] { latent_sphere(*base, gen, 3, 0, 4); }, {"0 x 4"});
}

BOOST_AUTO_TEST_CASE(four_latents_are_corners_of_their_manifold) {
  const Tensor weights = four_point_weights(8, 4);
  BOOST_CHECK(weights.shape() == Shape({32, 4}));
  const double r = std::sqrt(0.5);
  const struct {
    std::int64_t at;
    std::vector<double> expected;
  } rows[] = {{0, {1, 0, 0, 0}},           // p = q = 0
              {1, {0, 1, 0, 0}},           // q = pi / 2
              {8, {0, 0, 1, 0}},           // p = pi / 2
              {9, {0, 0, 0, 1}},           // both
              {4, {r, 0, r, 0}},           // p = pi / 4
              {3 * 4 + 3, {0, r, 0, -r}},  // p = 3 pi / 4, q = 3 pi / 2
              {4 * 4 + 2, {1, 0, 0, 0}}};  // half around, both ways
  for (const auto& [at, expected] : rows) {
    CHECK_SAME(weights.narrow(0, at, 1), Tensor::from(expected, {1, 4}), 1e-15, str("point ", at));
  }
  CHECK_SAME(weights.narrow(0, 0, 1), Tensor::from<double>({1, 0, 0, 0}, {1, 4}), 0, "exactly");
  CHECK_SAME(sum(square(weights), {1}), Tensor::full({32}, 1, DType::F64), 1e-15, "squares");
  check_error([] { four_point_weights(0, 3); }, {"[manifold]", "0 x 3"});
}

BOOST_AUTO_TEST_SUITE_END()
