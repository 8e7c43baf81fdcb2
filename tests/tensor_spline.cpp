// The rational-quadratic spline as one function, against the same formula composed of the functions
// of tensors: where the op table's random numbers do not come, and how near f32 is to f64.
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>
#include <vector>

#include "autograd/functions.h"
#include "tests/devices.h"

BOOST_AUTO_TEST_SUITE(tensor_spline)

using namespace nf;
using namespace nf::test;

namespace {

constexpr double kBound = 2;
constexpr double kLeast = 1e-3;

// x (N, 1), parameters (N, 3K - 1).
Sloped<Var> composed_spline(const Var& x, const Var& parameters, const SplineArgs& args) {
  const std::int64_t n = x.dim(0), k = args.bins;
  const auto cut = [&](std::int64_t first) {  // (N, K) begins and sizes
    const Var logits = narrow(parameters, 1, first, k);
    const Var share = exp(logits - logsumexp(logits, {1}, true));
    const Var sizes = (share * (1 - kLeast * static_cast<double>(k)) + kLeast) * (2 * args.bound);
    std::vector<Var> begins = {narrow(sizes, 1, 0, 1) * 0 - args.bound};
    for (std::int64_t i = 0; i + 1 < k; ++i) {
      begins.push_back(begins.back() + narrow(sizes, 1, i, 1));
    }
    return std::pair{concat(begins, 1), sizes};
  };
  const auto [lefts, widths] = cut(0);
  const auto [bottoms, heights] = cut(k);
  const Var inner =
      softplus(narrow(parameters, 1, 2 * k, k - 1) + std::log(std::expm1(1 - kLeast))) + kLeast;
  const Var end = Tensor::ones({n, 1}, x.dtype());
  const Tensor inside = less(abs(x.value()), Tensor::full({}, args.bound, x.dtype()));
  const Var at = clamp(x, -args.bound, args.bound);
  const Tensor reached =
      greater_equal(at.value(), (args.inverse ? bottoms : lefts).value()).to(x.dtype());
  const Tensor bin = clamped_indices(sum(reached, {1}, true) - 1.0, k);
  const auto pick = [&](const Var& of) { return gather(of, 1, bin); };
  const Var left = pick(lefts), w = pick(widths), bottom = pick(bottoms), h = pick(heights);
  const Var d = pick(concat({end, inner}, 1)), e = pick(concat({inner, end}, 1));
  const Var s = h / w, bend = d + e - s * 2, up = at - bottom;
  const Var qb = h * d - up * bend, qc = -(s * up);
  const Var root = clamp(square(qb) - (h * (s - d) + up * bend) * qc * 4, 1e-30, 1e30);
  const Var t = args.inverse ? qc * 2 / (-qb - sqrt(root)) : (at - left) / w, q = t * (1.0 - t);
  const Var below = s + bend * q;
  const Var value = args.inverse ? left + t * w : bottom + h * (s * square(t) + d * q) / below;
  const Var log_slope =
      log(square(s) * (e * square(t) + s * q * 2 + d * square(1.0 - t))) - log(below) * 2;
  const Tensor nothing = Tensor::zeros({}, x.dtype());
  return {where(inside, value, x), where(inside, args.inverse ? -log_slope : log_slope, nothing)};
}

struct Result {
  Sloped<Tensor> out;
  Tensor dx, dparameters;  // of sum(0.7 value - 1.3 log_slope)
};

template <class F>
Result run(const Tensor& x, const Tensor& parameters, const SplineArgs& args, const F& f) {
  const Var leaf = Var::leaf(x), table = Var::leaf(parameters);
  Tape tape;
  const Sloped<Var> out = f(leaf, table, args);
  tape.backward(sum(out.value * 0.7 - out.log_slope * 1.3));
  return {{out.value.value(), out.log_slope.value()}, leaf.grad(), table.grad()};
}

Result run(const Tensor& x, const Tensor& parameters, const SplineArgs& args) {
  return run(x, parameters, args, [](const Var& a, const Var& b, const SplineArgs& c) {
    return rational_quadratic_spline(a, b, c);
  });
}

/// One row for each x.
Tensor rows_of(const Tensor& one, std::int64_t n) {
  return one.broadcast_to({n, one.dim(1)}).contiguous();
}

}  // namespace

BOOST_AUTO_TEST_CASE(is_the_composed_formula) {
  constexpr std::int64_t kPoints = 801;
  const Tensor x = Tensor::arange(kPoints, DType::F64).reshape({kPoints, 1}) * 0.00601 - 2.4;
  for (const int bins : {2, 5, 17, 256}) {
    for (const double spread : {0.0, 1.0, 4.0}) {
      const Tensor p = rows_of(draw({1, 3 * bins - 1}, DType::F64, 3) * spread, kPoints);
      for (const bool inverse : {false, true}) {
        const SplineArgs args = {bins, kBound, inverse};
        const Result exact = run(x, p, args, composed_spline);
        const auto check = [&](DType dtype, double values, double grads) {
          const Result here = run(x.to(dtype), p.to(dtype), args);
          const std::string where = str(bins, " bins, spread ", spread,
                                        inverse ? ", inverse, " : ", ", name(dtype), ": ");
          CHECK_SAME(here.out.value, exact.out.value, values, where, "value");
          CHECK_SAME(here.out.log_slope, exact.out.log_slope, values, where, "log_slope");
          CHECK_SAME(here.dx, exact.dx, grads, where, "dx");
          CHECK_SAME(here.dparameters, exact.dparameters, grads, where, "dparameters");
        };
        check(DType::F64, 1e-9, 1e-8);
      }
    }
  }
}

// At the knots, next to them, at the ends of the interval and far outside: all are numbers, and
// those of f32 are near those of f64. Logits of +-60: bins of the least width, slopes near 0.
BOOST_AUTO_TEST_CASE(no_number_is_spoilt_at_knots_or_ends) {
  constexpr int kBins = 4;
  const double inf = std::numeric_limits<double>::infinity();
  std::vector<double> points = {-inf,   -1e30, -300, -kBound, std::nextafter(kBound, 0),
                                kBound, 1e30,  inf};
  for (int i = 1; i < kBins; ++i) {
    const double knot = -kBound + i * 2 * kBound / kBins;
    for (const double off : {-1e-6, 0.0, 1e-6}) points.push_back(knot + off);
  }
  const std::int64_t n = std::ssize(points);
  const Tensor x = Tensor::from(points, {n, 1});
  for (const double spread : {0.0, 1.0, 60.0, 1e4}) {
    const Tensor p = rows_of(draw({1, 3 * kBins - 1}, DType::F64, 3) * spread, n);
    for (const bool inverse : {false, true}) {
      const SplineArgs args = {kBins, kBound, inverse};
      for (const DType dtype : kFloats) {
        const Result r = run(x.to(dtype), p.to(dtype), args);
        BOOST_TEST_CONTEXT(name(dtype) << ", spread " << spread << (inverse ? ", inverse" : "")) {
          BOOST_CHECK(all_finite(r.out.log_slope) && all_finite(r.dx) && all_finite(r.dparameters));
          BOOST_CHECK(all_finite(r.out.value.narrow(0, 1, 6)));
          for (const std::int64_t i : {0, 1, 2, 3, 5, 6, 7}) {  // the identity
            BOOST_CHECK_EQUAL(r.out.value.narrow(0, i, 1).item(),
                              x.to(dtype).narrow(0, i, 1).item());
            BOOST_CHECK_EQUAL(r.out.log_slope.narrow(0, i, 1).item(), 0);
            BOOST_CHECK_SMALL(r.dx.narrow(0, i, 1).item() - 0.7, 1e-6);
            BOOST_CHECK_EQUAL(max(abs(r.dparameters.narrow(0, i, 1))).item(), 0);
          }
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(parameters_of_zero_are_the_identity) {
  const Tensor x = draw({500, 1}, DType::F64, 1) * 1.5;
  for (const int bins : {2, 5, 16}) {
    for (const bool inverse : {false, true}) {
      const Result r =
          run(x, Tensor::zeros({500, 3 * bins - 1}, DType::F64), {bins, kBound, inverse});
      BOOST_CHECK_SMALL(max(abs(r.out.value - x)).item(), 1e-12);
      BOOST_CHECK_SMALL(max(abs(r.out.log_slope)).item(), 1e-12);
    }
  }
}

// One width takes what there is, the three behind it are a thousandth of the interval each; heights
// are equal. So the second knot is at bound - 3 * 2 bound / 1000, a quarter of the way up.
BOOST_AUTO_TEST_CASE(the_narrowest_bin_is_a_thousandth) {
  Tensor p = Tensor::zeros({1, 11}, DType::F64);
  p.narrow(1, 0, 1).fill_(200);
  const double knot = kBound - 3 * 2 * kBound / 1000;
  const Result r = run(Tensor::full({1, 1}, knot, DType::F64), p, {4, kBound, false});
  BOOST_CHECK_SMALL(r.out.value.item() + kBound / 2, 1e-9);
}

BOOST_AUTO_TEST_CASE(single_precision_is_near_double) {
  constexpr std::int64_t kPoints = 2000;
  const Tensor x = draw({kPoints, 1}, DType::F64, 1);
  for (const int bins : {2, 8, 32}) {
    const double digits = 1e-4 * bins;  // places are known to 1e-7, of bins that become narrow
    const Tensor p = draw({kPoints, 3 * bins - 1}, DType::F64, 2);
    for (const bool inverse : {false, true}) {
      const SplineArgs args = {bins, kBound, inverse};
      const Result exact = run(x, p, args), here = run(x.to(DType::F32), p.to(DType::F32), args);
      const std::string where = str(bins, " bins", inverse ? ", inverse: " : ": ");
      // Back through a bin whose slope is near the least one, 1e-3, it is that much less well
      // known.
      CHECK_SAME(here.out.value, exact.out.value, inverse ? 1e-4 : 2e-5, where, "value");
      CHECK_SAME(here.out.log_slope, exact.out.log_slope, digits, where, "log_slope");
      CHECK_SAME(here.dx, exact.dx, 10 * digits, where, "dx");
      CHECK_SAME(here.dparameters, exact.dparameters, 10 * digits, where, "dparameters");
    }
  }
}

BOOST_AUTO_TEST_CASE(of_what_is_not_a_number) {
  const double nan = std::nan("");
  for (const DType dtype : kFloats) {
    for (const bool inverse : {false, true}) {
      const SplineArgs args = {3, kBound, inverse};
      const Tensor p = rows_of(draw({1, 8}, DType::F64, 3), 3).to(dtype);
      const Result r = run(Tensor::from<double>({nan, 0.3, 5}, {3, 1}).to(dtype), p, args);
      const std::vector<double> value = values(r.out.value);
      BOOST_CHECK(std::isnan(value[0]) && std::isfinite(value[1]) && value[2] == 5);
      // A parameter that is NaN spoils its number alone.
      for (int j = 0; j < 6; ++j) {
        Tensor spoilt = p.clone();
        spoilt.narrow(0, 1, 1).narrow(1, j, 1).fill_(nan);
        const auto [z, log_slope] =
            rational_quadratic_spline(Tensor::full({3, 1}, 0.3, dtype), spoilt, args);
        for (const Tensor& t : {z, log_slope}) {
          const std::vector<double> v = values(t);
          BOOST_CHECK_MESSAGE(std::isfinite(v[0]) && std::isnan(v[1]) && v[2] == v[0],
                              "parameter " << j << ": " << v[0] << " " << v[1] << " " << v[2]);
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(many_bins_and_any_place) {
  for (const DType dtype : kFloats) {
    const Tensor x = draw({5, 27}, dtype, 1), p = draw({5, 27 * (3 * 9 - 1)}, dtype, 2);
    for (const bool inverse : {false, true}) {
      const SplineArgs args = {9, kBound, inverse};
      const Result all = run(x, p, args);
      for (std::int64_t row = 0; row < 5; ++row) {  // a row has the same bits in every batch
        const Result one = run(x.narrow(0, row, 1), p.narrow(0, row, 1), args);
        CHECK_SAME(one.out.value, all.out.value.narrow(0, row, 1), 0, "value of row ", row);
        CHECK_SAME(one.out.log_slope, all.out.log_slope.narrow(0, row, 1), 0, "slope of ", row);
        CHECK_SAME(one.dx, all.dx.narrow(0, row, 1), 0, "dx of row ", row);
        CHECK_SAME(one.dparameters, all.dparameters.narrow(0, row, 1), 0, "dparameters of ", row);
      }
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()
