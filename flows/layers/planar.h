// Planar and radial flows: one bend of the space each, along a direction or around a point. Source:
// Rezende, Mohamed, "Variational inference with normalizing flows" (2015), section 4 and appendix
// A.
#pragma once

#include <string>

#include "flows/bijection.h"
#include "flows/layers/amortised.h"

namespace nf::flows {

/// forward(z) = z + u' tanh(w.z + b) for rows (N, D), u' = u + (m(w.u) - w.u) w / |w|^2 with
/// m(a) = -1 + softplus(a), softplus(a) being 1e-4 at least: so w.u' > -1, and forward is
/// invertible whatever u and w are (appendix A.1). Where |w| < 1e-4, w is taken for 0 and u' for u.
/// log_det = ln|1 + (1 - tanh^2) w.u'|. It begins near the identity.
///
/// forward is the formula and inverse a search, here and in Radial and Sylvester: forward carries a
/// posterior's z0 to zK. In a density, whose draws run through `inverse`, `Invert` of the layer
/// makes draws the formula, and the layer itself scores.
///
/// inverse solves s + w.u' tanh(s) = w.y + b for one number of each row, to the last bits of the
/// type, with gradients (tanh_step_root).
class Planar : public Bijection {
 public:
  /// context: columns of the context that u, w and b are a linear function of; 0: they are the
  /// layer's own.
  Planar(std::int64_t dims, Generator& gen, std::int64_t context = 0);
  /// Throws Error for other rows, and for a context that does not fit.
  Mapped forward(const Var& z, const Var& context = {}) override;
  Mapped inverse(const Var& y, const Var& context = {}) override;
  std::string kind() const override { return str("Planar(", dims_, ")"); }
  double flops(const Shape& in) const override;

 private:
  struct Numbers {
    Var w, b, u;       // (1 or N, D), (.., 1), u' (.., D)
    Var along, slope;  // w.u' and 1 + w.u' (.., 1), each without cancellation
  };
  Numbers numbers(const Var& x, const Var& context) const;

  std::int64_t dims_;
  Amortised& parameters_;
};

/// forward(z) = z + beta' (z - c) / (alpha + r) for rows (N, D), r = |z - c|, alpha > 0 and
/// beta' = -alpha + softplus(beta) > -alpha (appendix A.2), alpha the softplus of a parameter, each
/// softplus being 1e-4 at least. log_det = (D - 1) ln(1 + beta' h) + ln(1 + beta' alpha h^2) with
/// h = 1 / (alpha + r). It begins near the identity. Directions as in Planar.
///
/// inverse is a formula too: |y - c| = r (r + softplus(beta)) / (r + alpha) is quadratic in r.
class Radial : public Bijection {
 public:
  /// context: as in Planar, for c, alpha and beta.
  Radial(std::int64_t dims, Generator& gen, std::int64_t context = 0);
  Mapped forward(const Var& z, const Var& context = {}) override;
  Mapped inverse(const Var& y, const Var& context = {}) override;
  std::string kind() const override { return str("Radial(", dims_, ")"); }
  double flops(const Shape& in) const override;

 private:
  struct Numbers {
    Var center, alpha, reach;  // (1 or N, D), (.., 1), softplus(beta) = alpha + beta' (.., 1)
  };
  Numbers numbers(const Var& x, const Var& context) const;
  Var log_det(const Var& r, const Numbers& of) const;

  std::int64_t dims_;
  Amortised& parameters_;
};

}  // namespace nf::flows
