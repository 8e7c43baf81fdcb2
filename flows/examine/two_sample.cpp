#include "flows/examine/two_sample.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "tensor/ops.h"
#include "tensor/random.h"

namespace nf::flows {

Tensor deviations(const Tensor& rows) {
  NF_CHECK(rows.rank() == 2 && rows.dim(0) > 0, "[deviations] needs rows (N, D), got ",
           describe(rows));
  const Tensor x = rows.to(Device::CPU).to(DType::F64);
  const double n = static_cast<double>(x.dim(0));
  std::vector<double> variances = (sum_squares(x - sum(x, {0}) / n, {0}) / n).to_vector<double>();
  double total = 0, varying = 0;
  for (const double variance : variances) {
    total += variance;
    varying += variance > 0 ? 1 : 0;
  }
  const double otherwise = varying > 0 ? total / varying : 1;
  for (double& variance : variances) variance = std::sqrt(variance > 0 ? variance : otherwise);
  return Tensor::from(variances, {x.dim(1)});
}

namespace {

/// f64 (K, K): |z_i - z_j| of rows z (K, D), by |a|^2 + |b|^2 - 2 a.b.
Tensor distances(const Tensor& rows) {
  const std::int64_t k = rows.dim(0);
  // Around their mean, so that the squares lose no digits.
  const Tensor z = rows - sum(rows, {0}) / static_cast<double>(k);
  const Tensor squares = sum_squares(z, {1});
  Tensor d = matmul(z, z.transpose(0, 1)) * -2.0 + squares.reshape({k, 1}) + squares;
  double* value = d.mutable_data<double>();
  for (std::int64_t i = 0; i < k; ++i) {
    for (std::int64_t j = 0; j < k; ++j, ++value) {
      *value = i == j ? 0 : std::sqrt(std::max(*value, 0.0));
    }
  }
  return d;
}

/// f64 (K, B + 1): 1 where a row is called x. The first column is how it is, the others are random.
Tensor labels(std::int64_t n, std::int64_t k, const TwoSampleOptions& options) {
  constexpr std::uint64_t kStream = 0x7477677065726D;  // of the permutations
  Generator gen(options.seed, kStream);
  Tensor x = Tensor::zeros({k, options.permutations + 1}, DType::F64);
  double* label = x.mutable_data<double>();
  const std::int64_t columns = x.dim(1);
  for (std::int64_t i = 0; i < n; ++i) label[i * columns] = 1;
  for (std::int64_t b = 1; options.paired && b < columns; ++b) {
    const Tensor coins = uniform(gen, {n});
    for (std::int64_t i = 0; i < n; ++i) {
      label[(coins.data<float>()[i] < 0.5F ? i : n + i) * columns + b] = 1;
    }
  }
  for (std::int64_t b = 1; !options.paired && b < columns; ++b) {
    const Tensor order = permutation(gen, k);
    for (std::int64_t i = 0; i < n; ++i) label[order.data<std::int32_t>()[i] * columns + b] = 1;
  }
  return x;
}

}  // namespace

TwoSample two_sample_test(const Tensor& x, const Tensor& y, const Tensor& deviation,
                          const TwoSampleOptions& options) {
  NF_CHECK(x.rank() == 2 && y.rank() == 2 && x.dim(0) > 0 && y.dim(0) > 0 && x.dim(1) == y.dim(1),
           "[two-sample] needs rows (N, D) and (M, D), got ", x.shape(), " and ", y.shape());
  NF_CHECK(deviation.shape() == Shape({x.dim(1)}) && min(deviation).item() > 0,
           "[two-sample] needs a positive deviation of each of ", x.dim(1), " columns, got ",
           describe(deviation));
  NF_CHECK(!options.paired || x.dim(0) == y.dim(0), "[two-sample] pairs need as many rows of x as ",
           "of y, got ", x.dim(0), " and ", y.dim(0));
  NF_CHECK(options.permutations > 0, "[two-sample] needs permutations, got ", options.permutations);
  const auto wide = [](const Tensor& rows) { return rows.to(Device::CPU).to(DType::F64); };
  const Tensor rows = concat(std::vector<Tensor>{wide(x), wide(y)}, 0) / wide(deviation);
  NF_CHECK(all_finite(rows), "[two-sample] some rows hold numbers that are not finite");
  const std::int64_t k = rows.dim(0);
  const double n = static_cast<double>(x.dim(0)), m = static_cast<double>(y.dim(0));
  const Tensor d = distances(rows), is_x = labels(x.dim(0), k, options);
  const Tensor to_x = matmul(d, is_x);                // (K, B + 1): each row's sum to x
  const Tensor to_all = sum(d, {1}).reshape({k, 1});  // (K, 1)
  const std::vector<double> within_x = sum(is_x * to_x, {0}).to_vector<double>();
  const std::vector<double> from_x = sum(is_x * to_all, {0}).to_vector<double>();
  const double all = sum(to_all).item();
  std::vector<double> energy;
  for (std::size_t b = 0; b < within_x.size(); ++b) {
    const double between = from_x[b] - within_x[b], within_y = all - from_x[b] - between;
    energy.push_back(2 * between / (n * m) - within_x[b] / (n * n) - within_y / (m * m));
  }
  // Equal sums that were added up in another order are equal.
  const double rounding = 1e-12 * all / (n * m);
  const auto as_far = std::count_if(energy.begin() + 1, energy.end(),
                                    [&](double e) { return e >= energy[0] - rounding; });
  return {std::max(energy[0], 0.0), (static_cast<double>(as_far) + 1) / (options.permutations + 1),
          x.dim(0), y.dim(0), options.permutations};
}

}  // namespace nf::flows
