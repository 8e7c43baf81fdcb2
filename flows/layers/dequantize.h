// Levels and whole numbers become reals by noise.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "flows/transform.h"

namespace nf::flows {

/// Levels 0..K-1 to reals in [0, K): z = x + u, u ~ U[0, 1) fresh for every element of every call
/// (of a placed generator: for every sample and round).
/// log_det 0; the expected log density is then a lower bound of the log probability of the level
/// (Uria, Murray, Larochelle 2013; Theis et al. 2016). inverse takes the floor, clamped to 0..K-1;
/// NaN and infinity stay what they are.
/// x may be u8 (becomes f32). Not differentiable in x.
class Dequantize : public Transform {
 public:
  Dequantize(const Generator& noise, int levels = 256);
  Mapped forward(const Var& x, const Var& context = {}) override;
  Mapped inverse(const Var& z, const Var& context = {}) override;
  Mapped forward_rows(const Tensor& data, const Tensor& rows, const Var& context = {}) override;
  Var encode(const Var& x, const Var& context = {}) override;  ///< x + 1/2
  int levels() const override { return levels_; }
  double flops(const Shape& in) const override;
  std::string kind() const override { return str("Dequantize(", levels_, " levels)"); }

 protected:
  Generator& noise() { return noise_; }
  /// Levels as floats: f64 stay f64, all else becomes f32.
  static Tensor as_floats(const Tensor& x);
  /// x + u; where floats round that up to x + 1, the number below.
  static Var between_levels(const Tensor& x, const Var& u);

 private:
  Generator& noise_;
  int levels_;
};

/// Whole numbers in some columns of a table become reals: z = x + u there, u ~ U[0, 1) fresh at
/// every call, and z = x in the others. log_det 0; like Dequantize, of which only the range is
/// missing, it makes the expected log density a lower bound. inverse takes the floor. The output is
/// f64, for a Standardize behind it: in f32 no noise is left beside large numbers. Not
/// differentiable in x.
class DequantizeColumns : public Transform {
 public:
  /// `columns`: positions from 0 of D dimensions.
  DequantizeColumns(const Generator& noise, std::int64_t dims,
                    const std::vector<std::int32_t>& columns);
  Mapped forward(const Var& x, const Var& context = {}) override;
  Mapped inverse(const Var& z, const Var& context = {}) override;
  Var encode(const Var& x, const Var& context = {}) override;  ///< x + 1/2 in these columns
  Tensor whole_columns() const override { return integer_; }
  bool takes_f64() const override { return true; }
  std::string kind() const override;

 private:
  Generator& noise_;
  Tensor& integer_;  // (D), 1 for the columns of whole numbers, else 0
};

}  // namespace nf::flows
