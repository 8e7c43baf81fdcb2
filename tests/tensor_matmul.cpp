// Matrix products and the fused linear layer against sums written out in double.
#include <algorithm>
#include <array>
#include <atomic>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstdlib>
#include <string_view>
#include <thread>
#include <vector>

#include "tensor/ops.h"
#include "tensor/random.h"
#include "tensor/threads.h"

BOOST_AUTO_TEST_SUITE(tensor_matmul)

using namespace nf;

namespace {

struct DefaultThreads {
  ~DefaultThreads() { set_num_threads(0); }
};

/// OpenBLAS (NF_MATMUL) sums in an order that depends on all sizes.
boost::test_tools::assertion_result own_products(boost::unit_test::test_unit_id) {
  const char* const peer = std::getenv("NF_MATMUL");
  return !peer || std::string_view(peer) != "openblas";
}

Tensor draw(const Shape& shape, DType dtype, std::uint64_t seed = 1) {
  Generator gen(seed);
  return normal(gen, shape, dtype);
}

std::vector<double> values(const Tensor& t) { return t.to(DType::F64).to_vector<double>(); }

/// Largest |x - y|, in units of what rounding allows after sums of k products.
double distance(const Tensor& x, const std::vector<double>& y, std::int64_t k) {
  const std::vector<double> v = values(x);
  BOOST_REQUIRE(v.size() == y.size());
  const double unit = (x.dtype() == DType::F32 ? 0x1p-22 : 0x1p-50) * static_cast<double>(k + 8);
  double worst = 0;
  for (std::size_t i = 0; i < v.size(); ++i) {
    if (!(std::abs(v[i] - y[i]) / unit <= worst)) worst = std::abs(v[i] - y[i]) / unit;  // NaN too
  }
  return worst;
}

/// (B, M, K) x (B, K, N), all contiguous.
std::vector<double> product(const Tensor& a, const Tensor& b) {
  const std::int64_t count = a.dim(0), m = a.dim(1), k = a.dim(2), n = b.dim(2);
  const std::vector<double> x = values(a), y = values(b);
  std::vector<double> z(static_cast<std::size_t>(count * m * n), 0.0);
  for (std::int64_t s = 0; s < count; ++s) {
    for (std::int64_t i = 0; i < m; ++i) {
      for (std::int64_t l = 0; l < k; ++l) {
        for (std::int64_t j = 0; j < n; ++j) {
          z[(s * m + i) * n + j] += x[(s * m + i) * k + l] * y[(s * k + l) * n + j];
        }
      }
    }
  }
  return z;
}

/// The same elements in other places: transposed in memory, inside a larger matrix, or with a gap
/// behind each element, in rows or in columns.
enum class Lie { Plain, Transposed, Window, Apart, ApartTransposed };
constexpr Lie kLies[] = {Lie::Plain, Lie::Transposed, Lie::Window, Lie::Apart,
                         Lie::ApartTransposed};
Tensor laid(const Tensor& t, Lie lie) {
  if (lie == Lie::Transposed) return t.t().clone().t();
  if (lie == Lie::Plain) return t;
  if (lie == Lie::ApartTransposed) return laid(t.t(), Lie::Apart).t();
  if (lie == Lie::Apart) {
    Shape wide = t.shape();
    wide[t.rank() - 1] *= 3;
    const Tensor all = Tensor::full(wide, NAN, t.dtype());
    Tensor thirds = all.slice(-1, 1, t.dim(-1), 3);
    thirds.copy_(t);
    return thirds;
  }
  Shape larger = t.shape();
  larger[t.rank() - 1] += 5;
  larger[t.rank() - 2] += 2;
  Tensor all = Tensor::full(larger, NAN, t.dtype());
  Tensor window = all.narrow(-1, 3, t.dim(-1)).narrow(-2, 1, t.dim(-2));
  window.copy_(t);
  return window;
}

}  // namespace

BOOST_FIXTURE_TEST_CASE(every_shape_and_layout, DefaultThreads) {
  const std::int64_t shapes[][3] = {{1, 1, 1},   {1, 1, 7},   {1, 9, 1},     {5, 1, 1},
                                    {1, 30, 20}, {30, 1, 20}, {7, 5, 3},     {16, 16, 16},
                                    {17, 33, 9}, {64, 48, 1}, {100, 90, 80}, {130, 40, 70}};
  for (const auto& [m, n, k] : shapes) {
    for (const DType dtype : {DType::F32, DType::F64}) {
      const Tensor a = draw({m, k}, dtype, 1), b = draw({k, n}, dtype, 2);
      const std::vector<double> expected = product(a.unsqueeze(0), b.unsqueeze(0));
      for (const Lie lie_a : {Lie::Plain, Lie::Transposed, Lie::Window}) {
        for (const Lie lie_b : {Lie::Plain, Lie::Transposed, Lie::Window}) {
          for (const int threads : {1, 2, 5}) {
            set_num_threads(threads);
            const double off = distance(matmul(laid(a, lie_a), laid(b, lie_b)), expected, k);
            BOOST_TEST(off < 1.0, m << " x " << n << " x " << k << " " << name(dtype) << " "
                                    << static_cast<int>(lie_a) << static_cast<int>(lie_b) << " on "
                                    << threads << " threads: " << off);
          }
        }
      }
    }
  }
}

// A tile has 4, 6 or 14 rows and one or two vectors of 2 to 16 columns; K is cut at 1024.
BOOST_AUTO_TEST_CASE(every_edge_of_a_tile) {
  for (const std::int64_t m : {1, 2, 3, 4, 5, 6, 7, 13, 14, 15, 29}) {
    for (const std::int64_t n : {1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 32, 33, 65, 130}) {
      for (const std::int64_t k : {1, 2, 3, 7, 8, 15, 16, 17, 33}) {
        for (const DType dtype : {DType::F32, DType::F64}) {
          const Tensor a = draw({m, k}, dtype, 1), b = draw({k, n}, dtype, 2);
          const std::vector<double> expected = product(a.unsqueeze(0), b.unsqueeze(0));
          const bool good = distance(matmul(a, b), expected, k) < 1 &&
                            distance(matmul(a, b.t().clone().t()), expected, k) < 1 &&
                            distance(matmul(a.t().clone().t(), b), expected, k) < 1;
          BOOST_TEST(good, m << " x " << n << " x " << k << " " << name(dtype));
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(every_cut_of_long_sums_and_tall_matrices) {
  const std::int64_t shapes[][3] = {{15, 33, 1023}, {15, 33, 1024}, {15, 33, 1025},  {3, 70, 4099},
                                    {1500, 9, 80},  {2, 2000, 31},  {700, 300, 1030}};
  for (const auto& [m, n, k] : shapes) {
    const Tensor a = draw({m, k}, DType::F32, 1), b = draw({k, n}, DType::F32, 2);
    const std::vector<double> expected = product(a.unsqueeze(0), b.unsqueeze(0));
    BOOST_TEST(distance(matmul(a, b), expected, k) < 1.0);
    BOOST_TEST(distance(matmul(laid(a, Lie::Transposed), laid(b, Lie::Window)), expected, k) < 1.0);
  }
}

// A row's result depends on that row alone: a sample has the same log-probability in any batch.
BOOST_AUTO_TEST_CASE(a_row_has_the_same_bits_in_every_batch,
                     *boost::unit_test::precondition(own_products)) {
  for (const std::int64_t k : {7, 392, 1500}) {
    const Tensor x = draw({200, k}, DType::F32, 1), w = draw({100, k}, DType::F32, 2);
    const std::vector<float> all = matmul(x, w.t()).to_vector<float>();
    for (const std::int64_t rows : {1, 3, 14, 77}) {
      const std::vector<float> some = matmul(x.narrow(0, 5, rows), w.t()).to_vector<float>();
      BOOST_TEST(std::equal(some.begin(), some.end(), all.begin() + 500), rows << " rows of " << k);
    }
  }
}

BOOST_AUTO_TEST_CASE(what_is_not_finite_stays_in_its_row_and_column) {
  for (const auto& [m, n, k] : {std::array<std::int64_t, 3>{20, 41, 30}, {70, 90, 1100}}) {
    Tensor a = draw({m, k}, DType::F32, 1), b = draw({k, n}, DType::F32, 2);
    a.narrow(0, 3, 1).narrow(1, 7, 1).fill_(NAN);
    b.narrow(0, 11, 1).narrow(1, n - 1, 1).fill_(INFINITY);
    for (const Lie lie : kLies) {
      const std::vector<float> c = matmul(laid(a, lie), laid(b, lie)).to_vector<float>();
      for (std::int64_t i = 0; i < m; ++i) {
        for (std::int64_t j = 0; j < n; ++j) {
          const float value = c[static_cast<std::size_t>(i * n + j)];
          const bool good = i == 3       ? std::isnan(value)
                            : j == n - 1 ? std::isinf(value)
                                         : std::isfinite(value);
          if (!good) BOOST_TEST(good, i << ", " << j << ": " << value);
        }
      }
    }
  }
}

BOOST_FIXTURE_TEST_CASE(training_shapes_on_any_number_of_threads, DefaultThreads) {
  const Tensor x = draw({200, 392}, DType::F32, 1), w = draw({500, 392}, DType::F32, 2);
  const Tensor x64 = x.to(DType::F64), w64 = w.to(DType::F64);
  const std::vector<double> expected = values(matmul(x64, w64.t()));
  const std::vector<double> swapped = values(matmul(w64, x64.t()));
  for (const int threads : {1, 2, 3, 4, 6, 13}) {
    set_num_threads(threads);
    BOOST_TEST(distance(matmul(x, w.t()), expected, 392) < 1.0);
    BOOST_TEST(distance(matmul(w, x.t()), swapped, 392) < 1.0);
  }
}

BOOST_FIXTURE_TEST_CASE(batches, DefaultThreads) {
  for (const DType dtype : {DType::F32, DType::F64}) {
    const Tensor a = draw({6, 7, 5}, dtype, 1), b = draw({6, 5, 9}, dtype, 2);
    const Tensor one = draw({5, 9}, dtype, 3), rows = draw({6, 1, 5}, dtype, 4);
    const Tensor ones = one.broadcast_to({6, 5, 9}).clone();
    const Tensor apart = draw({6, 14, 5}, dtype, 5).slice(1, 0, 7, 2);  // row stride 10
    for (const int threads : {1, 3, 8}) {
      set_num_threads(threads);
      BOOST_TEST(distance(matmul(a, b), product(a, b), 5) < 1.0);
      BOOST_TEST(
          distance(matmul(laid(a, Lie::Transposed), laid(b, Lie::Window)), product(a, b), 5) < 1.0);
      BOOST_TEST(distance(matmul(a, one), product(a, ones), 5) < 1.0);
      BOOST_TEST(distance(matmul(rows, one), product(rows, ones), 5) < 1.0);
      BOOST_TEST(distance(matmul(apart, one), product(apart.clone(), ones), 5) < 1.0);
      BOOST_TEST(distance(matmul(laid(a, Lie::Transposed), one), product(a, ones), 5) < 1.0);
      const Tensor first = a.narrow(0, 0, 1).broadcast_to({6, 7, 5});
      BOOST_TEST(distance(matmul(first, b), product(first.clone(), b), 5) < 1.0);
    }
  }
}

BOOST_AUTO_TEST_CASE(empty_sums_are_zero) {
  const Tensor a = Tensor::empty({3, 0}), b = Tensor::empty({0, 4});
  BOOST_TEST(values(matmul(a, b)) == std::vector<double>(12, 0.0),
             boost::test_tools::per_element());
  BOOST_TEST(matmul(Tensor::empty({0, 4}), Tensor::empty({4, 2})).numel() == 0);
  const Tensor bias = Tensor::from<float>({1, -2}, {2});
  const UnaryOp relu = UnaryOp::Relu;
  BOOST_TEST(values(linear(a, Tensor::empty({2, 0}), bias, &relu)) ==
                 (std::vector<double>{1, 0, 1, 0, 1, 0}),
             boost::test_tools::per_element());
}

// Every operation whose derivative does not need its input can be fused into linear.
BOOST_FIXTURE_TEST_CASE(linear_is_product_bias_activation, DefaultThreads) {
  std::vector<UnaryOp> fused;
#define NF_ADD(Struct, function, ...) \
  if (needs_of(UnaryOp::Struct) != Needs::Input) fused.push_back(UnaryOp::Struct);
  NF_UNARY_OPS(NF_ADD)
#undef NF_ADD
  const OpArgs args{0.1, 0.3};
  const std::int64_t shapes[][3] = {{1, 3, 4}, {9, 1, 5}, {70, 50, 90}};
  for (const DType dtype : {DType::F32, DType::F64}) {
    for (const auto& [n, out, in] : shapes) {
      const Tensor x = laid(draw({n, in}, dtype, 1), Lie::Window), w = draw({out, in}, dtype, 2);
      const Tensor bias = draw({out}, dtype, 3);
      for (const Tensor& offsets : {bias, Tensor()}) {
        Tensor pre = matmul(x, w.t());
        if (offsets.defined()) pre = pre + offsets;
        for (const int threads : {1, 3}) {
          set_num_threads(threads);
          BOOST_TEST(distance(linear(x, w, offsets), values(pre), in) < 1.0);
          for (const UnaryOp op : {UnaryOp::Relu, UnaryOp::Tanh, UnaryOp::LeakyRelu}) {
            const std::vector<double> expected = values(unary(op, pre, args));
            BOOST_TEST(distance(linear(x, w, offsets, &op, args), expected, in) < 1.0);
          }
        }
      }
    }
  }
  // One product, so that the sums are the same, and then all of them.
  const Tensor x = draw({5, 4}, DType::F64, 4), w = draw({3, 4}, DType::F64, 5);
  const Tensor bias = draw({3}, DType::F64, 6), pre = linear(x, w, bias);
  for (const UnaryOp op : fused) {
    const auto expected = values(unary(op, pre, args)), got = values(linear(x, w, bias, &op, args));
    for (std::size_t i = 0; i < expected.size(); ++i) {
      const bool same = got[i] == expected[i] || (std::isnan(got[i]) && std::isnan(expected[i])) ||
                        std::abs(got[i] - expected[i]) < 1e-14 * (1 + std::abs(expected[i]));
      BOOST_TEST(same, name_of(op) << ": " << got[i] << " and not " << expected[i]);
    }
  }
}

BOOST_FIXTURE_TEST_CASE(linear_backward_is_the_same_on_any_number_of_threads, DefaultThreads) {
  const std::int64_t shapes[][2] = {{1, 1}, {7, 3}, {200, 300}, {2500, 5}};
  for (const DType dtype : {DType::F32, DType::F64}) {
    for (const auto& [n, width] : shapes) {
      const Tensor out = tanh(draw({n, width}, dtype, 1)), dout = draw({n, width}, dtype, 2);
      const Tensor expected = unary_backward(UnaryOp::Tanh, {}, dout, out);
      const Tensor columns = sum(expected.to(DType::F64), {0}).to(dtype);
      for (const int threads : {1, 2, 5}) {
        set_num_threads(threads);
        Tensor dpre = dout.clone(), dbias = Tensor::empty({width}, dtype);
        cpu_backend().linear_backward(dpre, out, UnaryOp::Tanh, {}, dpre, &dbias);  // in place
        BOOST_TEST(distance(dpre, values(expected), 1) < 1.0);
        BOOST_TEST(distance(dbias, values(columns), n) < 1.0);
        const auto first = values(dbias);
        set_num_threads(1);
        cpu_backend().linear_backward(dout, out, UnaryOp::Tanh, {}, dpre, &dbias);
        BOOST_TEST(values(dbias) == first, boost::test_tools::per_element());
        cpu_backend().linear_backward(laid(dout, Lie::Transposed), laid(out, Lie::Window),
                                      UnaryOp::Tanh, {}, dpre, nullptr);
        BOOST_TEST(distance(dpre, values(expected), 1) < 1.0);
      }
    }
  }
}

// Each element is summed along K in blocks whose places K alone decides.
BOOST_FIXTURE_TEST_CASE(the_number_of_threads_changes_no_bit, DefaultThreads) {
  struct Case {
    Shape a, b;
  };
  const Case cases[] = {
      {{200, 392}, {392, 1000}},  {{200, 1000}, {1000, 1000}},    {{1000, 200}, {200, 392}},
      {{1, 3000}, {3000, 1001}},  {{3001, 999}, {999, 1}},        {{77, 4099}, {4099, 33}},
      {{513, 129}, {129, 1027}},  {{2, 100'000}, {100'000, 5}},   {{700, 701}, {701, 703}},
      {{3, 90, 80}, {3, 80, 70}}, {{2, 300, 200}, {2, 200, 310}}, {{40, 20, 30}, {40, 30, 25}},
      {{7, 200, 65}, {65, 64}},
  };
  for (const DType dtype : {DType::F32, DType::F64}) {
    for (const Case& c : cases) {
      const Tensor a = draw(c.a, dtype, 1), b = draw(c.b, dtype, 2);
      for (const bool transposed : {false, true}) {
        const Tensor left = transposed ? a.transpose(-1, -2).clone().transpose(-1, -2) : a;
        const Tensor right = transposed ? b.transpose(-1, -2).clone().transpose(-1, -2) : b;
        set_num_threads(1);
        const auto expected = matmul(left, right).to(DType::F64).to_vector<double>();
        for (const int threads : {2, 3, 8}) {
          set_num_threads(threads);
          BOOST_TEST((matmul(left, right).to(DType::F64).to_vector<double>() == expected),
                     c.a << " x " << c.b << (transposed ? ", transposed" : "") << " on " << threads
                         << " threads");
        }
      }
    }
  }
}

// Our threads and the user's pack into memory of their own.
BOOST_FIXTURE_TEST_CASE(products_from_many_threads_at_once, DefaultThreads) {
  set_num_threads(4);
  const Tensor a = draw({60, 70}, DType::F32, 1), b = draw({70, 80}, DType::F32, 2);
  const std::vector<double> expected = product(a.unsqueeze(0), b.unsqueeze(0));
  std::atomic<int> wrong = 0;
  std::vector<std::thread> users;
  for (int user = 0; user < 4; ++user) {
    users.emplace_back([&] {
      for (int i = 0; i < 200; ++i) {
        const std::vector<float> c = matmul(a, b).to_vector<float>();
        for (std::size_t j = 0; j < c.size(); ++j) {
          if (!(std::abs(c[j] - expected[j]) < 1e-4)) ++wrong;
        }
      }
    });
  }
  for (std::thread& user : users) user.join();
  BOOST_TEST(wrong == 0);
}

BOOST_AUTO_TEST_SUITE_END()
