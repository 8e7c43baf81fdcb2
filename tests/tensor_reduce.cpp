// Reductions against plain loops in double, over contiguous, permuted, sliced and broadcast inputs;
// NaN and infinity; and that the number of threads does not change a bit.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "tensor/ops.h"
#include "tensor/random.h"
#include "tensor/threads.h"

namespace {

using namespace nf;

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

#define NF_ONE(Struct, function) ReduceOp::Struct,
const ReduceOp kOps[] = {NF_REDUCTIONS(NF_ONE)};
#undef NF_ONE

double reduce_plainly(ReduceOp op, const std::vector<double>& x) {
  const double n = static_cast<double>(x.size());
  double sum = 0, squares = 0, prod = 1, exps = 0, spread = 0;
  for (const double v : x) sum += v, squares += v * v, prod *= v, exps += std::exp(v);
  for (const double v : x) spread += (v - sum / n) * (v - sum / n);
  switch (op) {
    case ReduceOp::Sum:
      return sum;
    case ReduceOp::Mean:
      return sum / n;
    case ReduceOp::SumSquares:
      return squares;
    case ReduceOp::Prod:
      return prod;
    case ReduceOp::Max:
      return *std::max_element(x.begin(), x.end());
    case ReduceOp::Min:
      return *std::min_element(x.begin(), x.end());
    case ReduceOp::LogSumExp:
      return std::log(exps);
    case ReduceOp::Variance:
      return spread / n;
    case ReduceOp::ArgMax:
      return static_cast<double>(std::max_element(x.begin(), x.end()) - x.begin());
  }
  return 0;
}

/// Checks every element of reduce(op, x, axes); `axes` ascending.
void check(const char* what, ReduceOp op, const Tensor& x, const Axes& axes) {
  Axes order;
  for (int d = 0; d < x.rank(); ++d) {
    if (std::find(axes.begin(), axes.end(), d) == axes.end()) order.push_back(d);
  }
  order.insert(order.end(), axes.begin(), axes.end());
  const std::vector<double> in = x.to(DType::F64).permute(order).to_vector<double>();
  const std::vector<double> out = reduce(op, x, axes).to(DType::F64).to_vector<double>();

  const std::size_t n = in.size() / out.size();
  const double tolerance = x.dtype() == DType::F64 ? 1e-12 : 3e-7;
  for (std::size_t o = 0; o < out.size(); ++o) {
    const auto row = in.begin() + static_cast<std::ptrdiff_t>(o * n);
    const double expected =
        reduce_plainly(op, std::vector<double>(row, row + static_cast<std::ptrdiff_t>(n)));
    if (std::abs(out[o] - expected) <= tolerance * std::max(1.0, std::abs(expected))) continue;
    BOOST_ERROR(what << ", " << name_of(op) << " of " << describe(x) << ", output " << o << ": "
                     << out[o] << ", not " << expected);
    return;
  }
}

Tensor draw(const Shape& shape, DType dtype) {
  Generator gen(7);
  return affine(normal(gen, shape, dtype), 0.5, 0.25);
}

float reduce_values(ReduceOp op, const std::vector<float>& values) {
  const Tensor x = Tensor::from(values, {static_cast<std::int64_t>(values.size())});
  return static_cast<float>(reduce(op, x, {0}).item());
}

}  // namespace

BOOST_AUTO_TEST_SUITE(tensor_reduce)

BOOST_AUTO_TEST_CASE(values_over_all_layouts) {
  for (const DType dtype : {DType::F32, DType::F64}) {
    const Tensor cube = draw({5, 37, 41}, dtype), table = draw({70, 1100}, dtype);
    struct Row {
      const char* what;
      Tensor x;
      Axes axes;
    };
    const Row rows[] = {
        {"one element", draw({1}, dtype), {0}},
        {"rows", cube, {2}},
        {"middle axis", cube, {1}},
        {"columns", cube, {0}},
        {"two axes", cube, {0, 2}},
        {"all", cube, {0, 1, 2}},
        {"axis of size 1", cube.unsqueeze(1), {1}},
        {"permuted", cube.permute({2, 0, 1}), {0, 2}},
        {"transposed", cube.transpose(1, 2), {1}},
        {"every second", cube.slice(2, 1, 20, 2), {2}},
        {"flipped", cube.flip(1), {1}},
        {"broadcast", cube.narrow(1, 0, 1).broadcast_to({5, 37, 41}), {1}},
        {"rows longer than a block", table, {1}},
        {"columns in more than one block", table, {0}},
        {"columns of a slice", table.narrow(1, 3, 1050), {0}},
    };
    for (const Row& row : rows) {
      for (const ReduceOp op : kOps) {
        if (op == ReduceOp::ArgMax && row.axes.size() != 1) continue;
        if (op == ReduceOp::Prod && row.x.numel() > 40000) continue;  // 0 to the last digit
        check(row.what, op, row.x, row.axes);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(long_rows_and_tall_columns) {
  const Tensor line = draw({200000}, DType::F32), tall = draw({9000, 24}, DType::F32);
  for (const ReduceOp op : kOps) {
    if (op == ReduceOp::Prod) continue;
    check("long row", op, line, {0});
    check("every third of a long row", op, line.slice(0, 2, 66000, 3), {0});
    check("tall columns", op, tall, {0});
  }
}

BOOST_AUTO_TEST_CASE(threads_do_not_change_the_result) {
  const Tensor line = draw({300001}, DType::F32), table = draw({3000, 150}, DType::F32);
  for (const ReduceOp op : kOps) {
    std::vector<std::vector<double>> results;
    for (const int threads : {1, 2, 5}) {
      set_num_threads(threads);
      std::vector<double> result;
      for (const Tensor& out :
           {reduce(op, line, {0}), reduce(op, table, {0}), reduce(op, table, {1})}) {
        const std::vector<double> values = out.to(DType::F64).to_vector<double>();
        result.insert(result.end(), values.begin(), values.end());
      }
      results.push_back(result);
    }
    set_num_threads(0);
    BOOST_TEST((results[0] == results[1] && results[0] == results[2]), name_of(op));
  }
}

BOOST_AUTO_TEST_CASE(sums_are_accurate) {
  // Each addend is below half a unit in the last place of the sum: a float accumulator would stop.
  std::vector<float> values(100001, 0.3F);
  values[0] = 3e7F;
  BOOST_TEST(reduce_values(ReduceOp::Sum, values) == static_cast<float>(3e7 + 100000 * 0.3F));
  // Variance 0.25 around a mean that is 2e6 times as large.
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = i % 2 == 0 ? 1e6F : 1e6F + 1;
  BOOST_TEST(std::abs(reduce_values(ReduceOp::Variance, values) - 0.25F) < 1e-6F);
}

BOOST_AUTO_TEST_CASE(nan_and_infinity) {
  const std::size_t sizes[] = {3, 40, 70000};  // within one vector, one block, several chunks
  for (const std::size_t n : sizes) {
    for (const std::size_t at : {std::size_t{0}, n / 2, n - 1}) {
      std::vector<float> values(n, 1.0F);
      values[at] = kNaN;
      for (const ReduceOp op : kOps) {
        if (op == ReduceOp::ArgMax) continue;
        BOOST_TEST(std::isnan(reduce_values(op, values)), name_of(op) << " " << n << " " << at);
      }
      BOOST_TEST(reduce_values(ReduceOp::ArgMax, values) == static_cast<float>(at));
      values[at] = kInf;
      BOOST_TEST(reduce_values(ReduceOp::LogSumExp, values) == kInf);
      BOOST_TEST(reduce_values(ReduceOp::Max, values) == kInf);
      BOOST_TEST(reduce_values(ReduceOp::ArgMax, values) == static_cast<float>(at));
      values[at] = -kInf;
      BOOST_TEST(reduce_values(ReduceOp::Min, values) == -kInf);
      BOOST_TEST(std::abs(reduce_values(ReduceOp::LogSumExp, values) -
                          (1 + std::log(static_cast<double>(n - 1)))) < 2e-6);
    }
    const std::vector<float> lowest(n, -kInf);
    BOOST_TEST(reduce_values(ReduceOp::LogSumExp, lowest) == -kInf);
    BOOST_TEST(reduce_values(ReduceOp::Max, lowest) == -kInf);
    BOOST_TEST(reduce_values(ReduceOp::ArgMax, lowest) == 0);
  }
  // Columns take another way.
  Tensor table = Tensor::ones({50, 20});
  table.slice(1, 4, 1).slice(0, 30, 1).fill_(kNaN);
  for (const ReduceOp op : {ReduceOp::Sum, ReduceOp::Prod, ReduceOp::Max, ReduceOp::Min}) {
    const std::vector<float> out = reduce(op, table, {0}).to_vector<float>();
    for (int j = 0; j < 20; ++j) BOOST_TEST(std::isnan(out[j]) == (j == 4), name_of(op) << j);
  }
}

BOOST_AUTO_TEST_CASE(argmax_gives_the_first_of_equals) {
  std::vector<float> values(5000, 0.0F);
  values[1500] = values[1501] = values[4000] = 2.0F;
  BOOST_TEST(reduce_values(ReduceOp::ArgMax, values) == 1500);
  values[2000] = values[3000] = kNaN;
  BOOST_TEST(reduce_values(ReduceOp::ArgMax, values) == 2000);
}

BOOST_AUTO_TEST_SUITE_END()
