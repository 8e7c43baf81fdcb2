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
};

/// A histogram of each column (the first 24), quantiles of both sides, the correlations that differ
/// most, and the pairs of columns that depend most on each other as points.
std::string html_columns(const TwoTables& tables);

/// The rows of least density, with their values. `scores`: log densities of the rows, nats;
/// `numbers`: i32 (N), of the rows in their file from 0, or undefined.
std::string html_least_likely(const TwoTables& tables, const std::vector<double>& scores,
                              const Tensor& numbers);

}  // namespace nf::cli
