#include "tensor/linalg.h"

#include <algorithm>
#include <cmath>

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

// While a step is recorded there are no values to look at: what is wrong with a matrix shows as
// results that are not finite.
bool may_look(const Tensor& a) { return !backend_of(a).recording(); }

void check_finite(const char* op, const Tensor& a) {
  NF_CHECK(!may_look(a) || all_finite(a), "[", op, "] the matrix ", a.shape(),
           " holds NaN or infinity");
}

/// The first element of the diagonal that is `wrong`, or -1 when there is none or none to look at.
template <class Wrong>
std::int64_t first_on_diagonal(const Tensor& square, const Wrong& wrong) {
  if (!may_look(square)) return -1;
  const std::int64_t n = square.dim(0);
  const auto values = square.reshape({-1}).slice(0, 0, n, n + 1).to_vector<double>();
  const auto found = std::find_if(values.begin(), values.end(), wrong);
  return found == values.end() ? -1 : found - values.begin();
}

bool is_zero(double x) { return x == 0; }

/// What the backend makes of a square matrix.
struct Factors {
  Tensor packed, pivots, det;  // f64 (n, n), i32 (n), f64 (2)
};

Factors factorise(const char* op, const Tensor& a) {
  Factors f{square_copy(op, a), Tensor::empty({a.dim(0)}, DType::I32, a.device()),
            Tensor::zeros({2}, DType::F64, a.device())};
  check_finite(op, f.packed);
  if (f.packed.numel() > 0) {
    backend_of(f.packed).lu(f.packed, f.pivots, f.det);
  } else {
    f.det.narrow(0, 0, 1).fill_(1);
  }
  return f;
}

}  // namespace

Tensor cholesky(const Tensor& a) {
  Tensor l = square_copy("cholesky", a);
  if (l.numel() == 0) return a.clone();
  backend_of(l).cholesky(l);
  const std::int64_t bad = first_on_diagonal(l, [](double x) { return x == -HUGE_VAL; });
  NF_CHECK(bad < 0, "[cholesky] the matrix ", a.shape(),
           " is not positive definite: its leading minor of order ", bad + 1,
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
  const std::int64_t zero = options.unit_diagonal ? -1 : first_on_diagonal(triangle, is_zero);
  NF_CHECK(zero < 0, "[triangular_solve] A ", a.shape(), " is singular: diagonal element ", zero,
           " is 0");
  backend_of(x).triangular_solve(triangle, options.lower, options.transpose, options.unit_diagonal,
                                 x);
  NF_CHECK(!may_look(x) || all_finite(x), "[triangular_solve] the solution is not finite: A ",
           a.shape(), " or B ", b.shape(), " holds NaN or infinity, or A is all but singular");
  return x.to(b.dtype());
}

LU lu(const Tensor& a) {
  const Factors f = factorise("lu", a);
  return {f.packed.to(a.dtype()), f.pivots};
}

SLogDet slogdet(const Tensor& a) {
  const Tensor det = factorise("slogdet", a).det.to(a.dtype());
  return {det.narrow(0, 0, 1).reshape({}), det.narrow(0, 1, 1).reshape({})};
}

Tensor inverse(const Tensor& a) {
  const Factors f = factorise("inverse", a);
  if (a.numel() == 0) return a.clone();
  const std::int64_t zero = first_on_diagonal(f.packed, is_zero);
  NF_CHECK(zero < 0, "[inverse] the matrix ", a.shape(), " is singular: pivot ", zero, " is 0");
  Tensor x = f.packed.empty_like();
  backend_of(x).lu_inverse(f.packed, f.pivots, x);
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
