// The baselines of a table whose columns may be categories, and whose cells may be missing.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "flows/examine/baselines.h"

namespace nf::flows {

/// Whether cells of rows (N, D) are missing: NaN among reals.
bool has_gaps(const Tensor& x);

/// Baselines of the numbers, and for each category the frequencies of its values, one count added
/// to all of them: independent of the other columns in both densities, since a Gaussian knows no
/// categories. Of data without categories and gaps these are Baselines.
///
/// NaN is a missing cell. Fitted are the rows without one; a row with gaps has the marginal density
/// of the cells that are there.
class TableBaselines {
 public:
  /// As Baselines; `categories`: K of each column that holds 0..K-1, 0 of numbers; none: numbers
  /// alone. Throws Error where no row has all its numbers.
  explicit TableBaselines(const Tensor& train, const std::vector<std::int32_t>& integer = {},
                          const Tensor& given = {}, std::int64_t classes = 0, int level_count = 256,
                          const std::vector<std::int32_t>& categories = {});

  /// Whether some row has all its numbers.
  static bool can_fit(const Tensor& train, const std::vector<std::int32_t>& categories);
  /// What state() gave, from a file: throws Error, which begins with `where`, for anything else.
  static TableBaselines from(const std::map<std::string, Tensor>& state, const std::string& where);
  nn::StateDict state() const;  ///< f64

  /// As Baselines::scores. Of a conditional density NaN for rows with gaps.
  Baselines::Scores scores(const Tensor& x, const Tensor& given = {}) const;
  bool conditional() const { return numbers_ && numbers_->conditional(); }
  /// The Gaussian's mean (M) and covariance (M, M) of the columns of numbers, and ln of the
  /// frequency of each value of the categories, all f64; undefined without such columns. Nothing of
  /// a conditional density, and where there is no Gaussian.
  struct Moments {
    Tensor mean, covariance, log_frequency;
  };
  std::optional<Moments> moments() const;
  /// Training rows, and those of them without gaps in numbers, to which numbers are fitted; 0 and 0
  /// where that is not known.
  std::int64_t rows() const { return rows_; }
  std::int64_t fitted_rows() const { return fitted_rows_; }

 private:
  TableBaselines() = default;
  void take_kinds(const std::vector<std::int32_t>& categories);
  Tensor numbers_of(const Tensor& x) const;
  void add_categories(const Tensor& x, std::vector<double>& scores) const;
  std::vector<double> all_frequencies() const;

  std::int64_t rows_ = 0, fitted_rows_ = 0;
  std::optional<Baselines> numbers_;          // none: all columns are categories
  std::vector<std::int32_t> kinds_;           // K of each column, 0 of numbers; none: numbers alone
  std::vector<std::int32_t> number_columns_;  // with kinds_
  std::vector<std::vector<double>> frequency_;  // of each column, ln; none of numbers
};

}  // namespace nf::flows
