// The Gaussian of a table's numbers as a density that knows any columns given any others: what
// `tabular` becomes where its network is worse.
#pragma once

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "tensor/random.h"
#include "tensor/tensor.h"

namespace nf::flows {

/// Conditionals of a Gaussian over M numbers, in f64. Of a column with bounds each is cut off there
/// and scaled up; of whole numbers it is a probability, the Gaussian's between k - 1/2 and k + 1/2.
/// The product of the conditionals of an order is an exact density of such a row.
class TableGaussian {
 public:
  /// mean (M), covariance (M, M), positive definite; bounds of each column, infinite ones for none;
  /// whole: 1 for columns of whole numbers (M). Throws Error for other shapes.
  TableGaussian(const Tensor& mean, const Tensor& covariance,
                std::vector<std::pair<double, double>> bounds, std::vector<bool> whole);

  /// Rows of numbers (N, M), and which of them are known.
  struct Rows {
    std::vector<double> x;
    std::vector<bool> known;
  };
  /// ln p(x_column | what is known of the row), of N rows; the column itself is never known.
  std::vector<double> log_conditional(const Rows& rows, std::size_t column);
  /// Draws of the column for all rows; the standard normal's are scaled by `temperature`.
  std::vector<double> draw(Generator& gen, const Rows& rows, std::size_t column,
                           double temperature);

 private:
  struct Line {  // mean_column + sum of slopes (x - mean), and the deviation around it
    std::vector<std::size_t> of;
    std::vector<double> slopes;
    double deviation = 0;
  };
  const Line& line_of(const Rows& rows, std::size_t row, std::size_t column);
  double at(const Line& line, const Rows& rows, std::size_t row, std::size_t column) const;

  std::size_t columns_;
  std::vector<double> mean_, covariance_;
  std::vector<std::pair<double, double>> bounds_;
  std::vector<bool> whole_;
  std::map<std::pair<std::size_t, std::vector<bool>>, Line> lines_;  // by column and what is known
};

}  // namespace nf::flows
