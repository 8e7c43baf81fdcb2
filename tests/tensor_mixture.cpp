// The map by a mixture of logistics as one function, against the same formula composed of the
// functions of tensors: where the op table's random numbers do not come.
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>
#include <vector>

#include "autograd/functions.h"
#include "tests/devices.h"

BOOST_AUTO_TEST_SUITE(tensor_mixture)

using namespace nf;
using namespace nf::test;

namespace {

constexpr double kLimit = 7;
constexpr double kFixed = 1.0 / 128;  // the weight of the component that is not learned

// x (N, A), parameters (N, 3K A).
LogOdds<Var> composed(const Var& x, const Var& parameters, std::int64_t components) {
  const std::int64_t n = x.dim(0), dims = x.dim(1);
  const auto some = [&](std::int64_t part) {
    return reshape(narrow(parameters, 1, part * components * dims, components * dims),
                   {n, components, dims});
  };
  const Var log_weights = some(0) - logsumexp(some(0), {1}, true) + std::log1p(-kFixed);
  const Var log_scales = tanh(some(2) / kLimit) * kLimit;
  const Var u = (reshape(x, {n, 1, dims}) - some(1)) * exp(-log_scales);
  const Var below = log_sigmoid(u), above = log_sigmoid(-u);
  const auto with_fixed = [&](const Var& logs, const Var& fixed) {
    return logsumexp(concat({logs, reshape(fixed + std::log(kFixed), {n, 1, dims})}, 1), {1});
  };
  const Var log_f = with_fixed(log_weights + below, log_sigmoid(x));
  const Var log_rest = with_fixed(log_weights + above, log_sigmoid(-x));
  const Var log_pdf =
      with_fixed(log_weights + below + above - log_scales, log_sigmoid(x) + log_sigmoid(-x));
  return {log_f - log_rest, log_pdf - log_f - log_rest};
}

struct Result {
  LogOdds<Tensor> odds;
  Tensor dx, dparameters;  // of sum(weights[0] value + weights[1] log_slope)
};

template <class F>
Result run(const Tensor& x, const Tensor& parameters, const F& f) {
  const Var leaf = Var::leaf(x), table = Var::leaf(parameters);
  Tape tape;
  const LogOdds<Var> out = f(leaf, table);
  tape.backward(sum(out.value * 0.7 - out.log_slope * 1.3));
  return {{out.value.value(), out.log_slope.value()}, leaf.grad(), table.grad()};
}

/// Parameters of one number: K logits, K means, K raw log scales.
struct Case {
  const char* what;
  std::vector<double> logits, means, raws;
};

const double kInf = std::numeric_limits<double>::infinity();

const std::vector<Case>& cases() {
  static const std::vector<Case> all = {
      {"one component", {0.3}, {-0.5}, {0.4}},
      {"one narrow component", {2}, {0.1}, {-1e3}},
      {"one wide component", {-2}, {0.1}, {1e3}},
      {"three", {0.5, -1, 0.2}, {-2, 0.3, 4}, {0.5, -1, 1.5}},
      {"narrow and wide", {0, 0.5, 0}, {-1, 0, 1}, {-1e3, 1e3, 0}},
      {"far apart", {0, 1}, {-1e4, 1e4}, {0, 0}},
      {"all but one without weight", {-20, 4, -30, -kInf}, {0, 1, 2, 3}, {0, 0.5, -0.5, 0}},
      {"equal ones", {1, 1, 1, 1}, {2, 2, 2, 2}, {0.1, 0.1, 0.1, 0.1}},
  };
  return all;
}

/// One row for each x.
std::pair<Tensor, Tensor> rows(const Case& c, const std::vector<double>& x) {
  std::vector<double> one = c.logits;
  one.insert(one.end(), c.means.begin(), c.means.end());
  one.insert(one.end(), c.raws.begin(), c.raws.end());
  const auto n = static_cast<std::int64_t>(x.size());
  const auto width = static_cast<std::int64_t>(one.size());
  return {Tensor::from(x, {n, 1}),
          Tensor::from(one, {1, width}).broadcast_to({n, width}).contiguous()};
}

}  // namespace

BOOST_AUTO_TEST_CASE(is_the_composed_formula) {
  const std::vector<double> near = {0, -0.0, 1e-3, -0.4, 1, 3, -7, 20, -50, 120};
  const std::vector<double> far = {1e3, -1e3, 1e30, -1e30};
  for (const Case& c : cases()) {
    const auto k = static_cast<std::int64_t>(c.logits.size());
    const auto fused = [&](const Var& x, const Var& p) {
      return mixture_log_odds(x, p, static_cast<int>(k), kLimit);
    };
    for (const bool all : {false, true}) {
      for (const double one : all ? far : near) {
        const auto [x, p] = rows(c, {one});
        const Result exact =
            run(x, p, [&](const Var& a, const Var& b) { return composed(a, b, k); });
        // What the result is a difference of.
        const double size =
            1 + std::abs(exact.odds.value.item()) + std::abs(exact.odds.log_slope.item());
        for (const DType dtype : kFloats) {
          const bool f32 = dtype == DType::F32;
          const double digits = f32 ? 1e-6 : 4e-15;
          const Result here = run(x.to(dtype), p.to(dtype), fused);
          const std::string where = str(c.what, " at ", one, ", ", name(dtype), ": ");
          CHECK_SAME(here.odds.value, exact.odds.value, digits * 4, where, "value");
          CHECK_SAME(here.odds.log_slope, exact.odds.log_slope, digits * size, where, "log_slope");
          if (digits * size > 1e-2) continue;  // no digits of a slope are left
          CHECK_SAME(here.dx, exact.dx, 10 * digits * size, where, "dx");
          CHECK_SAME(here.dparameters, exact.dparameters, 10 * digits * size, where, "dparameters");
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(of_what_is_not_finite) {
  const double nan = std::nan("");
  for (const DType dtype : kFloats) {
    const auto [x, p] = rows(cases()[3], {kInf, -kInf, nan, 1});
    const Result r = run(x.to(dtype), p.to(dtype), [](const Var& a, const Var& b) {
      return mixture_log_odds(a, b, 3, kLimit);
    });
    const std::vector<double> value = values(r.odds.value), slope = values(r.odds.log_slope);
    BOOST_CHECK_EQUAL(value[0], kInf);
    BOOST_CHECK_EQUAL(value[1], -kInf);
    BOOST_CHECK(std::isnan(value[2]) && std::isfinite(value[3]) && std::isfinite(slope[3]));
    BOOST_CHECK(std::isnan(slope[0]) && std::isnan(slope[1]) && std::isnan(slope[2]));
    BOOST_CHECK(std::isnan(values(r.dx)[2]) && std::isfinite(values(r.dx)[3]));
    // A parameter that is NaN spoils its number alone.
    for (int j = 0; j < 9; ++j) {
      Tensor spoilt = rows(cases()[3], {0.5, 0.5, 0.5}).second.to(dtype);
      spoilt.narrow(0, 1, 1).narrow(1, j, 1).fill_(nan);
      const auto [odds, log_slope] =
          mixture_log_odds(Tensor::full({3, 1}, 0.5, dtype), spoilt, 3, kLimit);
      for (const Tensor& t : {odds, log_slope}) {
        const std::vector<double> v = values(t);
        BOOST_CHECK_MESSAGE(std::isfinite(v[0]) && std::isnan(v[1]) && v[2] == v[0],
                            "parameter " << j << ": " << v[0] << " " << v[1] << " " << v[2]);
      }
    }
  }
}

// F >= eps sigma(x) and 1 - F >= eps sigma(-x): no parameters send a number further out than
// |x| + ln(2 / eps), and far from all means nothing is stretched.
BOOST_AUTO_TEST_CASE(tails_are_never_steep) {
  constexpr std::int64_t kRows = 400, kComponents = 3;
  const std::vector<double> distances = {0, 0.3, 2, 10, 60, 400, 1e4};
  for (const DType dtype : kFloats) {
    const double digits = dtype == DType::F32 ? 1e-6 : 1e-14;
    for (const double spread : {1.0, 4.0, 30.0}) {
      const Tensor p = draw({kRows, 3 * kComponents}, DType::F64, 3) * spread;
      for (const double distance : distances) {
        for (const double sign : {-1.0, 1.0}) {
          const Tensor x = Tensor::full({kRows, 1}, sign * distance, dtype);
          const auto [value, slope] = mixture_log_odds(x, p.to(dtype), kComponents, kLimit);
          const double bound = distance + std::log(2 / kFixed) + digits * (1 + distance);
          BOOST_CHECK_MESSAGE(max(abs(value)).item() <= bound,
                              name(dtype) << " " << spread << " at " << x.narrow(0, 0, 1).item()
                                          << ": " << max(abs(value)).item());
          if (distance < 1e4) continue;
          // A component that is narrower by little, and moved by a mean, is steeper by little.
          const double excess = (max(abs(p)).item() + std::log(1 / kFixed)) / distance;
          BOOST_CHECK_MESSAGE(max(slope).item() <= 2 * excess + 4 * digits * distance,
                              name(dtype) << " " << spread << ": " << max(slope).item());
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(many_components_and_any_place) {
  for (const DType dtype : kFloats) {
    const Tensor x = draw({5, 27}, dtype, 1), p = draw({5, 27 * 3 * 256}, dtype, 2);
    const auto fused = [](const Var& a, const Var& b) {
      return mixture_log_odds(a, b, 256, kLimit);
    };
    const Result all = run(x, p, fused);
    const Result exact = run(x.to(DType::F64), p.to(DType::F64),
                             [](const Var& a, const Var& b) { return composed(a, b, 256); });
    const double tolerance = dtype == DType::F32 ? 1e-5 : 1e-12;
    CHECK_SAME(all.odds.value, exact.odds.value, tolerance, "value");
    CHECK_SAME(all.odds.log_slope, exact.odds.log_slope, tolerance, "log_slope");
    CHECK_SAME(all.dx, exact.dx, tolerance, "dx");
    CHECK_SAME(all.dparameters, exact.dparameters, tolerance, "dparameters");
    // A row has the same bits in every batch.
    for (std::int64_t row = 0; row < 5; ++row) {
      const Result one = run(x.narrow(0, row, 1), p.narrow(0, row, 1), fused);
      CHECK_SAME(one.odds.value, all.odds.value.narrow(0, row, 1), 0, "value of row ", row);
      CHECK_SAME(one.odds.log_slope, all.odds.log_slope.narrow(0, row, 1), 0, "slope of ", row);
      CHECK_SAME(one.dx, all.dx.narrow(0, row, 1), 0, "dx of row ", row);
      CHECK_SAME(one.dparameters, all.dparameters.narrow(0, row, 1), 0, "dparameters of ", row);
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()
