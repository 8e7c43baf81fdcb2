// Products and convolutions of bf16 on the CPU: those of the rounded factors, in the precision of
// f32 sums.
#include <bit>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>
#include <thread>
#include <vector>

#include "tensor/full_precision.h"
#include "tensor/threads.h"
#include "tests/data_util.h"
#include "tests/devices.h"

BOOST_AUTO_TEST_SUITE(tensor_bf16)

using namespace nf;
using namespace nf::test;

namespace {

bool skipped() {
  if (cpu_backend().has_precision(Precision::BF16)) return false;
  BOOST_TEST_MESSAGE("skipped: no AVX512_BF16");
  return true;
}

/// bf16 as long as it lives.
struct Bf16 : DefaultWinograd {
  Bf16() { cpu_backend().set_precision(Precision::BF16); }
  ~Bf16() {
    cpu_backend().set_precision(Precision::F32);
    set_num_threads(0);
  }
};

/// Each number rounded to 8 significant bits, half to even, as f64.
Tensor rounded(const Tensor& t) {
  std::vector<double> v = values(t);
  for (double& x : v) {
    auto bits = std::bit_cast<std::uint32_t>(static_cast<float>(x));
    bits += 0x7fff + (bits >> 16 & 1);
    x = static_cast<double>(std::bit_cast<float>(bits & 0xffff0000));
  }
  return Tensor::from(v, t.shape());
}

// Sums of normal products in f32.
double tolerance(std::int64_t k) { return 1e-6 * std::sqrt(static_cast<double>(k)) + 1e-6; }

}  // namespace

BOOST_AUTO_TEST_CASE(what_cannot_be_is_refused) {
  BOOST_CHECK_THROW(cpu_backend().set_precision(Precision::TF32), Error);
  if (!cpu_backend().has_precision(Precision::BF16)) {
    BOOST_CHECK_THROW(cpu_backend().set_precision(Precision::BF16), Error);
  }
  BOOST_CHECK(cpu_backend().precision() == Precision::F32);
}

BOOST_AUTO_TEST_CASE(full_precision_is_that_of_a_thread) {
  if (skipped()) return;
  const Bf16 bf16;
  const Tensor a = draw({40, 50}, DType::F32, 1), b = draw({50, 60}, DType::F32, 2);
  const Tensor coarse = matmul(a, b);
  Tensor other;
  {
    const FullPrecision full;
    BOOST_CHECK(cpu_backend().precision() == Precision::F32);
    std::thread([&] { other = matmul(a, b); }).join();
    CHECK_SAME(matmul(a, b), matmul(a.to(DType::F64), b.to(DType::F64)), 1e-5, "f32");
  }
  CHECK_SAME(other, coarse, 0, "another thread's product");
  CHECK_SAME(matmul(a, b), coarse, 0, "afterwards");
}

BOOST_AUTO_TEST_CASE(products_are_those_of_rounded_factors) {
  if (skipped()) return;
  const Bf16 bf16;
  for (const std::int64_t m : {1, 2, 14, 29, 130}) {
    for (const std::int64_t n : {1, 15, 33, 70}) {
      for (const std::int64_t k : {1, 2, 3, 31, 33, 64, 2051}) {
        const Tensor a = draw({m, k}, DType::F32, 1), b = draw({k, n}, DType::F32, 2);
        const Tensor expected = matmul(rounded(a), rounded(b));
        const std::string shape = str(m, " x ", n, " x ", k);
        CHECK_SAME(matmul(a, b), expected, tolerance(k), shape);
        const Tensor at = a.transpose(0, 1).clone().transpose(0, 1),
                     bt = b.transpose(0, 1).clone().transpose(0, 1);
        CHECK_SAME(matmul(at, bt), expected, tolerance(k), shape + ", both transposed");
        const Tensor wide = draw({m, 3 * k}, DType::F32, 3).narrow(1, k, k);
        CHECK_SAME(matmul(wide, b), matmul(rounded(wide), rounded(b)), tolerance(k),
                   shape + ", rows apart");
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(fused_and_batched) {
  if (skipped()) return;
  const Bf16 bf16;
  const Tensor x = draw({30, 37}, DType::F32, 1), w = draw({20, 37}, DType::F32, 2),
               bias = draw({20}, DType::F32, 3);
  const UnaryOp relu = UnaryOp::Relu;
  const Tensor sums = matmul(rounded(x), rounded(w).transpose(0, 1)) + bias.to(DType::F64);
  CHECK_SAME(linear(x, w, bias, &relu), unary(relu, sums), 1e-5, "linear");
  const Tensor a = draw({5, 7, 9}, DType::F32, 4), b = draw({5, 9, 11}, DType::F32, 5);
  CHECK_SAME(matmul(a, b), matmul(rounded(a), rounded(b)), 1e-5, "batch");
}

BOOST_AUTO_TEST_CASE(f64_stays_exact) {
  if (skipped()) return;
  const Tensor a = draw({20, 30}, DType::F64, 1), b = draw({30, 10}, DType::F64, 2);
  const std::vector<double> before = values(matmul(a, b));
  const Bf16 bf16;
  BOOST_CHECK(values(matmul(a, b)) == before);
}

BOOST_AUTO_TEST_CASE(convolutions_are_those_of_rounded_factors) {
  if (skipped()) return;
  const Bf16 bf16;
  set_winograd(Winograd::Off);
  for (const std::int64_t c : {1, 3, 6, 16, 33}) {
    for (const std::int64_t o : {1, 12, 40}) {
      for (const ConvGeometry g : {ConvGeometry{1, 1, 1}, {2, 1, 1}, {1, 0, 0}, {2, 0, 2}}) {
        const Tensor x = draw({3, 9, 7, c}, DType::F32, 1), w = draw({o, c, 3, 3}, DType::F32, 2);
        const std::string text = str(c, " -> ", o, ", stride ", g.stride, ", padding ", g.pad_w);
        const Tensor out = conv2d(x, w, {}, g);
        CHECK_SAME(out, conv2d(rounded(x), rounded(w), {}, g), 3e-5, text);
        const Tensor d = draw(out.shape(), DType::F32, 3);
        CHECK_SAME(conv2d_backward_data(d, w, x.shape(), g),
                   conv2d_backward_data(rounded(d), rounded(w), x.shape(), g), 5e-5, text + ", dx");
        CHECK_SAME(conv2d_backward_weights(x, d, w.shape(), g),
                   conv2d_backward_weights(rounded(x), rounded(d), w.shape(), g), 1e-4,
                   text + ", dw");
      }
    }
  }
}

// A row that is cut into parts, of odd lengths.
BOOST_AUTO_TEST_CASE(long_rows) {
  if (skipped()) return;
  const Bf16 bf16;
  const ConvGeometry g{1, 0, 1};
  const Tensor x = draw({1, 1, 3001, 3}, DType::F32, 1), w = draw({20, 3, 1, 3}, DType::F32, 2),
               d = draw({1, 1, 3001, 20}, DType::F32, 3);
  CHECK_SAME(conv2d(x, w, {}, g), conv2d(rounded(x), rounded(w), {}, g), 3e-5, "out");
  CHECK_SAME(conv2d_backward_data(d, w, x.shape(), g),
             conv2d_backward_data(rounded(d), rounded(w), x.shape(), g), 5e-5, "dx");
  CHECK_SAME(conv2d_backward_weights(x, d, w.shape(), g),
             conv2d_backward_weights(rounded(x), rounded(d), w.shape(), g), 1e-3, "dw");
}

// Where Winograd's way is taken it stays f32: it is faster, and more exact.
BOOST_AUTO_TEST_CASE(winograd_stays_f32) {
  if (skipped()) return;
  const Tensor x = draw({2, 8, 8, 32}, DType::F32, 1), w = draw({32, 32, 3, 3}, DType::F32, 2);
  const std::vector<double> before = values(conv2d(x, w, {}, {1, 1, 1}));
  const Bf16 bf16;
  set_winograd(Winograd::On);
  BOOST_CHECK(values(conv2d(x, w, {}, {1, 1, 1})) == before);
}

BOOST_AUTO_TEST_CASE(threads_and_rows_change_no_bit) {
  if (skipped()) return;
  const Bf16 bf16;
  const Tensor a = draw({300, 777}, DType::F32, 1), b = draw({777, 130}, DType::F32, 2);
  const Tensor x = draw({9, 11, 10, 5}, DType::F32, 3), d = draw({9, 11, 10, 24}, DType::F32, 4);
  std::vector<double> product, weights;
  for (const int threads : {1, 2, 3}) {
    set_num_threads(threads);
    const auto now = values(matmul(a, b));
    const auto dw = values(conv2d_backward_weights(x, d, {24, 5, 3, 3}, {1, 1, 1}));
    if (threads == 1) {
      product = now;
      weights = dw;
    }
    BOOST_CHECK_MESSAGE(now == product && dw == weights, threads << " threads");
  }
  const Tensor row = matmul(a, b).narrow(0, 17, 1);
  BOOST_CHECK(values(matmul(a.narrow(0, 17, 1), b)) == values(row));
}

// An odd K is filled up with zeros on both sides: an infinity beside it stays one.
BOOST_AUTO_TEST_CASE(numbers_that_are_not_finite) {
  if (skipped()) return;
  const Bf16 bf16;
  const double inf = std::numeric_limits<double>::infinity();
  for (const std::int64_t k : {1, 3, 35}) {
    std::vector<double> v(static_cast<std::size_t>(k), 1.0);
    v.back() = inf;
    const Tensor a = Tensor::from(v, {1, k}).to(DType::F32), b = Tensor::full({k, 20}, 2.0F);
    BOOST_CHECK(values(matmul(a, b)) == std::vector<double>(20, inf));
    v.back() = std::nan("");
    const std::vector<double> out = values(matmul(Tensor::from(v, {1, k}).to(DType::F32), b));
    BOOST_CHECK(std::isnan(out.front()) && std::isnan(out.back()));
  }
}

BOOST_AUTO_TEST_SUITE_END()
