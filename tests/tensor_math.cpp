// The float functions of tensor/math.h against the double ones of the standard library: largest
// error over a sweep of all bit patterns, and the special values.
#include "tensor/math.h"

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "tensor/ops.h"

namespace {

using namespace nf;

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kTiny = std::numeric_limits<float>::denorm_min();
constexpr float kLargest = std::numeric_limits<float>::max();

/// Distance in units of the last place that a float of the size of `exact` has.
double ulps(float value, double exact) {
  if (std::isnan(exact) || std::isnan(value)) return std::isnan(exact) && std::isnan(value) ? 0 : 1e9;
  const float nearest = static_cast<float>(exact);
  if (value == nearest) return 0;  // infinities and overflow too
  if (std::isinf(nearest) && !std::isinf(value)) exact = std::copysign(0x1p128, exact);
  if (std::isinf(value)) return 1e9;
  const int exponent = std::max(std::ilogb(exact == 0 ? kTiny : exact), -126);
  return std::abs(value - exact) / std::ldexp(1.0, exponent - 23);
}

struct Function {
  const char* name;
  float (*f)(float);
  double (*exact)(double);
  double bound;
};

const Function kFunctions[] = {
    {"exp", [](float x) { return math::exp(x); }, [](double x) { return std::exp(x); }, 1.0},
    {"expm1", [](float x) { return math::expm1(x); }, [](double x) { return std::expm1(x); }, 1.5},
    {"log", [](float x) { return math::log(x); }, [](double x) { return std::log(x); }, 1.0},
    {"log1p", [](float x) { return math::log1p(x); }, [](double x) { return std::log1p(x); }, 1.5},
    {"sin", [](float x) { return math::sin(x); }, [](double x) { return std::sin(x); }, 1.5},
    {"cos", [](float x) { return math::cos(x); }, [](double x) { return std::cos(x); }, 1.5},
    {"tanh", [](float x) { return math::tanh(x); }, [](double x) { return std::tanh(x); }, 2.5},
    {"sigmoid", [](float x) { return math::sigmoid(x); },
     [](double x) { return 1 / (1 + std::exp(-x)); }, 2.5},
    {"softplus", [](float x) { return math::softplus(x); },
     [](double x) { return math::softplus(x); }, 2.5},
    {"normal_cdf", [](float x) { return math::normal_cdf(x); },
     [](double x) { return math::normal_cdf(x); }, 5},
    {"normal_pdf", [](float x) { return math::normal_pdf(x); },
     [](double x) { return math::normal_pdf(x); }, 3},
};

}  // namespace

BOOST_AUTO_TEST_SUITE(tensor_math)

BOOST_AUTO_TEST_CASE(errors_over_all_floats) {
  for (const Function& function : kFunctions) {
    double worst = 0;
    float where = 0;
    for (std::uint64_t b = 0; b < (std::uint64_t{1} << 32); b += 1499) {
      const float x = std::bit_cast<float>(static_cast<std::uint32_t>(b));
      const double error = ulps(function.f(x), function.exact(x));
      if (error > worst) worst = error, where = x;
    }
    BOOST_TEST_MESSAGE(function.name << ": " << worst << " ulp at " << where);
    BOOST_TEST(worst <= function.bound, function.name << "(" << where << ") is wrong by " << worst
                                                      << " ulp");
  }
}

BOOST_AUTO_TEST_SUITE_END()
