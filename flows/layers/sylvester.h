// Sylvester flows: planar flows in several directions at once. Source: van den Berg, Hasenclever,
// Tomczak, Welling, "Sylvester normalizing flows for variational inference" (2018).
#pragma once

#include <string>

#include "flows/bijection.h"
#include "flows/layers/amortised.h"

namespace nf::flows {

struct SylvesterOptions {
  enum class Basis {
    Orthogonal,   ///< Q (D, M) from any matrix, by iterations
    Householder,  ///< Q (D, D) a product of reflections
    Triangular    ///< Q the identity, or with `reversed` the dimensions in reverse order
  };
  std::int64_t dims = 0;
  Basis basis = Basis::Orthogonal;
  std::int64_t columns = 8;      ///< M of Orthogonal; D where there are fewer
  std::int64_t reflections = 8;  ///< of Householder
  bool reversed = false;         ///< of Triangular: in turns, so that all dimensions meet
  std::int64_t context = 0;      ///< columns of the context; 0: the layer has its own numbers
};

/// forward(z) = z + Q R tanh(R~ Q^T z + b) for rows (N, D); Q (D, M) has orthonormal columns, R and
/// R~ (M, M) are upper triangular, with diagonals below 1 in size by tanh: so r_ii r~_ii > -1 and
/// the map is invertible (theorem 2). log_det = sum_i ln(1 + tanh'(..)_i r_ii r~_ii). It begins
/// near the identity. Directions as in Planar.
///
/// Q of Orthogonal is found by Q <- Q (I + (I - Q^T Q) / 2) (Bjorck, Bowie 1971) from a matrix of
/// Frobenius norm 1, until |I - Q^T Q| is below 1e-4 in f32, 1e-7 in f64, and once more, which
/// squares that. A sample whose columns depend on each other, so that 100 steps do not do, becomes
/// NaN.
///
/// inverse: v = Q^T z solves v + R tanh(R~ v + b) = Q^T y, a triangular system: one number after
/// the other from the last, each to the last bits of the type, with gradients (tanh_step_root).
class Sylvester : public Bijection {
 public:
  /// Throws Error for sizes below 1.
  Sylvester(const SylvesterOptions& options, Generator& gen);
  /// Throws Error for other rows, and for a context that does not fit.
  Mapped forward(const Var& z, const Var& context = {}) override;
  Mapped inverse(const Var& y, const Var& context = {}) override;
  std::string kind() const override;
  double flops(const Shape& in) const override;

 private:
  struct Numbers {
    Var r, r_tilde;  // (1 or N, M, M)
    Var bias;        // (.., M)
    Var slopes;      // 1 + r_ii r~_ii (.., M)
    Var q;           // (.., D, M) orthonormal, (.., H, D) of length 1, or undefined
  };
  Numbers numbers(const Var& x, const Var& context) const;
  Var upper(const Var& packed) const;
  Var lifted(const Var& x) const;
  Var to_basis(Var x, const Numbers& of) const;
  Var from_basis(Var v, const Numbers& of) const;

  SylvesterOptions options_;
  std::int64_t rank_;  // M
  Tensor places_;      // i32 (M * M): which of the packed numbers stands there; the last one is 0
  Amortised& parameters_;
};

}  // namespace nf::flows
