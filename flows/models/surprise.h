// Which columns of a row are unusual, given the others.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "flows/models/any_order.h"

namespace nf::flows {

/// f64 (N, D): the mean of -ln p(x_i | some of the others) over 8 sets of columns that are known,
/// and that do not have i; NaN of missing cells. The sets are drawn once, from a fixed seed: a row
/// has the same numbers wherever it stands. `given`: (N, G) of a conditional density.
Tensor surprises(AnyOrder& density, const Tensor& x, const Tensor& given = {});

/// The surprises of held-out rows: what is usual for each column. A category of two values is
/// never very surprising, a number of many digits always is.
class UsualSurprises {
 public:
  /// held_out: f64 (M, D), NaN for missing cells. Throws Error without rows.
  explicit UsualSurprises(const Tensor& held_out);

  /// Columns (from 0) of a row with these surprises that are unusual, at most 3, the most unusual
  /// first: those whose p-value, (k + 1) / (m + 1) with k of the column's m held-out surprises at
  /// least as large, is at most 0.05 / D, or the least that there is. Of ordinary rows about one in
  /// twenty has one, where there are enough held-out rows.
  std::vector<std::size_t> unusual(const std::vector<double>& surprises) const;

 private:
  struct Column {
    std::vector<double> sorted;  // ascending
    double mean = 0, deviation = 1;
  };
  std::vector<Column> columns_;
};

}  // namespace nf::flows
