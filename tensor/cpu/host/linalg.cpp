// LAPACK, in OpenBLAS, by its Fortran interface. It reads a row-major matrix as its transpose,
// which most factorisations allow for: the one wanted is another one of the transpose.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>
#include <vector>

#include "tensor/blas.h"
#include "tensor/cpu/host/host_backend.h"

namespace nf {
namespace {

/// The size of dimension `axis` as LAPACK counts.
int lapack_int(const Tensor& a, int axis) {
  NF_CHECK(a.dim(axis) <= std::numeric_limits<int>::max(), "[linalg] a matrix of shape ", a.shape(),
           " is more than LAPACK can count");
  return static_cast<int>(a.dim(axis));
}

void transpose_square(double* a, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t j = 0; j < i; ++j) std::swap(a[i * n + j], a[j * n + i]);
  }
}

/// Calls `routine(work, lwork)` twice: to ask for the best size of its workspace, and with it.
template <class Routine>
void with_workspace(const Routine& routine) {
  double best = 0;
  routine(&best, -1);
  std::vector<double> work(static_cast<std::size_t>(std::max(best, 1.0)));
  routine(work.data(), static_cast<int>(work.size()));
}

}  // namespace

void HostBackend::cholesky(Tensor& a) {
  const BlasTurn turn;
  const int n = lapack_int(a, 0);
  double* const data = a.mutable_data<double>();
  int info = 0;
  turn->dpotrf("U", &n, data, &n, &info);  // U of A = U^T U is L^T
  if (info > 0) data[std::int64_t{info - 1} * n + info - 1] = -HUGE_VAL;
  for (std::int64_t i = 0; i < n; ++i) std::fill(data + i * n + i + 1, data + (i + 1) * n, 0.0);
}

void HostBackend::triangular_solve(const Tensor& a, bool lower, bool transpose, bool unit,
                                   Tensor& b) {
  using namespace cblas;
  const int n = lapack_int(a, 0), k = lapack_int(b, 1);
  const BlasTurn turn;
  turn->dtrsm(kRowMajor, kLeft, lower ? kLower : kUpper, transpose ? kTrans : kNoTrans,
              unit ? kUnit : kNonUnit, n, k, 1, a.data<double>(), n, b.mutable_data<double>(), k);
}

void HostBackend::lu(Tensor& a, Tensor& pivots, Tensor& det) {
  const BlasTurn turn;
  const int n = lapack_int(a, 0);
  double* const data = a.mutable_data<double>();
  std::int32_t* const p = pivots.mutable_data<std::int32_t>();
  int info = 0;
  transpose_square(data, n);  // pivoting goes by rows, so here the transpose would not do
  turn->dgetrf(&n, &n, data, &n, p, &info);
  transpose_square(data, n);
  double sign = 1, log_det = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    --p[i];  // LAPACK counts from 1
    const double pivot = data[i * n + i];
    sign = pivot == 0 ? 0 : (pivot < 0) != (p[i] != i) ? -sign : sign;
    log_det += std::log(std::abs(pivot));
  }
  double* const results = det.mutable_data<double>();
  results[0] = sign + 0.0;  // no -0
  results[1] = log_det;
}

void HostBackend::lu_inverse(const Tensor& lu, const Tensor& pivots, Tensor& out) {
  // A^-1 = U^-1 L^-1 P, with row i of P the unit vector order[i].
  const std::int64_t n = lu.dim(0);
  const std::int32_t* const p = pivots.data<std::int32_t>();
  std::vector<std::int64_t> order(static_cast<std::size_t>(n));
  std::iota(order.begin(), order.end(), std::int64_t{0});
  for (std::int64_t i = 0; i < n; ++i) std::swap(order[i], order[p[i]]);
  double* const x = out.mutable_data<double>();
  std::fill_n(x, n * n, 0.0);
  for (std::int64_t i = 0; i < n; ++i) x[i * n + order[i]] = 1;
  triangular_solve(lu, true, false, true, out);
  triangular_solve(lu, false, false, false, out);
}

int HostBackend::qr(Tensor& a, Tensor& r) {
  const BlasTurn turn;
  const std::int64_t m = lapack_int(a, 0), n = lapack_int(a, 1);
  const int rows = static_cast<int>(m), cols = static_cast<int>(n);
  double* const q = a.mutable_data<double>();
  double* const upper = r.mutable_data<double>();
  std::vector<double> tau(static_cast<std::size_t>(n));
  int info = 0;
  // A^T = L Q', so A = Q'^T L^T.
  with_workspace([&](double* work, int size) {
    turn->dgelqf(&cols, &rows, q, &cols, tau.data(), work, &size, &info);
  });
  if (info != 0) return info;
  for (std::int64_t i = 0; i < n; ++i) {
    std::fill_n(upper + i * n, i, 0.0);
    std::copy(q + i * n + i, q + (i + 1) * n, upper + i * n + i);
  }
  with_workspace([&](double* work, int size) {
    turn->dorglq(&cols, &rows, &cols, q, &cols, tau.data(), work, &size, &info);
  });
  // A diagonal >= 0: change the signs of a row of R and of the same column of Q.
  for (std::int64_t i = 0; i < n; ++i) {
    if (upper[i * n + i] >= 0) continue;
    for (std::int64_t j = i; j < n; ++j) upper[i * n + j] = -upper[i * n + j];
    for (std::int64_t j = 0; j < m; ++j) q[j * n + i] = -q[j * n + i];
  }
  return info;
}

int HostBackend::eigh(Tensor& a, Tensor& values) {
  const BlasTurn turn;
  const int n = lapack_int(a, 0);
  double* const v = a.mutable_data<double>();
  double* const w = values.mutable_data<double>();
  int info = 0, int_size = -1, best_int_size = 0;
  std::vector<int> int_work;
  with_workspace([&](double* work, int size) {
    int* const iwork = size < 0 ? &best_int_size : int_work.data();
    turn->dsyevd("V", "U", &n, v, &n, w, work, &size, iwork, &int_size, &info);
    int_work.resize(static_cast<std::size_t>(best_int_size));
    int_size = best_int_size;
  });
  transpose_square(v, n);  // eigenvectors from rows into columns
  return info;
}

}  // namespace nf
