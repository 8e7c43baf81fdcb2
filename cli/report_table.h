// What `report` shows of a table: its columns beside those of samples, and the rows that are least
// likely.
#pragma once

#include <string>
#include <vector>

#include "tensor/tensor.h"

namespace nf::cli {

/// Rows and samples of a model, as columns of reals: (N, D) and (M, D), f64 on the CPU. Cells that
/// are not finite are left out, each in its own column.
struct TwoTables {
  std::vector<std::string> names;  ///< D
  Tensor rows, samples;
  /// None, or of each column what stands for 0, 1, ... in a category; none of numbers.
  std::vector<std::vector<std::string>> categories = {};

  bool category(std::size_t column) const {
    return !categories.empty() && !categories[column].empty();
  }
};

/// Of the first 24 columns: a histogram of each column of numbers, quantiles of both sides, how
/// many have each value of a category, the correlations that differ most, and the pairs of columns
/// of numbers that depend most on each other as points.
std::string html_columns(const TwoTables& tables);

/// The rows of least density, with their values. `scores`: log densities of the rows, nats;
/// `numbers`: i32 (N), of the rows in their file from 0, or undefined.
std::string html_least_likely(const TwoTables& tables, const std::vector<double>& scores,
                              const Tensor& numbers);

}  // namespace nf::cli
