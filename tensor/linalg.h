// Linear algebra of one square (or tall) matrix: by the LAPACK that OpenBLAS carries, on CUDA by
// kernels of our own (qr and eigh by LAPACK there too).
//
// Whatever the input's dtype, the work is done in f64 and the result converted back: these matrices
// are small, and log-determinants lose digits in f32. Every function throws Error for a non-matrix,
// and says when the matrix is singular, not positive definite or not finite; but in a step that is
// recorded (graph.h), which cannot look, such a matrix gives results that are not finite.
#pragma once

#include "tensor/tensor.h"

namespace nf {

/// Lower-triangular L with A = L L^T. Only A's lower triangle is read.
Tensor cholesky(const Tensor& a);

/// Solves A X = B (or A^T X = B) for triangular A (n, n), B (n, k).
struct TriangularOptions {
  bool lower = true;
  bool transpose = false;
  bool unit_diagonal = false;
};
Tensor triangular_solve(const Tensor& a, const Tensor& b, TriangularOptions options = {});

/// P A = L U with partial pivoting. `packed` holds L (unit diagonal, below) and U; `pivots` (i32):
/// row i was swapped with row pivots[i], in this order. A singular A is no error here.
struct LU {
  Tensor packed;
  Tensor pivots;
};
LU lu(const Tensor& a);

/// sign (-1, 0 or 1) and log|det A| (-inf when singular), both scalars of A's dtype.
struct SLogDet {
  Tensor sign;
  Tensor logdet;
};
SLogDet slogdet(const Tensor& a);

Tensor inverse(const Tensor& a);

/// A (m, n) = Q R, m >= n, Q (m, n) with orthonormal columns, R (n, n) upper with diagonal >= 0
/// (which makes it unique, and Q of a normal matrix uniformly distributed over rotations).
struct QR {
  Tensor q;
  Tensor r;
};
QR qr(const Tensor& a);

/// Symmetric A = V diag(values) V^T, values ascending, eigenvectors in V's columns.
struct Eigh {
  Tensor values;
  Tensor vectors;
};
Eigh eigh(const Tensor& a);

}  // namespace nf
