#include "tensor/linalg.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "tensor/ops.h"
#include "tensor/random.h"

BOOST_AUTO_TEST_SUITE(tensor_linalg)

using namespace nf;

namespace {

constexpr DType kDTypes[] = {DType::F32, DType::F64};
constexpr std::int64_t kSizes[] = {0, 1, 5, 64};

Tensor draw(const Shape& shape, DType dtype, std::uint64_t seed = 1) {
  Generator gen(seed);
  return normal(gen, shape, dtype);
}

/// Symmetric with eigenvalues of at least 1.
Tensor positive(std::int64_t n, DType dtype) {
  const Tensor x = draw({n, n}, dtype, 9);
  return matmul(x, x.t()) * (1.0 / std::max<std::int64_t>(n, 1)) + Tensor::eye(n, dtype);
}

/// Largest difference between elements, allowing for the rounding of dtype and size.
double distance(const Tensor& a, const Tensor& b) {
  BOOST_REQUIRE(a.shape() == b.shape());
  BOOST_REQUIRE(a.dtype() == b.dtype());
  if (a.numel() == 0) return 0;
  const double unit = (a.dtype() == DType::F32 ? 1e-5 : 1e-12) * (1 + max(abs(b)).item());
  return max(abs(a - b)).item() / unit;
}

/// The same matrix, transposed in memory.
Tensor strided(const Tensor& a) { return a.t().clone().t(); }

Tensor triangle(const Tensor& a, bool lower) {  // with the diagonal
  const std::int64_t n = a.dim(0);
  const Tensor i = Tensor::arange(n, a.dtype()).unsqueeze(1), j = i.t();
  return where(lower ? greater_equal(i, j) : less_equal(i, j), a, Tensor::scalar(0, a.dtype()));
}

std::vector<double> diagonal(const Tensor& square) {
  const std::int64_t n = square.dim(0);
  return square.to(DType::F64).reshape({-1}).slice(0, 0, n, n + 1).to_vector<double>();
}

void fails_with(const std::function<void()>& f, const std::string& words) {
  BOOST_CHECK_EXCEPTION(f(), Error, [&](const Error& e) {
    if (std::string(e.what()).find(words) != std::string::npos) return true;
    BOOST_TEST_MESSAGE(e.what());
    return false;
  });
}

}  // namespace

BOOST_AUTO_TEST_CASE(cholesky_factor) {
  for (const DType dtype : kDTypes) {
    for (const std::int64_t n : kSizes) {
      const Tensor a = positive(n, dtype), l = cholesky(a);
      BOOST_TEST(distance(matmul(l, l.t()), a) < 1.0);
      BOOST_TEST(distance(l, triangle(l, true)) == 0.0);
      BOOST_TEST(distance(cholesky(strided(a)), l) < 1.0);
      // What stands above the diagonal is not read.
      const Tensor garbage = Tensor::full({n, n}, NAN, dtype);
      const Tensor i = Tensor::arange(n, dtype).unsqueeze(1);
      BOOST_TEST(distance(cholesky(where(greater_equal(i, i.t()), a, garbage)), l) == 0.0);
    }
  }
  const Tensor known = Tensor::from<double>({4, 12, -16, 12, 37, -43, -16, -43, 98}, {3, 3});
  const Tensor factor = Tensor::from<double>({2, 0, 0, 6, 1, 0, -8, 5, 3}, {3, 3});
  BOOST_TEST(distance(cholesky(known), factor) < 1.0);
}

BOOST_AUTO_TEST_CASE(triangular_systems) {
  for (const DType dtype : kDTypes) {
    for (const std::int64_t n : kSizes) {
      const Tensor full =
          draw({n, n}, dtype) * (0.5 / std::max<std::int64_t>(n, 1)) + Tensor::eye(n, dtype) * 2.0;
      for (const std::int64_t k : {0, 1, 3}) {
        const Tensor b = draw({n, k}, dtype, 2);
        for (const bool lower : {true, false}) {
          for (const bool transpose : {true, false}) {
            for (const bool unit : {true, false}) {
              Tensor a = triangle(full, lower);
              if (unit) a = a - a * Tensor::eye(n, dtype) + Tensor::eye(n, dtype);
              const TriangularOptions options{lower, transpose, unit};
              const Tensor x = triangular_solve(full, b, options);
              BOOST_TEST(distance(matmul(transpose ? a.t() : a, x), b) < 1.0);
              BOOST_TEST(distance(triangular_solve(strided(full), strided(b), options), x) < 1.0);
            }
          }
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(lu_factors_and_determinant) {
  for (const DType dtype : kDTypes) {
    for (const std::int64_t n : kSizes) {
      const Tensor a = draw({n, n}, dtype);
      const auto [packed, pivots] = lu(strided(a));
      const Tensor eye = Tensor::eye(n, dtype);
      const Tensor lower = triangle(packed, true) - packed * eye + eye;
      Tensor product = matmul(lower, triangle(packed, false));
      const auto swapped_with = pivots.to_vector<std::int32_t>();
      for (std::int64_t i = n - 1; i >= 0; --i) {  // undo the exchanges
        const std::int64_t j = swapped_with[static_cast<std::size_t>(i)];
        const Tensor row_i = product.narrow(0, i, 1).clone(),
                     row_j = product.narrow(0, j, 1).clone();
        product.narrow(0, i, 1).copy_(row_j);
        product.narrow(0, j, 1).copy_(row_i);
      }
      BOOST_TEST(distance(product, a) < 1.0);
      BOOST_TEST((n == 0 || max(abs(lower)).item() <= 1.0));

      // det(A A^T) = det(A)^2, and an exchange of rows changes the sign.
      const auto [sign, logdet] = slogdet(a);
      const Tensor l = cholesky(matmul(a.to(DType::F64), a.t().to(DType::F64)));
      double expected = 0;
      for (const double d : diagonal(l)) expected += std::log(d);
      BOOST_TEST(std::abs(logdet.item() - expected) < (dtype == DType::F32 ? 1e-4 : 1e-9));
      BOOST_TEST(std::abs(sign.item()) == 1.0);
      BOOST_TEST(slogdet(a.flip(0)).sign.item() == (n / 2 % 2 == 0 ? 1 : -1) * sign.item());
    }
  }
  // Known values: two exchanges of rows, one, and a singular matrix.
  struct Known {
    std::vector<double> a;
    double sign, logdet;
  };
  const Known known[] = {{{0, 2, 0, 0, 0, 3, 4, 0, 0}, 1, std::log(24)},
                         {{0, 2, 0, 3, 0, 0, 0, 0, 4}, -1, std::log(24)},
                         {{-2, 0, 0, 0, 1, 0, 0, 0, 1}, -1, std::log(2)},
                         {{1, 2, 3, 2, 4, 6, 1, 0, 1}, 0, -INFINITY}};
  for (const Known& k : known) {
    const auto [sign, logdet] = slogdet(Tensor::from(k.a, {3, 3}));
    BOOST_TEST(sign.item() == k.sign);
    BOOST_TEST((logdet.item() == k.logdet || std::abs(logdet.item() - k.logdet) < 1e-12));
    BOOST_TEST(sign.rank() == 0);
  }
  // No overflow where the determinant itself is beyond the range.
  const Tensor large = Tensor::eye(64, DType::F32) * 1e30;
  BOOST_TEST(std::abs(slogdet(large).logdet.item() - 64 * std::log(1e30)) < 1e-2);
}

BOOST_AUTO_TEST_CASE(inverse_matrix) {
  for (const DType dtype : kDTypes) {
    for (const std::int64_t n : kSizes) {
      const Tensor a = draw({n, n}, dtype) + Tensor::eye(n, dtype) * 20.0;
      const Tensor shuffled = a.flip(0);  // needs pivoting
      for (const Tensor& m : {a, shuffled, strided(a)}) {
        BOOST_TEST(distance(matmul(m, inverse(m)), Tensor::eye(n, dtype)) < 1.0);
        BOOST_TEST(distance(matmul(inverse(m), m), Tensor::eye(n, dtype)) < 1.0);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(qr_factors) {
  for (const DType dtype : kDTypes) {
    for (const std::int64_t n : kSizes) {
      for (const std::int64_t more : {0, 7}) {
        const Tensor a = draw({n + more, n}, dtype);
        const auto [q, r] = qr(strided(a));
        BOOST_TEST(distance(matmul(q, r), a) < 1.0);
        BOOST_TEST(distance(matmul(q.t(), q), Tensor::eye(n, dtype)) < 1.0);
        BOOST_TEST(distance(r, triangle(r, false)) == 0.0);
        for (const double d : diagonal(r)) BOOST_TEST(d >= 0);
      }
    }
  }
  const auto [q, r] = qr(Tensor::from<double>({-3, 0, -4, 5}, {2, 2}));
  BOOST_TEST(distance(q, Tensor::from<double>({-0.6, -0.8, -0.8, 0.6}, {2, 2})) < 1.0);
  BOOST_TEST(distance(r, Tensor::from<double>({5, -4, 0, 3}, {2, 2})) < 1.0);
}

BOOST_AUTO_TEST_CASE(symmetric_eigenproblem) {
  for (const DType dtype : kDTypes) {
    for (const std::int64_t n : kSizes) {
      const Tensor x = draw({n, n}, dtype), a = x + x.t();
      const auto [values, vectors] = eigh(strided(a));
      BOOST_TEST(distance(matmul(vectors * values, vectors.t()), a) < 1.0);
      BOOST_TEST(distance(matmul(vectors.t(), vectors), Tensor::eye(n, dtype)) < 1.0);
      const auto v = values.to(DType::F64).to_vector<double>();
      BOOST_TEST(std::is_sorted(v.begin(), v.end()));
    }
  }
  const auto [values, vectors] = eigh(Tensor::from<double>({2, 1, 1, 2}, {2, 2}));
  BOOST_TEST(distance(values, Tensor::from<double>({1, 3}, {2})) < 1.0);
  BOOST_TEST(distance(abs(vectors), Tensor::full({2, 2}, std::sqrt(0.5), DType::F64)) < 1.0);
}

BOOST_AUTO_TEST_CASE(errors_say_what_is_wrong) {
  const Tensor wide = draw({2, 3}, DType::F32), cube = draw({2, 2, 2}, DType::F32);
  const Tensor whole = Tensor::eye(2, DType::I32);
  const std::function<void(const Tensor&)> square[] = {
      [](const Tensor& t) { cholesky(t); }, [](const Tensor& t) { lu(t); },
      [](const Tensor& t) { slogdet(t); },  [](const Tensor& t) { inverse(t); },
      [](const Tensor& t) { eigh(t); },     [](const Tensor& t) { triangular_solve(t, t); }};
  for (const auto& f : square) {
    fails_with([&] { f(wide); }, "square matrix, got (2, 3)");
    for (const Tensor& t : {cube, whole, Tensor()}) fails_with([&] { f(t); }, "f32 or f64 matrix");
    for (const double bad : {std::nan(""), HUGE_VAL}) {
      Tensor t = Tensor::eye(3, DType::F64);
      t.slice(0, 2, 1).fill_(bad);
      fails_with([&] { f(t); }, bad == bad ? "infinity" : "NaN");
    }
  }
  fails_with([&] { qr(wide); }, "at least as many rows as columns, got (2, 3)");
  fails_with([&] { qr(cube); }, "f32 or f64 matrix");
  fails_with([&] { qr(Tensor::full({3, 2}, NAN)); }, "NaN");
  const Tensor indefinite = Tensor::from<double>({1, 2, 2, 1}, {2, 2});
  fails_with([&] { cholesky(indefinite); },
             "[cholesky] the matrix (2, 2) is not positive definite");
  const Tensor singular = Tensor::from<double>({1, 2, 2, 4}, {2, 2});
  fails_with([&] { inverse(singular); }, "[inverse] the matrix (2, 2) is singular: pivot 1");
  const Tensor gap = Tensor::from<double>({1, 0, 2, 0}, {2, 2});
  fails_with([&] { triangular_solve(gap, singular); }, "singular: diagonal element 1 is 0");
  fails_with(
      [&] {
        triangular_solve(gap, draw({3, 1}, DType::F64));
      },
      "expected (n, n) and (n, k)");
  fails_with([&] { triangular_solve(gap, draw({2, 1}, DType::F32)); }, "one dtype");
  fails_with([&] { eigh(Tensor::from<double>({1, 2, 0, 1}, {2, 2})); }, "not symmetric");
}

BOOST_AUTO_TEST_SUITE_END()
