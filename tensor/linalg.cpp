#include "tensor/linalg.h"

#include <cmath>
#include <utility>
#include <vector>

#include "tensor/backend.h"
#include "tensor/ops.h"

namespace nf {
namespace {

/// A fresh contiguous f64 copy for the backend to overwrite.
Tensor working_copy(const char* op, const Tensor& a) {
  NF_CHECK(a.defined() && is_float(a.dtype()) && a.rank() == 2, "[", op,
           "] needs an f32 or f64 matrix, got ", describe(a));
  Tensor copy = Tensor::empty(a.shape(), DType::F64, a.device());
  return copy.copy_(a);
}

Tensor square_copy(const char* op, const Tensor& a) {
  const Tensor copy = working_copy(op, a);
  NF_CHECK(a.dim(0) == a.dim(1), "[", op, "] needs a square matrix, got ", a.shape());
  return copy;
}

void check_finite(const char* op, const Tensor& a) {
  NF_CHECK(all_finite(a), "[", op, "] the matrix ", a.shape(), " holds NaN or infinity");
}

Tensor diagonal(const Tensor& square) {
  const std::int64_t n = square.dim(0);
  return square.reshape({-1}).slice(0, 0, n, n + 1);
}

}  // namespace

Tensor cholesky(const Tensor& a) {
  Tensor l = square_copy("cholesky", a);
  if (l.numel() == 0) return a.clone();
  const int info = backend_of(l).cholesky(l);
  NF_CHECK(info == 0, "[cholesky] the matrix ", a.shape(),
           " is not positive definite: its leading minor of order ", info,
           " is not positive; add a small number to the diagonal");
  check_finite("cholesky", l);  // the result: what stands above A's diagonal does not matter
  return l.to(a.dtype());
}

Tensor triangular_solve(const Tensor& a, const Tensor& b, TriangularOptions options) {
  const Tensor triangle = square_copy("triangular_solve", a);
  Tensor x = working_copy("triangular_solve", b);
  NF_CHECK(a.dim(0) == b.dim(0) && a.dtype() == b.dtype() && a.device() == b.device(),
           "[triangular_solve] A is ", describe(a), ", B is ", describe(b),
           "; expected (n, n) and (n, k) of one dtype on one device");
  if (x.numel() == 0) return b.clone();
  const int info = backend_of(x).triangular_solve(triangle, options.lower, options.transpose,
                                                  options.unit_diagonal, x);
  NF_CHECK(info == 0, "[triangular_solve] A ", a.shape(), " is singular: diagonal element ",
           info - 1, " is 0");
  NF_CHECK(all_finite(x), "[triangular_solve] the solution is not finite: A ", a.shape(), " or B ",
           b.shape(), " holds NaN or infinity, or A is all but singular");
  return x.to(b.dtype());
}

LU lu(const Tensor& a) {
  Tensor packed = square_copy("lu", a);
  check_finite("lu", packed);
  Tensor pivots = Tensor::empty({a.dim(0)}, DType::I32, a.device());
  if (packed.numel() > 0) backend_of(packed).lu(packed, pivots);
  return {packed.to(a.dtype()), pivots};
}

SLogDet slogdet(const Tensor& a) {
  Tensor packed = square_copy("slogdet", a);
  check_finite("slogdet", packed);
  double sign = 1, logdet = 0;
  if (packed.numel() > 0) {
    Tensor pivots = Tensor::empty({a.dim(0)}, DType::I32, a.device());
    backend_of(packed).lu(packed, pivots);
    const auto swapped_with = pivots.to_vector<std::int32_t>();
    for (std::size_t i = 0; i < swapped_with.size(); ++i) {
      if (swapped_with[i] != static_cast<std::int32_t>(i)) sign = -sign;
    }
    for (const double u : diagonal(packed).to_vector<double>()) {
      sign = u == 0 ? 0 : u < 0 ? -sign : sign;
      logdet += std::log(std::abs(u));
    }
  }
  return {Tensor::full({}, sign + 0.0, a.dtype(), a.device()),  // no -0
          Tensor::full({}, logdet, a.dtype(), a.device())};
}

Tensor inverse(const Tensor& a) {
  Tensor packed = square_copy("inverse", a);
  check_finite("inverse", packed);
  if (packed.numel() == 0) return a.clone();
  Tensor pivots = Tensor::empty({a.dim(0)}, DType::I32, a.device());
  const int info = backend_of(packed).lu(packed, pivots);
  NF_CHECK(info == 0, "[inverse] the matrix ", a.shape(), " is singular: pivot ", info - 1,
           " is 0");
  // A^-1 = U^-1 L^-1 P, with row i of P the unit vector order[i].
  auto order = Tensor::arange(a.dim(0), DType::I32).to_vector<std::int32_t>();
  const auto swapped_with = pivots.to_vector<std::int32_t>();
  for (std::size_t i = 0; i < order.size(); ++i) {
    std::swap(order[i], order[static_cast<std::size_t>(swapped_with[i])]);
  }
  const Tensor eye = Tensor::eye(a.dim(0), DType::F64).to(a.device());
  Tensor x = index_select(eye, 0, Tensor::from(order, {a.dim(0)}).to(a.device()));
  backend_of(x).triangular_solve(packed, true, false, true, x);
  backend_of(x).triangular_solve(packed, false, false, false, x);
  return x.to(a.dtype());
}

QR qr(const Tensor& a) {
  Tensor q = working_copy("qr", a);
  NF_CHECK(a.dim(0) >= a.dim(1), "[qr] needs at least as many rows as columns, got ", a.shape());
  check_finite("qr", q);
  Tensor r = Tensor::empty({a.dim(1), a.dim(1)}, DType::F64, a.device());
  if (q.numel() > 0) {
    const int info = backend_of(q).qr(q, r);
    NF_CHECK(info == 0, "[qr] LAPACK failed with info ", info);
  }
  return {q.to(a.dtype()), r.to(a.dtype())};
}

Eigh eigh(const Tensor& a) {
  Tensor v = square_copy("eigh", a);
  check_finite("eigh", v);
  Tensor values = Tensor::empty({a.dim(0)}, DType::F64, a.device());
  if (v.numel() > 0) {
    const double asymmetry = max(abs(v - v.t())).item(), size = max(abs(v)).item();
    NF_CHECK(asymmetry <= 1e-4 * size, "[eigh] the matrix ", a.shape(),
             " is not symmetric: elements differ from their mirror images by up to ", asymmetry,
             "; symmetrise it as (A + A^T)/2");
    const int info = backend_of(v).eigh(v, values);
    NF_CHECK(info == 0, "[eigh] no convergence for the matrix ", a.shape());
  }
  return {values.to(a.dtype()), v.to(a.dtype())};
}

}  // namespace nf
