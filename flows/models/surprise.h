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
  /// first: those that surprise by more than all columns of nearly all held-out rows do. How much
  /// a column surprises is the share of its held-out surprises that are at least as large; of equal
  /// shares, as beyond all of them, by how many deviations it is above their mean. Of a held-out
  /// row its own surprise is left out on both counts.
  std::vector<std::size_t> unusual(const std::vector<double>& surprises) const;
  /// How many of ordinary rows have one, whatever the number of columns: k / (M + 1) is 1/20 or a
  /// little less; of fewer than 19 held-out rows 1 / (M + 1).
  double level() const { return level_; }

 private:
  struct Column {
    std::vector<double> sorted;  // ascending
    double mean = 0, squares = 0;
  };
  // The most surprising least.
  struct Surprise {
    double share = 2, deviations = 0;
    bool operator<(const Surprise& other) const {
      return share != other.share ? share < other.share : deviations > other.deviations;
    }
  };
  Surprise in_column(std::size_t column, double surprise, bool held_out) const;

  std::vector<Column> columns_;
  Surprise usual_;  // of what is unusual each is below it
  double level_ = 0;
};

}  // namespace nf::flows
