#include "web/small_lapack.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>

#include "tensor/error.h"

namespace nf::web {

namespace {

using Index = std::int64_t;

/// A matrix whose columns lie one behind the other, `lead` numbers apart.
struct Columns {
  double* data;
  Index lead;
  double& operator()(Index i, Index j) const { return data[i + j * lead]; }
};

/// op(A) X = B for B (m, n), in place; both row-major.
void solve_triangular(int, int, int uplo, int trans, int diag, int m, int n, double,
                      const double* a, int lda, double* b, int ldb) {
  const bool transposed = trans == cblas::kTrans, unit = diag == cblas::kUnit;
  const bool forwards = (uplo == cblas::kLower) != transposed;
  const auto at = [&](Index i, Index j) { return transposed ? a[j * lda + i] : a[i * lda + j]; };
  for (Index s = 0; s < m; ++s) {
    const Index i = forwards ? s : m - 1 - s;
    for (Index t = 0; t < s; ++t) {
      const Index k = forwards ? t : m - 1 - t;
      const double factor = at(i, k);
      for (Index j = 0; j < n; ++j) b[i * ldb + j] -= factor * b[k * ldb + j];
    }
    if (unit) continue;
    for (Index j = 0; j < n; ++j) b[i * ldb + j] /= at(i, i);
  }
}

/// A = U^T U, column after column of U.
void cholesky(const char*, const int* n, double* data, const int* lda, int* info) {
  const Columns a{data, *lda};
  *info = 0;
  for (Index j = 0; j < *n; ++j) {
    for (Index i = 0; i <= j; ++i) {
      double rest = a(i, j);
      for (Index k = 0; k < i; ++k) rest -= a(k, i) * a(k, j);
      if (i < j) {
        a(i, j) = rest / a(i, i);
      } else if (rest > 0) {
        a(j, j) = std::sqrt(rest);
      } else {
        *info = static_cast<int>(j + 1);
        return;
      }
    }
  }
}

/// P A = L U, with the largest number of a column as its pivot; pivots count from 1.
void lu(const int* m, const int* n, double* data, const int* lda, int* pivots, int* info) {
  const Columns a{data, *lda};
  *info = 0;
  for (Index k = 0; k < std::min(*m, *n); ++k) {
    Index best = k;
    for (Index i = k + 1; i < *m; ++i) {
      if (std::abs(a(i, k)) > std::abs(a(best, k))) best = i;
    }
    pivots[k] = static_cast<int>(best + 1);
    if (a(best, k) == 0) {
      if (*info == 0) *info = static_cast<int>(k + 1);
      continue;
    }
    for (Index j = 0; j < *n; ++j) std::swap(a(k, j), a(best, j));
    for (Index i = k + 1; i < *m; ++i) a(i, k) /= a(k, k);
    for (Index j = k + 1; j < *n; ++j) {
      for (Index i = k + 1; i < *m; ++i) a(i, j) -= a(i, k) * a(k, j);
    }
  }
}

/// Rows [i + 1, m) of A times I - tau v v^T, v = (1, the rest of row i), on columns [i, n).
void reflect_rows(const Columns& a, Index i, Index m, Index n, double tau) {
  for (Index r = i + 1; r < m; ++r) {
    double dot = a(r, i);
    for (Index j = i + 1; j < n; ++j) dot += a(r, j) * a(i, j);
    a(r, i) -= tau * dot;
    for (Index j = i + 1; j < n; ++j) a(r, j) -= tau * dot * a(i, j);
  }
}

/// A (m, n) = L Q by Householder's reflections, whose vectors stay in the rows of A.
void lq(const int* m, const int* n, double* data, const int* lda, double* tau, double* work,
        const int* lwork, int* info) {
  *info = 0;
  if (*lwork < 0) return static_cast<void>(*work = 1);
  const Columns a{data, *lda};
  for (Index i = 0; i < std::min(*m, *n); ++i) {
    double norm = 0;
    for (Index j = i + 1; j < *n; ++j) norm = std::hypot(norm, a(i, j));
    tau[i] = 0;
    if (norm == 0) continue;
    const double first = a(i, i), length = -std::copysign(std::hypot(first, norm), first);
    tau[i] = (length - first) / length;
    for (Index j = i + 1; j < *n; ++j) a(i, j) /= first - length;
    reflect_rows(a, i, *m, *n, tau[i]);
    a(i, i) = length;
  }
}

/// The first m rows of Q, from what lq left.
void q_of_lq(const int* m, const int* n, const int* k, double* data, const int* lda,
             const double* tau, double* work, const int* lwork, int* info) {
  *info = 0;
  if (*lwork < 0) return static_cast<void>(*work = 1);
  const Columns a{data, *lda};
  for (Index i = *k - 1; i >= 0; --i) {
    reflect_rows(a, i, *m, *n, tau[i]);
    for (Index j = i + 1; j < *n; ++j) a(i, j) *= -tau[i];
    a(i, i) = 1 - tau[i];
    for (Index j = 0; j < i; ++j) a(i, j) = 0;
  }
}

[[noreturn]] void not_here(const char* what) {
  fail(str("[linalg] ", what, " need OpenBLAS, which this program is built without"));
}

}  // namespace

BlasFunctions small_lapack() {
  BlasFunctions f{};
  f.sgemm = [](auto...) { not_here("products by NF_MATMUL=openblas"); };
  f.dgemm = [](auto...) { not_here("products by NF_MATMUL=openblas"); };
  f.dsyevd = [](auto...) { not_here("eigenvectors"); };
  f.dtrsm = solve_triangular;
  f.dpotrf = cholesky;
  f.dgetrf = lu;
  f.dgelqf = lq;
  f.dorglq = q_of_lq;
  f.set_num_threads = [](int) {};
  f.config = [] {
    static char none[] = "none";
    return none;
  };
  f.corename = f.config;
  f.parallel = [] { return 1; };
  return f;
}

}  // namespace nf::web
