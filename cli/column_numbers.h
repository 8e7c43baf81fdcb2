// The numbers of one column as text.
#pragma once

#include <string>
#include <vector>

namespace nf::cli {

/// Writes the numbers of a column with as many digits as tell its values apart, and no more:
/// 1701092650 of times of which each is seconds after another, 2.1214e-05 of rates around that.
class ColumnNumbers {
 public:
  /// Of the column's values, or many of them: finite, in ascending order. About four digits of the
  /// least distance between five quantiles (5 to 95 %), of a skewed column where it is dense; that
  /// distance counts as a thousandth of their range at least.
  explicit ColumnNumbers(const std::vector<double>& sorted);
  /// "12", where all of the column are whole numbers and this one is; "3.1e-09" of a column above
  /// 0, in which it would look like 0; "nan" and "inf" as such.
  std::string text(double value) const;

 private:
  bool whole_ = false;
  bool one_sign_ = false;
  int decimals_ = 0;
  int digits_ = 5;  // where so many decimals would be too long
};

}  // namespace nf::cli
