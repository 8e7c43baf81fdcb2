#include "tensor/random.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <functional>
#include <numeric>
#include <vector>

#include "tensor/ops.h"
#include "tensor/philox.h"
#include "tensor/threads.h"

BOOST_AUTO_TEST_SUITE(tensor_random)

using namespace nf;

namespace {

struct DefaultThreads {
  ~DefaultThreads() { set_num_threads(0); }
};

constexpr Distribution kAll[] = {Distribution::Uniform, Distribution::Normal,
                                 Distribution::Logistic};

double cdf(Distribution kind, double x) {
  switch (kind) {
    case Distribution::Uniform:
      return std::clamp(x, 0.0, 1.0);
    case Distribution::Normal:
      return 0.5 * std::erfc(-x / std::sqrt(2.0));
    case Distribution::Logistic:
      return 1 / (1 + std::exp(-x));
  }
  return NAN;
}

std::vector<double> values(const Tensor& t) { return t.to(DType::F64).to_vector<double>(); }

/// sqrt(n) times the Kolmogorov-Smirnov distance: above 1.95 with probability 0.001.
double kolmogorov_smirnov(std::vector<double> x, const std::function<double(double)>& cdf) {
  std::sort(x.begin(), x.end());
  const double n = static_cast<double>(x.size());
  double distance = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double f = cdf(x[i]);
    distance = std::max({distance, f - i / n, (i + 1) / n - f});
  }
  return std::sqrt(n) * distance;
}

}  // namespace

// Known answers of the Random123 library, kat_vectors, "philox4x32 10".
BOOST_AUTO_TEST_CASE(philox_known_answers) {
  struct Answer {
    std::uint64_t key, counter, stream;
    PhiloxBlock block;
  };
  const Answer answers[] = {
      {0, 0, 0, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
      {~0ULL, ~0ULL, ~0ULL, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
      {0x299f31d0a4093822,
       0x85a308d3243f6a88,
       0x0370734413198a2e,
       {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
  };
  for (const Answer& a : answers) {
    BOOST_TEST(philox(a.key, a.counter, a.stream) == a.block, boost::test_tools::per_element());
  }
}

BOOST_AUTO_TEST_CASE(elements_are_the_documented_words) {
  Generator gen(7, 3);
  gen.set_offset(1ULL << 40);
  const auto u32 = uniform(gen, {9}).to_vector<float>();
  for (std::size_t i = 0; i < u32.size(); ++i) {
    BOOST_TEST(u32[i] == uniform_f32(philox(7, (1ULL << 40) + i / 4, 3)[i % 4]));
  }
  BOOST_TEST(gen.offset() == (1ULL << 40) + 3);
  const auto u64 = uniform(gen, {5}, DType::F64).to_vector<double>();
  for (std::size_t i = 0; i < u64.size(); ++i) {
    const PhiloxBlock block = philox(7, (1ULL << 40) + 3 + i / 2, 3);
    BOOST_TEST(u64[i] == uniform_f64(block[i % 2 * 2], block[i % 2 * 2 + 1]));
  }
  BOOST_TEST(gen.offset() == (1ULL << 40) + 6);
}

BOOST_AUTO_TEST_CASE(uniform_numbers_stay_in_their_intervals) {
  BOOST_TEST(uniform_f32(0) == 0.0F);
  BOOST_TEST(uniform_f32(~0U) < 1.0F);
  BOOST_TEST(uniform_f64(~0U, ~0U) < 1.0);
  for (const std::uint32_t bits : {0U, ~0U}) {
    BOOST_TEST((open_uniform_f32(bits) > 0.0F && open_uniform_f32(bits) < 1.0F));
    BOOST_TEST((open_uniform_f64(bits, bits) > 0.0 && open_uniform_f64(bits, bits) < 1.0));
    BOOST_TEST(std::isfinite(logistic_quantile(open_uniform_f32(bits))));
    BOOST_TEST(std::isfinite(logistic_quantile(open_uniform_f64(bits, bits))));
    float a = 0, b = 0;
    box_muller(uniform_f32(bits), uniform_f32(bits), a, b);
    BOOST_TEST((std::isfinite(a) && std::isfinite(b)));
  }
}

BOOST_AUTO_TEST_CASE(distributions) {
  struct Moments {
    double mean, variance, kurtosis;  // kurtosis: fourth central moment / variance^2
  };
  const Moments moments[] = {{0.5, 1.0 / 12, 1.8}, {0, 1, 3}, {0, M_PI * M_PI / 3, 4.2}};
  for (const Distribution kind : kAll) {
    for (const DType dtype : {DType::F32, DType::F64}) {
      Generator gen(2024, static_cast<std::uint64_t>(dtype));
      const std::vector<double> x = values(random(kind, gen, {400, 500}, dtype));
      const double n = static_cast<double>(x.size());
      const auto [mean, variance, kurtosis] = moments[static_cast<int>(kind)];
      double first = 0, second = 0, fourth = 0;
      for (const double v : x) {
        first += v / n;
        second += (v - mean) * (v - mean) / n;
        fourth += std::pow(v - mean, 4) / n;
      }
      BOOST_TEST(std::abs(first - mean) < 4 * std::sqrt(variance / n));
      BOOST_TEST(std::abs(second / variance - 1) < 4 * std::sqrt((kurtosis - 1) / n));
      BOOST_TEST(std::abs(fourth / (variance * variance) / kurtosis - 1) < 0.05);
      BOOST_TEST(kolmogorov_smirnov(x, [&](double v) { return cdf(kind, v); }) < 1.95);
      double neighbours = 0;  // correlation of each element with the next one
      for (std::size_t i = 0; i + 1 < x.size(); ++i) {
        neighbours += (x[i] - mean) * (x[i + 1] - mean) / variance / n;
      }
      BOOST_TEST(std::abs(neighbours) < 4 / std::sqrt(n));
    }
  }
}

BOOST_FIXTURE_TEST_CASE(an_element_depends_on_its_place_alone, DefaultThreads) {
  for (const Distribution kind : kAll) {
    for (const DType dtype : {DType::F32, DType::F64}) {
      set_num_threads(1);
      Generator all(5);
      const std::vector<double> expected = values(random(kind, all, {30001}, dtype));
      for (const int threads : {2, 5}) {
        set_num_threads(threads);
        for (const std::int64_t n : {1, 2, 5, 255, 256, 257, 30001}) {
          Generator gen(5);
          const std::vector<double> x = values(random(kind, gen, {n}, dtype));
          BOOST_TEST(std::equal(x.begin(), x.end(), expected.begin()));
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(sequences_go_on_where_they_stopped) {
  Generator gen(11, 2);
  normal(gen, {10});
  const std::uint64_t saved = gen.offset();
  BOOST_TEST(saved == 3u);
  const auto next = values(normal(gen, {10}));
  Generator again(gen.seed(), gen.stream());
  again.set_offset(saved);
  BOOST_TEST(values(normal(again, {10})) == next, boost::test_tools::per_element());
  Generator other_seed(12, 2), other_stream(11, 3);
  other_seed.set_offset(saved);
  other_stream.set_offset(saved);
  BOOST_TEST(values(normal(other_seed, {10})) != next);
  BOOST_TEST(values(normal(other_stream, {10})) != next);
}

BOOST_AUTO_TEST_CASE(bernoulli_draws) {
  Generator gen(3);
  for (const double p : {0.0, 0.3, 1.0}) {
    for (const DType dtype : {DType::F32, DType::U8}) {
      const std::vector<double> x = values(bernoulli(gen, p, {40000}, dtype));
      const double ones = std::accumulate(x.begin(), x.end(), 0.0) / 40000;
      BOOST_TEST(std::all_of(x.begin(), x.end(), [](double v) { return v == 0 || v == 1; }));
      BOOST_TEST(std::abs(ones - p) <= 4 * std::sqrt(p * (1 - p) / 40000));
    }
  }
  for (const double p : {-0.1, 1.1, std::nan("")}) BOOST_CHECK_THROW(bernoulli(gen, p, {2}), Error);
}

BOOST_AUTO_TEST_CASE(permutations) {
  Generator gen(8);
  for (const std::int64_t n : {0, 1, 2, 3, 1000}) {
    const std::uint64_t before = gen.offset();
    std::vector<std::int32_t> order = permutation(gen, n).to_vector<std::int32_t>();
    BOOST_TEST(static_cast<std::int64_t>(gen.offset() - before) == (n + 3) / 4);
    BOOST_TEST((n < 1000 || !std::is_sorted(order.begin(), order.end())));
    std::sort(order.begin(), order.end());
    std::vector<std::int32_t> all(static_cast<std::size_t>(n));
    std::iota(all.begin(), all.end(), 0);
    BOOST_TEST(order == all, boost::test_tools::per_element());
  }
  // All 24 orders of four elements come equally often: chi-squared with 23 degrees of freedom is
  // above 49.7 with probability 0.001.
  std::vector<int> counts(256, 0);
  for (int i = 0; i < 24000; ++i) {
    const auto p = permutation(gen, 4).to_vector<std::int32_t>();
    ++counts[static_cast<std::size_t>(p[0] * 64 + p[1] * 16 + p[2] * 4 + p[3])];
  }
  double chi_squared = 0;
  for (const int count : counts)
    chi_squared += count ? (count - 1000.0) * (count - 1000.0) / 1000 : 0;
  BOOST_TEST(std::count_if(counts.begin(), counts.end(), [](int c) { return c > 0; }) == 24);
  BOOST_TEST(chi_squared < 49.7);
  BOOST_CHECK_THROW(permutation(gen, -1), Error);
}

BOOST_AUTO_TEST_CASE(only_floats_are_drawn) {
  Generator gen;
  BOOST_CHECK_THROW(uniform(gen, {3}, DType::U8), Error);
  BOOST_CHECK_THROW(normal(gen, {3}, DType::I32), Error);
  BOOST_TEST(uniform(gen, {0, 3}).numel() == 0);
  BOOST_TEST(gen.offset() == 0u);
}

// --- rows of samples -----------------------------------------------------------------------------

namespace {

Tensor samples(const std::vector<std::int32_t>& numbers) {
  return Tensor::from(numbers, {std::ssize(numbers)});
}

}  // namespace

// SplitMix64 from 0 gives e220a8397b1dcdaf, 6e789e6aa1b965f4, .. (Vigna's splitmix64.c).
BOOST_AUTO_TEST_CASE(streams_of_rounds_are_mixed_by_splitmix) {
  BOOST_TEST(mix_bits(0) == 0xe220a8397b1dcdafU);
  BOOST_TEST(mix_bits(0x9E3779B97F4A7C15U) == 0x6e789e6aa1b965f4U);
}

BOOST_FIXTURE_TEST_CASE(rows_are_the_documented_words_of_their_samples, DefaultThreads) {
  const std::vector<std::int32_t> which = {5, 0, 2147483647, 5};
  for (const int threads : {1, 3}) {
    set_num_threads(threads);
    for (const std::int64_t width : {1, 3, 4, 7, 1023, 3000}) {
      Generator gen(7, 3);
      gen.place(samples(which), 9);
      for (std::uint64_t draw = 0; draw < 2; ++draw) {
        const auto word = [&](std::size_t row, std::int64_t block) {
          const std::uint64_t counter =
              std::uint64_t(which[row]) << 32 | draw << 24 | static_cast<std::uint64_t>(block);
          return philox(7, counter, mix_bits(mix_bits(3) + 9));
        };
        const bool wide = draw == 1;
        const auto x = values(uniform(gen, {4, width}, wide ? DType::F64 : DType::F32));
        bool same = true;
        for (std::int64_t i = 0; i < 4 * width; ++i) {
          const std::int64_t column = i % width, per = wide ? 2 : 4, lane = column % per;
          const PhiloxBlock w = word(static_cast<std::size_t>(i / width), column / per);
          const auto at = static_cast<std::size_t>(lane);
          const double expected =
              wide ? uniform_f64(w[2 * at], w[2 * at + 1]) : double{uniform_f32(w[at])};
          same = same && x[static_cast<std::size_t>(i)] == expected;
        }
        BOOST_TEST(same, "width " << width << ", draw " << draw);
      }
      BOOST_TEST(gen.offset() == 9u);
    }
  }
}

BOOST_AUTO_TEST_CASE(a_row_depends_on_seed_stream_round_sample_and_draw_alone) {
  for (const Distribution kind : kAll) {
    for (const DType dtype : {DType::F32, DType::F64}) {
      Generator gen(7, 3);
      gen.place({}, 2);
      const Tensor all = random(kind, gen, {300, 5, 3}, dtype);
      const auto row_of = [&](Generator from, std::int32_t sample, std::uint64_t round, int draw) {
        from.place(samples({299, sample}), round);
        for (int i = 0; i < draw; ++i) uniform(from, {2, 1});
        return values(random(kind, from, {2, 5, 3}, dtype).narrow(0, 1, 1));
      };
      for (const std::int32_t sample : {0, 1, 123, 299}) {
        const auto row = values(all.narrow(0, sample, 1));
        BOOST_TEST(row_of(gen, sample, 2, 0) == row);
        BOOST_TEST(row_of(gen, sample ^ 1, 2, 0) != row);
        BOOST_TEST(row_of(gen, sample, 3, 0) != row);
        BOOST_TEST(row_of(gen, sample, 2, 1) != row);
        BOOST_TEST(row_of(Generator(8, 3), sample, 2, 0) != row);
        BOOST_TEST(row_of(Generator(7, 4), sample, 2, 0) != row);
      }
      // All rows together are draws of the distribution.
      gen.place({}, 0);
      const auto many = values(random(kind, gen, {50'000, 3}, dtype));
      BOOST_TEST(kolmogorov_smirnov(many, [&](double v) { return cdf(kind, v); }) < 1.95);
    }
  }
}

BOOST_AUTO_TEST_CASE(placed_generators_come_back) {
  Generator one(1, 2), two(1, 3);
  uniform(one, {8});
  const Generator before = one;
  Generator* const both[] = {&one, &two};
  try {
    const Placed placed(both, samples({4}), 6);
    BOOST_TEST((one.placed() && two.placed()));
    BOOST_TEST(one.offset() == 6u);
    BOOST_TEST(values(uniform(one, {1, 4})) != values(uniform(two, {1, 4})));
    {
      const Placed other(both, {}, 7);
      uniform(one, {3, 4});
    }
    BOOST_TEST(one.offset() == 6u);
    uniform(one, {1, 4});
    throw Error("on purpose");
  } catch (const Error& error) {
    BOOST_TEST(std::string(error.what()) == "on purpose");
  }
  BOOST_TEST(!one.placed());
  Generator same = before;
  BOOST_TEST(values(uniform(one, {5})) == values(uniform(same, {5})));
}

BOOST_AUTO_TEST_CASE(draws_that_have_no_rows_are_refused) {
  const auto says = [](const char* words) {
    return [=](const Error& e) { return std::string(e.what()).find(words) != std::string::npos; };
  };
  Generator gen(1);
  gen.place(samples({3, 4}), 0);
  BOOST_CHECK_EXCEPTION(uniform(gen, {3, 2}), Error, says("3 rows, but"));
  BOOST_CHECK_EXCEPTION(uniform(gen, {}), Error, says("draws rows"));
  BOOST_CHECK_EXCEPTION(permutation(gen, 5), Error, says("placed"));
  BOOST_CHECK_EXCEPTION(gen.place(Tensor::zeros({2}), 0), Error, says("i32 (B)"));
  BOOST_CHECK_EXCEPTION(dequantize(gen, Tensor::zeros({3, 2}, DType::U8)), Error, says("3 rows"));
  gen.place({}, 0);
  BOOST_TEST(uniform(gen, {0, 3}).numel() == 0);
  for (int i = 1; i < 255; ++i) uniform(gen, {1, 1});
  BOOST_CHECK_EXCEPTION(uniform(gen, {1, 1}), Error, says("at most 255 draws"));
}

BOOST_AUTO_TEST_CASE(dequantize_is_levels_and_uniform_noise) {
  for (const Shape& shape :
       {Shape{1, 1}, Shape{3, 5}, Shape{70, 784}, Shape{2, 1023}, Shape{0, 4}}) {
    Generator levels_from(1), one(4, 2), two(4, 2);
    one.place({}, 6);
    two.place({}, 6);
    const Tensor levels = (uniform(levels_from, shape) * 256.0).to(DType::U8);
    // In f32 a sum may round up to the next level: then it is the float below that.
    const Tensor whole = levels.to(DType::F32), sum = whole + uniform(two, shape);
    const Tensor expected = where(less(sum, whole + 1), sum, (whole + 1) * (1 - 0x1p-24));
    BOOST_CHECK(dequantize(one, levels).to_vector<float>() == expected.to_vector<float>());
    if (shape[0] == 0) continue;
    const Tensor rows = samples({0, static_cast<std::int32_t>(shape[0] - 1), 0});
    for (const Tensor& of : {rows, samples({8, 1, 2})}) {
      one.place(of, 1);
      two.place(of, 1);
      const Tensor picked = dequantize(one, levels, rows);
      const Tensor again = index_select(levels, 0, rows);
      BOOST_CHECK(picked.to_vector<float>() == dequantize(two, again).to_vector<float>());
    }
    // Without a place the noise is new at every call.
    Generator bare(4, 2);
    const auto first = dequantize(bare, levels).to_vector<float>();
    BOOST_CHECK_EQUAL(bare.offset(), 1U);
    BOOST_CHECK(dequantize(bare, levels).to_vector<float>() != first);
  }
  Generator gen(1);
  BOOST_CHECK_THROW(dequantize(gen, Tensor::zeros({2, 2})), Error);
  const Tensor levels = Tensor::zeros({2, 2}, DType::U8);
  BOOST_CHECK_THROW(dequantize(gen, levels, Tensor::from<std::int32_t>({2}, {1})), Error);
}

// Against philox.h's words of blocks, by plain loops.
BOOST_AUTO_TEST_CASE(images_move_as_their_words_say) {
  struct Row {
    Shape shape;
    ImageMoves moves;
  };
  const Row table[] = {{{6, 1, 1, 1}, {.flip = true}},
                       {{9, 4, 3, 3}, {.flip = true}},
                       {{9, 3, 4, 1}, {.shift = 2}},
                       {{30, 5, 6, 2}, {.flip = true, .shift = 4}},
                       {{2, 3, 3, 1}, {}}};
  for (const auto& [shape, moves] : table) {
    const std::int64_t n = shape[0], h = shape[1], w = shape[2], c = shape[3], s = moves.shift;
    const Tensor images = Tensor::arange(shape.numel(), DType::I32).reshape(shape);
    const std::vector<std::int32_t> in = images.to_vector<std::int32_t>();
    const std::vector<std::int32_t> rows = {0, static_cast<std::int32_t>(n - 1), 1},
                                    of = {70, 3, 11};
    Generator gen(4, 2);
    gen.place(samples(of), 5);
    uniform(gen, {3, 1});  // the next draw is number 1
    const Tensor moved = move_images(gen, images, samples(rows), moves);
    BOOST_CHECK_EQUAL(moved.shape(), Shape({3, h, w, c}));
    const std::vector<std::int32_t> out = moved.to_vector<std::int32_t>();
    std::size_t at = 0;
    for (std::size_t i = 0; i < 3; ++i) {
      const auto words = philox(4, std::uint64_t(of[i]) << 32 | 1 << 24, round_stream(2, 5));
      const bool flip = moves.flip && words[0] >= std::uint32_t{1} << 31;
      const auto shift = [&](std::uint32_t word) {
        return static_cast<std::int64_t>(word * 0x1p-32 * static_cast<double>(2 * s + 1)) - s;
      };
      const std::int64_t down = shift(words[1]), right = shift(words[2]);
      for (std::int64_t y = 0; y < h; ++y) {
        for (std::int64_t x = 0; x < w; ++x) {
          const std::int64_t from_y = std::clamp<std::int64_t>(y - down, 0, h - 1);
          std::int64_t from_x = std::clamp<std::int64_t>(x - right, 0, w - 1);
          if (flip) from_x = w - 1 - from_x;
          for (std::int64_t k = 0; k < c; ++k, ++at) {
            const std::int64_t pixel = ((rows[i] * h + from_y) * w + from_x) * c + k;
            BOOST_REQUIRE_EQUAL(out[at], in[static_cast<std::size_t>(pixel)]);
          }
        }
      }
    }
    // Flipped twice an image is what it was.
    Generator one(3, 1), two(3, 1);
    const ImageMoves flips = {.flip = moves.flip};
    BOOST_CHECK(move_images(two, move_images(one, images, {}, flips), {}, flips)
                    .to_vector<std::int32_t>() == in);
  }
}

BOOST_AUTO_TEST_CASE(images_that_cannot_be_moved_are_refused) {
  Generator gen(1);
  const Tensor images = Tensor::zeros({2, 3, 4, 1}, DType::U8);
  const auto says = [](const char* words) {
    return [=](const Error& e) { return std::string(e.what()).find(words) != std::string::npos; };
  };
  BOOST_CHECK_EXCEPTION(move_images(gen, images, {}, {.shift = 3}), Error, says("4 x 3"));
  BOOST_CHECK_EXCEPTION(move_images(gen, images, {}, {.shift = -1}), Error, says("by -1"));
  BOOST_CHECK_EXCEPTION(move_images(gen, images.reshape({2, 12}), {}, {}), Error,
                        says("(N, H, W, C)"));
  BOOST_CHECK_THROW(move_images(gen, images, samples({2}), {}), Error);
  gen.place(samples({3, 4, 5}), 0);
  BOOST_CHECK_EXCEPTION(move_images(gen, images, {}, {}), Error, says("2 rows"));
  BOOST_CHECK_EQUAL(move_images(gen, images, samples({0, 1, 1}), {}).dim(0), 3);
}

BOOST_AUTO_TEST_SUITE_END()
