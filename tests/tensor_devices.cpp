// Every operation of a backend on every device against the same operation on the CPU, whose own
// tests are elsewhere. Values, layouts and sizes are chosen for the ways in which kernels go wrong:
// packs and remainders, misaligned views, grids that loop, rows in several parts.
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>
#include <vector>

#include "tests/devices.h"

BOOST_AUTO_TEST_SUITE(tensor_devices)

using namespace nf;
using namespace nf::test;

namespace {

const Shape kShapes[] = {
    {1}, {3}, {64}, {1021}, {7, 5}, {64, 64}, {3, 1, 4, 2}, {2, 3, 2, 2, 3, 5}, {131, 67}};

}  // namespace

BOOST_AUTO_TEST_CASE(bytes_travel_both_ways) {
  for (const Device device : other_devices()) {
    for (const std::int64_t n : {1, 1000, 1 << 20, (5 << 20) + 3}) {  // several pinned buffers
      const Tensor here = indices({n}, 1 << 30);
      BOOST_CHECK(here.to(device).to_vector<std::int32_t>() == here.to_vector<std::int32_t>());
    }
    for (const View& view : kViews) {
      const Tensor here = draw({5, 7}, DType::F32);
      Tensor there = view.make(Tensor::zeros({5, 7}, DType::F32, device));
      CHECK_SAME(there.copy_(view.make(here)), here, 0, view.name);
      CHECK_SAME(here.zeros_like().copy_(view.make(there)), here, 0, view.name);
    }
  }
}

BOOST_AUTO_TEST_CASE(copies_convert) {
  for (const Device device : other_devices()) {
    for (const DType from : kDTypes) {
      for (const DType to : kDTypes) {
        for (const Shape& shape : kShapes) {
          const Tensor here = numbers(shape, from), there = here.to(device);
          for (const View& view : kViews) {
            const Tensor source = view.make(there);
            CHECK_SAME(source.to(to), here.to(to), 0, view.name, " to ", name(to));
            Tensor target = view.make(Tensor::zeros(shape, to, device));
            CHECK_SAME(target.copy_(there), here.to(to), 0, name(from), " into ", view.name);
          }
        }
      }
    }
    const Tensor column = numbers({4, 1}, DType::F32);
    CHECK_SAME(column.to(device).broadcast_to({4, 9}).clone(), column.broadcast_to({4, 9}).clone(),
               0, "broadcast");
  }
}

BOOST_AUTO_TEST_CASE(fill_and_accumulate) {
  for (const Device device : other_devices()) {
    for (const DType dtype : kDTypes) {
      for (const double value : {0.0, 3.0}) {
        for (const View& view : kViews) {
          Tensor t = view.make(Tensor::full({6, 9}, 1, dtype, device));
          CHECK_SAME(t.fill_(value), Tensor::full({6, 9}, value, dtype), 0, view.name);
        }
      }
    }
    Tensor minus_zero = Tensor::full({5}, -0.0, DType::F32, device);
    for (const double x : values(minus_zero)) BOOST_TEST(std::signbit(x));
    for (const DType dtype : kFloats) {
      const Tensor a = draw({37, 21}, dtype), b = draw({21}, dtype, 2);
      for (const View& view : kViews) {
        Tensor there = view.make(a.to(device));
        CHECK_SAME(there.add_(b.to(device)), a + b, 0, view.name);
      }
      CHECK_SAME(a.to(device).clone().mul_(-2.5), a * -2.5, 0, "mul_");
    }
  }
}

BOOST_AUTO_TEST_CASE(elementwise_over_layouts) {
  // The formulas are the op table's; here it is the walk over the elements.
  for (const Device device : other_devices()) {
    for (const DType dtype : kFloats) {
      const double tolerance = dtype == DType::F32 ? 1e-6 : 1e-14;
      for (const Shape& shape : kShapes) {
        const Tensor a = draw(shape, dtype, 1), b = draw(shape, dtype, 2);
        for (const View& view : kViews) {
          const Tensor x = view.make(a.to(device)), y = b.to(device);
          CHECK_SAME(exp(x), exp(a), tolerance, "exp of ", view.name);
          CHECK_SAME(mul(x, y), mul(a, b), 0, "mul of ", view.name);
          CHECK_SAME(mul(y, x), mul(a, b), 0, "mul with ", view.name);
          CHECK_SAME(less(x, y), less(a, b), 0, "less of ", view.name);
          CHECK_SAME(where(less(x, y), x, y), where(less(a, b), a, b), 0, "where of ", view.name);
          const auto [dx, dy] = binary_backward(BinaryOp::Mul, y, x, y, true, true);
          const auto [da, db] = binary_backward(BinaryOp::Mul, b, a, b, true, true);
          CHECK_SAME(dx, da, tolerance, "gradient of mul of ", view.name);
          CHECK_SAME(dy, db, tolerance, "gradient of mul with ", view.name);
        }
      }
    }
    for (const DType dtype : {DType::U8, DType::I32}) {
      const Tensor a = numbers({33, 3}, dtype), b = numbers({3}, dtype, 4);
      CHECK_SAME(equal(a.to(device), b.to(device)), equal(a, b), 0, "equal of ", name(dtype));
      CHECK_SAME(where(less(a.to(device), b.to(device)), a.to(device), b.to(device)),
                 where(less(a, b), a, b), 0, "where of ", name(dtype));
    }
  }
}

BOOST_AUTO_TEST_CASE(special_values_go_through_every_function) {
  const double inf = std::numeric_limits<double>::infinity();
  const std::vector<double> points = {0.0, -0.0, 1,   -1,   1e-30,        -1e-30, 87,
                                      -87, 300,  inf, -inf, std::nan(""), 0.5,    -1e30};
  for (const Device device : other_devices()) {
    for (const DType dtype : kFloats) {
      const Tensor here =
          Tensor::from(points, {static_cast<std::int64_t>(points.size())}).to(dtype);
      const Tensor there = here.to(device);
      const double tolerance = dtype == DType::F32 ? 2e-6 : 1e-14;
#define NF_SPECIAL(Struct, function, ...)                                                     \
  CHECK_SAME(unary(UnaryOp::Struct, there, {0.1, 2}), unary(UnaryOp::Struct, here, {0.1, 2}), \
             tolerance, #function, " ", name(dtype));
      NF_UNARY_OPS(NF_SPECIAL)
#undef NF_SPECIAL
    }
  }
}

// What nobody else holds may give its memory to the result, which is the same to the last bit.
BOOST_AUTO_TEST_CASE(results_in_the_memory_of_their_inputs) {
  std::vector<Device> devices = other_devices();
  devices.push_back(Device::CPU);
  for (const Device device : devices) {
    for (const DType dtype : kFloats) {
      const Tensor x = draw({37, 41}, dtype, 1).to(device), y = draw({37, 41}, dtype, 2).to(device);
      for (const View& view : kViews) {
        CHECK_SAME(exp(view.make(x.clone())), exp(x), 0, "exp of ", view.name);
      }
      const OpArgs k = {0.1, 2};
#define NF_SAME(Struct, function, ...)                                                          \
  CHECK_SAME(unary(UnaryOp::Struct, x.clone(), k), unary(UnaryOp::Struct, x, k), 0, #function); \
  CHECK_SAME(unary_backward(UnaryOp::Struct, k, y.clone(), x),                                  \
             unary_backward(UnaryOp::Struct, k, y, x), 0, "gradient of ", #function);
      NF_UNARY_OPS(NF_SAME)
#undef NF_SAME
#define NF_SAME(Struct, function)                                                              \
  CHECK_SAME(function(x.clone(), y), function(x, y), 0, #function);                            \
  CHECK_SAME(function(x, y.clone()), function(x, y), 0, #function, " with");                   \
  CHECK_SAME(function(x.clone(), y.clone()), function(x, y), 0, #function, " of both");        \
  for (const auto& [want_a, want_b] : {std::pair{true, true}, {true, false}, {false, true}}) { \
    const auto there = binary_backward(BinaryOp::Struct, x.clone(), x, y, want_a, want_b);     \
    const auto here = binary_backward(BinaryOp::Struct, x, x, y, want_a, want_b);              \
    CHECK_SAME(there.first, here.first, 0, "gradient of ", #function);                         \
    CHECK_SAME(there.second, here.second, 0, "gradient of ", #function, " with");              \
  }
      NF_BINARY_OPS(NF_SAME)
#undef NF_SAME
    }
  }
}

BOOST_AUTO_TEST_CASE(reductions) {
#define NF_ONE(Struct, function) ReduceOp::Struct,
  constexpr ReduceOp kOps[] = {NF_REDUCTIONS(NF_ONE)};
#undef NF_ONE
  struct Case {
    Shape shape;
    Axes axes;
  };
  const Case cases[] = {{{1}, {0}},        {{7}, {0}},        {{50001}, {0}},
                        {{3, 9001}, {1}},  {{1501, 40}, {0}}, {{300, 2}, {1}},
                        {{2, 300}, {0}},   {{40, 33}, {0}},   {{40, 32}, {1}},
                        {{6, 5, 70}, {1}}, {{6, 70, 5}, {1}}, {{4, 3, 2, 5, 6, 2}, {1, 4}},
                        {{400, 1}, {1}},   {{64, 1000}, {0}}, {{3, 2, 33}, {0, 1}}};
  for (const Device device : other_devices()) {
    for (const DType dtype : kFloats) {
      const double tolerance = dtype == DType::F32 ? 1e-6 : 1e-12;
      for (const Case& c : cases) {
        const Tensor here = draw(c.shape, dtype);
        for (const ReduceOp op : kOps) {
          if (op == ReduceOp::ArgMax && c.axes.size() != 1) continue;
          CHECK_SAME(reduce(op, here.to(device), c.axes), reduce(op, here, c.axes), tolerance,
                     name_of(op), " of ", c.shape);
        }
        for (const View& view : kViews) {  // the walk is the same for all operations
          const Tensor there = view.make(here.to(device)), once = sum(there, c.axes);
          CHECK_SAME(once, sum(here, c.axes), tolerance, "sum of ", c.shape, " ", view.name);
          CHECK_SAME(sum(there, c.axes), once, 0, "sum of ", c.shape, " again");
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(reductions_of_special_values) {
  const float inf = std::numeric_limits<float>::infinity(), nan = std::nanf("");
  std::vector<float> ties(600, 1.0F);
  ties[513] = ties[70] = 2;
  std::vector<float> nans = ties;
  nans[300] = nans[515] = nan;
  const std::vector<std::vector<float>> rows = {
      {-inf, -inf, -inf}, {inf, 1, -inf}, {nan, inf, 1}, {800, 800}, {-0.0F}, ties, nans};
  for (const Device device : other_devices()) {
    for (const auto& row : rows) {
      const Tensor here = Tensor::from(row, {static_cast<std::int64_t>(row.size())});
      for (const ReduceOp op :
           {ReduceOp::Sum, ReduceOp::Max, ReduceOp::Min, ReduceOp::LogSumExp, ReduceOp::ArgMax}) {
        CHECK_SAME(reduce(op, here.to(device), {0}), reduce(op, here, {0}), 1e-6, name_of(op),
                   " of a row that begins with ", row[0]);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(indexing) {
  struct Case {
    Shape shape;
    int axis;
    std::int64_t count;
  };
  const Case cases[] = {{{9}, 0, 20},       {{5, 7}, 0, 3},          {{5, 7}, 1, 11},
                        {{3, 4, 5}, 1, 6},  {{2, 3, 4, 2, 3}, 2, 5}, {{700, 9}, 0, 1500},
                        {{40, 784}, 1, 392}};
  for (const Device device : other_devices()) {
    for (const Case& c : cases) {
      const Tensor index = indices({c.count}, c.shape[c.axis]);
      Shape taken = c.shape;
      taken[c.axis] = c.count;
      const Tensor each = indices(taken, c.shape[c.axis]);
      for (const View& view : kViews) {
        for (const DType dtype : kDTypes) {
          const Tensor here = numbers(c.shape, dtype), there = view.make(here.to(device));
          CHECK_SAME(index_select(there, c.axis, index.to(device)),
                     index_select(here, c.axis, index), 0, "index_select of ", view.name);
          CHECK_SAME(gather(there, c.axis, each.to(device)), gather(here, c.axis, each), 0,
                     "gather of ", view.name);
        }
        for (const DType dtype : kFloats) {  // whole numbers: sums are exact in any order
          const Tensor base = numbers(c.shape, dtype), more = numbers(taken, dtype, 5);
          const Tensor there = view.make(more.to(device));
          CHECK_SAME(index_add(base.to(device), c.axis, index.to(device), there),
                     index_add(base, c.axis, index, more), 0, "index_add of ", view.name);
          CHECK_SAME(scatter_add(base.to(device), c.axis, each.to(device), there),
                     scatter_add(base, c.axis, each, more), 0, "scatter_add of ", view.name);
          const Tensor at = base * 0.013 - 0.4;
          CHECK_SAME(clamped_indices(view.make(at.to(device)), 2), clamped_indices(at, 2), 0,
                     "clamped_indices of ", view.name);
        }
      }
    }
    const Tensor x = Tensor::zeros({4}, DType::F32, device);
    for (const std::int32_t wrong : {-1, 4}) {
      std::vector<std::int32_t> at(1000, 2);
      at[777] = wrong;
      BOOST_CHECK_THROW(index_select(x, 0, Tensor::from(at, {1000}).to(device)), Error);
    }
  }
}

BOOST_AUTO_TEST_CASE(random_numbers_are_the_cpus) {
  for (const Device device : other_devices()) {
    for (const DType dtype : kFloats) {
      for (const std::int64_t n : {1, 2, 3, 4, 5, 1023, 40001}) {
        for (const auto kind :
             {Distribution::Uniform, Distribution::Normal, Distribution::Logistic}) {
          Generator one(7, 3), two(7, 3);
          one.set_offset((std::uint64_t{1} << 33) + 5);
          two.set_offset(one.offset());
          const double tolerance = kind == Distribution::Uniform ? 0
                                   : dtype == DType::F32         ? 1e-6
                                                                 : 1e-14;
          CHECK_SAME(random(kind, one, {n}, dtype, device), random(kind, two, {n}, dtype),
                     tolerance, n, " draws");
          BOOST_TEST(one.offset() == two.offset());
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(rows_of_samples_are_the_cpus) {
  for (const Device device : other_devices()) {
    for (const DType dtype : kFloats) {
      for (const Shape& shape : {Shape{1, 1}, Shape{7, 5}, Shape{40, 28, 28}, Shape{3, 1023}}) {
        for (const auto kind :
             {Distribution::Uniform, Distribution::Normal, Distribution::Logistic}) {
          const Tensor samples = indices({shape[0]}, 1000);
          Generator one(7, 3), two(7, 3);
          const double tolerance = kind == Distribution::Uniform ? 0
                                   : dtype == DType::F32         ? 1e-6
                                                                 : 1e-14;
          for (const bool named : {true, false}) {
            one.place(named ? samples.to(device) : Tensor(), 9);
            two.place(named ? samples : Tensor(), 9);
            for (int draw = 0; draw < 2; ++draw) {
              CHECK_SAME(random(kind, one, shape, dtype, device), random(kind, two, shape, dtype),
                         tolerance, shape);
            }
          }
        }
      }
    }
    Generator gen(1);
    gen.place(indices({4}, 9), 0);
    BOOST_CHECK_THROW(uniform(gen, {4, 2}, DType::F32, device), Error);
  }
}

BOOST_AUTO_TEST_CASE(images_move_as_on_the_cpu) {
  for (const Device device : other_devices()) {
    for (const Shape& shape : {Shape{1, 1, 1, 1}, Shape{7, 3, 5, 2}, Shape{40, 28, 28, 1}}) {
      const ImageMoves most = {.flip = true, .shift = std::min(shape[1], shape[2]) - 1};
      for (const DType dtype : kDTypes) {
        const Tensor images = numbers(shape, dtype), rows = indices({11}, shape[0]);
        Generator one(7, 3), two(7, 3);
        CHECK_SAME(move_images(one, images.to(device), {}, most),
                   move_images(two, images, {}, most), 0, shape);
        BOOST_TEST(one.offset() == two.offset());
        const Tensor samples = indices({11}, 300);
        one.place(samples.to(device), 4);
        two.place(samples, 4);
        for (const ImageMoves& moves : {most, ImageMoves{.flip = true}, ImageMoves{}}) {
          CHECK_SAME(move_images(one, images.to(device), rows.to(device), moves),
                     move_images(two, images, rows, moves), 0, "rows of ", shape);
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(levels_get_the_cpus_noise) {
  for (const Device device : other_devices()) {
    for (const Shape& shape : {Shape{1, 1}, Shape{7, 5}, Shape{40, 784}, Shape{3, 1023}}) {
      const Tensor levels = numbers(shape, DType::U8), rows = indices({11}, shape[0]);
      Generator one(7, 3), two(7, 3);
      CHECK_SAME(dequantize(one, levels.to(device)), dequantize(two, levels), 0, shape);
      CHECK_SAME(dequantize(one, levels.to(device), rows.to(device)), dequantize(two, levels, rows),
                 0, "rows of ", shape);
      BOOST_TEST(one.offset() == two.offset());
      const Tensor samples = indices({11}, 300);
      one.place(samples.to(device), 4);
      two.place(samples, 4);
      CHECK_SAME(dequantize(one, levels.to(device), rows.to(device)), dequantize(two, levels, rows),
                 0, "samples of ", shape);
    }
    const Tensor levels = numbers({4, 3}, DType::U8).to(device);
    Generator gen(1);
    BOOST_CHECK_THROW(dequantize(gen, levels, indices({5}, 9).to(device)), Error);
  }
}

BOOST_AUTO_TEST_CASE(mixtures_over_layouts) {
  struct Case {
    Shape x;
    int components, others;
  };
  for (const Device device : other_devices()) {
    for (const Case& c : {Case{{1, 1}, 1, 0}, Case{{7, 3}, 3, 2}, Case{{131, 67}, 2, 1},
                          Case{{2, 3, 5, 4}, 4, 2}, Case{{3, 2}, 256, 0}}) {
      for (const DType dtype : kFloats) {
        Shape wide = c.x;
        wide[wide.rank() - 1] *= 3 * c.components + c.others;
        const Tensor x = draw(c.x, dtype, 1), p = draw(wide, dtype, 2);
        const LogOdds<Tensor> dout = {draw(c.x, dtype, 3), draw(c.x, dtype, 4)};
        const auto here = mixture_log_odds(x, p, c.components, 7);
        const auto [dx, dp] = mixture_log_odds_backward(dout, x, p, c.components, 7);
        const double tolerance = dtype == DType::F32 ? 1e-5 : 1e-12;
        for (const View& view : kViews) {
          const auto over = [&](const Tensor& t) { return view.make(t.to(device)); };
          const auto there = mixture_log_odds(over(x), over(p), c.components, 7);
          CHECK_SAME(there.value, here.value, tolerance, "value of ", c.x, " ", view.name);
          CHECK_SAME(there.log_slope, here.log_slope, tolerance, "slope of ", c.x, " ", view.name);
          const auto [da, db] = mixture_log_odds_backward({over(dout.value), over(dout.log_slope)},
                                                          over(x), over(p), c.components, 7);
          CHECK_SAME(da, dx, tolerance, "dx of ", c.x, " ", view.name);
          CHECK_SAME(db, dp, tolerance, "dparameters of ", c.x, " ", view.name);
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(splines_over_layouts) {
  struct Case {
    Shape x;
    int bins;
  };
  for (const Device device : other_devices()) {
    for (const Case& c : {Case{{1, 1}, 2}, Case{{7, 3}, 3}, Case{{131, 67}, 2},
                          Case{{2, 3, 5, 4}, 8}, Case{{3, 2}, 256}}) {
      for (const DType dtype : kFloats) {
        Shape wide = c.x;
        wide[wide.rank() - 1] *= 3 * c.bins - 1;
        const Tensor x = draw(c.x, dtype, 1), p = draw(wide, dtype, 2);
        const Sloped<Tensor> dout = {draw(c.x, dtype, 3), draw(c.x, dtype, 4)};
        const double tolerance = dtype == DType::F32 ? 2e-4 : 1e-10;
        for (const bool inverse : {false, true}) {
          const SplineArgs args = {c.bins, 2, inverse};
          const auto here = rational_quadratic_spline(x, p, args);
          const auto [dx, dp] = rational_quadratic_spline_backward(dout, x, p, args);
          for (const View& view : kViews) {
            const auto over = [&](const Tensor& t) { return view.make(t.to(device)); };
            const std::string what = str(c.x, " ", view.name, inverse ? ", inverse" : "");
            const auto there = rational_quadratic_spline(over(x), over(p), args);
            CHECK_SAME(there.value, here.value, tolerance, "value of ", what);
            CHECK_SAME(there.log_slope, here.log_slope, tolerance, "slope of ", what);
            const auto [da, db] = rational_quadratic_spline_backward(
                {over(dout.value), over(dout.log_slope)}, over(x), over(p), args);
            CHECK_SAME(da, dx, tolerance, "dx of ", what);
            CHECK_SAME(db, dp, tolerance, "dparameters of ", what);
          }
        }
      }
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()
