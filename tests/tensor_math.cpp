// The float functions of tensor/math.h against the double ones of the standard library: the largest
// error over a sweep of all bit patterns, the special values, and that an element's value does not
// depend on its place in a tensor.
#include "tensor/math.h"

#include <algorithm>
#include <bit>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "tensor/ops.h"

namespace {

using namespace nf;

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

bool same(float a, float b) {  // NaN equals NaN, -0 differs from 0
  return (std::isnan(a) && std::isnan(b)) || (a == b && std::signbit(a) == std::signbit(b));
}

/// Distance of value from exact in units of the last place of a float of exact's size.
double ulps(float value, double exact) {
  const float nearest = static_cast<float>(exact);
  if (same(value, nearest)) return 0;
  if (std::isnan(value) || std::isnan(exact) || std::isinf(value)) return 1e9;
  if (std::isinf(nearest)) exact = std::copysign(0x1p128, exact);
  const int exponent = exact == 0 ? -126 : std::max(std::ilogb(exact), -126);
  return std::abs(value - exact) / std::ldexp(1.0, exponent - 23);
}

struct Function {
  const char* name;
  float (*f)(float);
  double (*exact)(double);
  double bound;  ///< ulp, as math.h states it
};

#define NF_ROW(function, bound)                                                                   \
  {                                                                                               \
#function,                                                                                    \
        [](float x) { return math::function(x); }, [](double x) { return math::function(x); },    \
                                                                                            bound \
  }
// The double functions of math.h are those of the standard library, or formulas on top of them.
const Function kFunctions[] = {
    NF_ROW(exp, 1.1),      NF_ROW(expm1, 1.6),      NF_ROW(log, 0.9),        NF_ROW(log1p, 1.7),
    NF_ROW(sin, 1.6),      NF_ROW(cos, 1.6),        NF_ROW(tanh, 2.6),       NF_ROW(sigmoid, 2.5),
    NF_ROW(softplus, 2.5), NF_ROW(normal_cdf, 6.5), NF_ROW(normal_pdf, 2.7), NF_ROW(sqrt, 0.5),
    NF_ROW(asinh, 3.0),    NF_ROW(atan, 3.0),       NF_ROW(softsign, 1.5),
};
#undef NF_ROW

}  // namespace

BOOST_AUTO_TEST_SUITE(tensor_math)

BOOST_AUTO_TEST_CASE(errors_over_all_floats) {
  for (const Function& function : kFunctions) {
    double worst = 0;
    float where = 0;
    for (std::uint64_t b = 0; b < (std::uint64_t{1} << 32); b += 10007) {
      const float x = std::bit_cast<float>(static_cast<std::uint32_t>(b));
      const double error = ulps(function.f(x), function.exact(x));
      if (error > worst) worst = error, where = x;
    }
    BOOST_TEST(worst <= function.bound,
               function.name << "(" << where << ") is wrong by " << worst << " ulp");
  }
}

BOOST_AUTO_TEST_CASE(exp_of_nonpositive_numbers) {
  double worst = 0;
  for (float x = 0; x > -110; x -= 0.0173F) {
    worst = std::max(worst, ulps(math::exp_nonpositive(x), std::exp(static_cast<double>(x))));
  }
  BOOST_TEST(worst <= 1.5);
  BOOST_TEST(math::exp_nonpositive(-kInf) == 0.0F);
}

BOOST_AUTO_TEST_CASE(pow_values) {
  double worst = 0;
  for (float a = 0x1p-140F; a < 0x1p127F; a *= 1.37F) {
    const double range = 128 / std::max(std::abs(std::log2(static_cast<double>(a))), 1e-3);
    for (double part = -1.2; part < 1.2; part += 0.0271) {
      const float b = static_cast<float>(part * range);
      worst = std::max(worst, ulps(math::pow(a, b), std::pow(static_cast<double>(a), b)));
    }
  }
  BOOST_TEST(worst <= 0.6);

  const float special[] = {0.0F,   -0.0F,       1.0F,        -1.0F,     2.0F,  -2.0F,
                           3.0F,   -3.0F,       0.5F,        -0.5F,     kInf,  -kInf,
                           kNaN,   0x1p-149F,   -0x1p-149F,  1e38F,     -1e38, 1e-3F,
                           -1e-3F, 16777217.0F, -8388609.0F, 4194304.5F};
  for (const float a : special) {
    for (const float b : special) {
      BOOST_TEST(ulps(math::pow(a, b), std::pow(static_cast<double>(a), b)) <= 0.6,
                 "pow(" << a << ", " << b << ") is " << math::pow(a, b));
    }
  }
}

BOOST_AUTO_TEST_CASE(special_values) {
  struct Row {
    const char* what;
    float value, expected;
  };
  const Row rows[] = {
      {"exp(inf)", math::exp(kInf), kInf},
      {"exp(-inf)", math::exp(-kInf), 0},
      {"exp(88.8)", math::exp(88.8F), kInf},
      {"exp(-104)", math::exp(-104.0F), 0},
      {"log(0)", math::log(0.0F), -kInf},
      {"log(-0)", math::log(-0.0F), -kInf},
      {"log(-1)", math::log(-1.0F), kNaN},
      {"log(inf)", math::log(kInf), kInf},
      {"log1p(-1)", math::log1p(-1.0F), -kInf},
      {"log1p(-2)", math::log1p(-2.0F), kNaN},
      {"log1p(-0)", math::log1p(-0.0F), -0.0F},
      {"log1p(inf)", math::log1p(kInf), kInf},
      {"expm1(-0)", math::expm1(-0.0F), -0.0F},
      {"expm1(-inf)", math::expm1(-kInf), -1},
      {"expm1(inf)", math::expm1(kInf), kInf},
      {"sin(-0)", math::sin(-0.0F), -0.0F},
      {"sin(inf)", math::sin(kInf), kNaN},
      {"cos(-inf)", math::cos(-kInf), kNaN},
      {"tanh(-0)", math::tanh(-0.0F), -0.0F},
      {"tanh(inf)", math::tanh(kInf), 1},
      {"tanh(-inf)", math::tanh(-kInf), -1},
      {"sigmoid(-inf)", math::sigmoid(-kInf), 0},
      {"sigmoid(inf)", math::sigmoid(kInf), 1},
      {"softplus(-inf)", math::softplus(-kInf), 0},
      {"softplus(inf)", math::softplus(kInf), kInf},
      {"softplus(1e30)", math::softplus(1e30F), 1e30F},
      {"normal_cdf(-inf)", math::normal_cdf(-kInf), 0},
      {"normal_cdf(inf)", math::normal_cdf(kInf), 1},
      {"normal_pdf(inf)", math::normal_pdf(kInf), 0},
      {"sqrt(-1)", math::sqrt(-1.0F), kNaN},
      {"asinh(-0)", math::asinh(-0.0F), -0.0F},
      {"asinh(-inf)", math::asinh(-kInf), -kInf},
      {"asinh(1e-42)", math::asinh(1e-42F), 1e-42F},
      {"atan(-0)", math::atan(-0.0F), -0.0F},
      {"atan(-inf)", math::atan(-kInf), -1.57079637F},
      {"atan(1e-42)", math::atan(1e-42F), 1e-42F},
      {"softsign(-0)", math::softsign(-0.0F), -0.0F},
      {"softsign(-inf)", math::softsign(-kInf), -1},
      {"softsign(1e30)", math::softsign(1e30F), 1},
  };
  for (const Row& row : rows) {
    BOOST_TEST(same(row.value, row.expected), row.what << " is " << row.value);
  }
  for (const Function& function : kFunctions) {
    BOOST_TEST(std::isnan(function.f(kNaN)), function.name);
    BOOST_TEST(std::isnan(function.f(-kNaN)), function.name);
  }
}

// The bodies of vectorised loops and their remainders must agree to the last bit.
BOOST_AUTO_TEST_CASE(values_do_not_depend_on_the_position) {
  std::vector<float> values;
  for (int i = 0; i < 97; ++i) values.push_back(0.17F * static_cast<float>(i - 40));
  values.insert(values.end(), {kInf, -kInf, kNaN, 1e-40F, -1e30F});
  const auto count = static_cast<std::int64_t>(values.size());
  const Tensor all = Tensor::from(values, {count});

#define NF_ONE(Struct, ...) UnaryOp::Struct,
  for (const UnaryOp op : {NF_UNARY_OPS(NF_ONE)}) {
    const std::vector<float> expected = unary(op, all, {0.5, 2}).to_vector<float>();
    for (std::int64_t start = 0; start < count; start += 3) {
      for (const std::int64_t length : {1, 7, 21}) {
        if (start + length > count) continue;
        const Tensor part = unary(op, all.narrow(0, start, length).clone(), {0.5, 2});
        const std::vector<float> got = part.to_vector<float>();
        for (std::int64_t i = 0; i < length; ++i) {
          if (same(got[i], expected[start + i])) continue;
          BOOST_ERROR(name_of(op) << "(" << values[start + i] << ") in place " << i << " of "
                                  << length << ": " << got[i] << ", not " << expected[start + i]);
        }
      }
    }
  }
#undef NF_ONE
}

BOOST_AUTO_TEST_SUITE_END()
