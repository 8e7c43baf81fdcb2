// The maximum mean discrepancy, pair by pair, and its gradient.
#include "flows/train/mmd.h"

#include <boost/test/unit_test.hpp>
#include <cmath>

#include "autograd/gradcheck.h"
#include "tensor/random.h"

using namespace nf;
using namespace nf::flows;

BOOST_AUTO_TEST_SUITE(flows_mmd)

namespace {

/// The mean of k over all pairs, by its definition.
double mean_of_pairs(const Tensor& x, const Tensor& y, double scale) {
  double total = 0;
  for (std::int64_t i = 0; i < x.dim(0); ++i) {
    for (std::int64_t j = 0; j < y.dim(0); ++j) {
      const double square = sum_squares(x.narrow(0, i, 1) - y.narrow(0, j, 1)).item();
      for (const double width : {0.5, 1.0, 2.0, 4.0}) {
        total += std::exp(-square / (2 * width * width * scale * scale));
      }
    }
  }
  return total / static_cast<double>(x.dim(0) * y.dim(0));
}

}  // namespace

BOOST_AUTO_TEST_CASE(it_is_what_pairs_say) {
  Generator gen(1);
  const Tensor x = normal(gen, {5, 3}, DType::F64), y = normal(gen, {7, 3}, DType::F64) + 0.5;
  for (const double scale : {0.3, 1.0, 4.0}) {
    const double expected =
        mean_of_pairs(x, x, scale) + mean_of_pairs(y, y, scale) - 2 * mean_of_pairs(x, y, scale);
    BOOST_CHECK_CLOSE(mmd_squared(x, y, scale).value().item(), expected, 1e-9);
    BOOST_CHECK_SMALL(mmd_squared(x, x, scale).value().item(), 1e-12);
  }
  BOOST_CHECK_THROW(mmd_squared(x, y, 0), Error);
}

BOOST_AUTO_TEST_CASE(it_tells_distributions_apart) {
  Generator gen(2);
  const Tensor x = normal(gen, {500, 2}), same = normal(gen, {500, 2});
  const auto to_x = [&](const Tensor& y) { return mmd_squared(x, y, 1).value().item(); };
  BOOST_CHECK_LT(to_x(same), 0.02);
  BOOST_CHECK_GT(to_x(same * 0.5), 0.1);
  BOOST_CHECK_GT(to_x(same + 0.5), 0.1);
}

// In f32 squared distances of rows far from 0 are off by more than the scale, below 0, too. Each of
// the kernels is 1 at most.
BOOST_AUTO_TEST_CASE(rounding_makes_no_kernel_larger_than_1) {
  Generator gen(4);
  const Tensor x = normal(gen, {50, 3}) + 100.0, y = normal(gen, {50, 3}) + 100.0;
  BOOST_CHECK_LE(std::abs(mmd_squared(x, y, 1e-3).value().item()), 8);
}

BOOST_AUTO_TEST_CASE(its_gradient_is_that_of_its_value) {
  Generator gen(3);
  const Tensor x = normal(gen, {4, 3}, DType::F64), y = normal(gen, {5, 3}, DType::F64);
  const GradCheck result = gradcheck(
      [](const std::vector<Var>& in) -> std::vector<Var> {
        return {mmd_squared(in[0], in[1], 0.8)};
      },
      {x, y});
  BOOST_CHECK_MESSAGE(result.ok, result.message);
}

BOOST_AUTO_TEST_SUITE_END()
