// Columns that lie between bounds go to the whole line.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "flows/bijection.h"

namespace nf::flows {

/// Each column of a table by the bounds that it has, l < x < h:
///
///     both     z = ln(x - l) - ln(h - x)     ln|dz/dx| = ln(h - l) - ln(x - l) - ln(h - x)
///     l alone  z = ln(x - l)                 ln|dz/dx| = -ln(x - l)
///     h alone  z = -ln(h - x)                ln|dz/dx| = -ln(h - x)
///     none     z = x                         0
///
/// At a bound and beyond log_det is -infinity, since there is no density; the inverse never gives
/// such a number. Both directions compute in f64 and give f64, for a Standardize behind: between
/// 0.999 and 1 f32 has few numbers.
class Bounded : public Bijection {
 public:
  /// {l, h} of each of D columns, infinite where there is no bound. Throws Error for l >= h.
  explicit Bounded(const std::vector<std::pair<double, double>>& bounds);
  Mapped forward(const Var& x, const Var& context = {}) override;
  Mapped inverse(const Var& z, const Var& context = {}) override;
  /// NaN at a bound and beyond: what cannot be has no latents.
  Var encode(const Var& x, const Var& context = {}) override;
  /// What forward() sums: z and ln|dz/dx| of each column, f64 (N, D).
  struct Columns {
    Var value, log_slope;
  };
  Columns columns(const Var& x) const;
  bool takes_f64() const override { return true; }
  double flops(const Shape& in) const override;
  std::string kind() const override;

 private:
  /// The sum of the rows of a buffer, f64 (D).
  static Tensor whole(const Tensor& parts);
  /// u8 (D): which ends the columns have.
  struct Ends {
    Tensor low, high, both, one, any;
  };
  Ends ends() const;

  // Three f32 hold all digits of an f64. 0 where there is no bound.
  Tensor& low_;   // (3, D), of which the sum is l
  Tensor& high_;  // (3, D)
  Tensor& ends_;  // (2, D), 1 where there is l, and where there is h
};

}  // namespace nf::flows
