#include "flows/models/table_gaussian.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "tensor/linalg.h"
#include "tensor/ops.h"

namespace nf::flows {

namespace {

const double kHalfLnTwoPi = 0.5 * std::log(2 * std::numbers::pi);

// ln(Phi(b) - Phi(a)), a < b. Far from 0, where both are 0 or 1 in f64, by the density at the
// nearer end over its slope.
double log_mass(double a, double b) {
  if (a + b > 0) return log_mass(-b, -a);  // the tail on the left
  const double mass =
      0.5 * (std::erfc(-b / std::numbers::sqrt2) - std::erfc(-a / std::numbers::sqrt2));
  constexpr double kLeast = 1e-290;
  if (mass > kLeast) return std::log(mass);
  return -0.5 * b * b - kHalfLnTwoPi + std::log(std::min(b - a, 1 / std::max(1.0, -b)));
}

}  // namespace

TableGaussian::TableGaussian(const Tensor& mean, const Tensor& covariance,
                             std::vector<std::pair<double, double>> bounds, std::vector<bool> whole)
    : columns_(static_cast<std::size_t>(mean.numel())),
      mean_(mean.to(DType::F64).to_vector<double>()),
      covariance_(covariance.to(DType::F64).to_vector<double>()),
      bounds_(std::move(bounds)),
      whole_(std::move(whole)) {
  NF_CHECK(covariance_.size() == columns_ * columns_ && bounds_.size() == columns_ &&
               whole_.size() == columns_,
           "[TableGaussian] mean of ", columns_, " columns, covariance ", covariance.shape(), ", ",
           bounds_.size(), " bounds and ", whole_.size(), " kinds");
}

// The regression of a column on those that are known: slopes S^-1 c, variance v - c^T S^-1 c, S
// their covariances, c those with the column, v its variance.
const TableGaussian::Line& TableGaussian::line_of(const Rows& rows, std::size_t row,
                                                  std::size_t column) {
  const auto first = rows.known.begin() + static_cast<std::ptrdiff_t>(row * columns_);
  std::vector<bool> known(first, first + static_cast<std::ptrdiff_t>(columns_));
  known[column] = false;
  constexpr std::size_t kMostLines = 20'000;  // with gaps anywhere nearly each row has its own
  if (lines_.size() >= kMostLines) lines_.clear();
  const auto [found, is_new] = lines_.try_emplace({column, known});
  Line& line = found->second;
  if (!is_new) return line;
  for (std::size_t j = 0; j < columns_; ++j) {
    if (known[j]) line.of.push_back(j);
  }
  double variance = covariance_[column * columns_ + column];
  if (!line.of.empty()) {
    std::vector<double> among, with;
    for (const std::size_t i : line.of) {
      for (const std::size_t j : line.of) among.push_back(covariance_[i * columns_ + j]);
      with.push_back(covariance_[i * columns_ + column]);
    }
    const auto n = static_cast<std::int64_t>(line.of.size());
    const Tensor l = cholesky(Tensor::from(among, {n, n}));
    const Tensor half = triangular_solve(l, Tensor::from(with, {n, 1}));
    variance -= sum_squares(half).item();
    line.slopes = triangular_solve(l, half, {.transpose = true}).to_vector<double>();
  }
  constexpr double kLeastShare = 1e-12;  // of a column that follows from the others
  line.deviation =
      std::sqrt(std::max(variance, kLeastShare * covariance_[column * columns_ + column]));
  return line;
}

double TableGaussian::at(const Line& line, const Rows& rows, std::size_t row,
                         std::size_t column) const {
  double mean = mean_[column];
  for (std::size_t k = 0; k < line.of.size(); ++k) {
    mean += line.slopes[k] * (rows.x[row * columns_ + line.of[k]] - mean_[line.of[k]]);
  }
  return mean;
}

std::vector<double> TableGaussian::log_conditional(const Rows& rows, std::size_t column) {
  std::vector<double> out(rows.x.size() / columns_);
  const auto [low, high] = bounds_[column];
  for (std::size_t i = 0; i < out.size(); ++i) {
    const Line& line = line_of(rows, i, column);
    const double x = rows.x[i * columns_ + column], s = line.deviation;
    const auto z = [&, mean = at(line, rows, i, column)](double value) {
      return (value - mean) / s;
    };
    if (!(x >= low && x <= high)) {
      out[i] = -INFINITY;
    } else if (whole_[column]) {
      out[i] = log_mass(z(x - 0.5), z(x + 0.5));
    } else {
      out[i] = -0.5 * z(x) * z(x) - kHalfLnTwoPi - std::log(s);
      if (std::isfinite(low) || std::isfinite(high)) out[i] -= log_mass(z(low), z(high));
    }
  }
  return out;
}

std::vector<double> TableGaussian::draw(Generator& gen, const Rows& rows, std::size_t column,
                                        double temperature) {
  constexpr int kMostTries = 1000;
  std::vector<double> out(rows.x.size() / columns_);
  const auto [low, high] = bounds_[column];
  std::vector<std::size_t> left(out.size());
  for (std::size_t i = 0; i < left.size(); ++i) left[i] = i;
  for (int tries = 0; !left.empty() && tries < kMostTries; ++tries) {
    const std::vector<double> noise =
        normal(gen, {std::ssize(left)}, DType::F64).to_vector<double>();
    std::vector<std::size_t> again;
    for (std::size_t k = 0; k < left.size(); ++k) {
      const std::size_t i = left[k];
      const Line& line = line_of(rows, i, column);
      const double x = at(line, rows, i, column) + line.deviation * temperature * noise[k];
      out[i] = std::clamp(whole_[column] ? std::floor(x + 0.5) : x, low, high);
      if (x < low || x > high) again.push_back(i);
    }
    left = std::move(again);
  }
  return out;
}

}  // namespace nf::flows
