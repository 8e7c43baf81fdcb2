#include "flows/examine/baselines.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numbers>

#include "data/dataset.h"
#include "tensor/linalg.h"
#include "tensor/ops.h"

namespace nf::flows {

namespace {

using data::kLevels;

constexpr std::int64_t kMostFittedRows = 20000, kMostGaussianDims = 1024;
constexpr double kRidge = 1e-9, kNoiseVariance = 1.0 / 12;
const double kLnTwoPi = std::log(2 * std::numbers::pi);

// f64, the levels at their middles, in parts that bound the memory.
void in_parts(const Tensor& x, const std::function<void(const Tensor&)>& use) {
  constexpr std::int64_t kPart = 2000;
  const double shift = x.dtype() == DType::U8 ? 0.5 : 0;
  for (std::int64_t at = 0; at < x.dim(0); at += kPart) {
    use(x.narrow(0, at, std::min(kPart, x.dim(0) - at)).to(DType::F64) + shift);
  }
}

// (D, 256): ln((count + 1) / (N + 256)) of every level.
Tensor log_frequencies(const Tensor& x) {
  const Tensor rows = x.contiguous();
  const std::int64_t n = rows.dim(0), dims = rows.dim(1);
  std::vector<double> table(static_cast<std::size_t>(dims * kLevels), 1);
  const std::uint8_t* level = rows.data<std::uint8_t>();
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t d = 0; d < dims; ++d) {
      table[static_cast<std::size_t>(d * kLevels + *level++)] += 1;
    }
  }
  for (double& entry : table) entry = std::log(entry / static_cast<double>(n + kLevels));
  return Tensor::from(table, {dims, kLevels});
}

}  // namespace

Baselines::Baselines(const Tensor& train, const std::vector<std::int32_t>& integer)
    : levels_(train.dtype() == DType::U8) {
  NF_CHECK(train.rank() == 2 && train.dim(0) > 0, "[baselines] needs rows (N, D), got ",
           train.shape());
  const Tensor x = train.narrow(0, 0, std::min(kMostFittedRows, train.dim(0))).to(Device::CPU);
  const std::int64_t dims = x.dim(1);
  const double n = static_cast<double>(x.dim(0));
  Tensor total = Tensor::zeros({dims}, DType::F64), squares = Tensor::zeros({dims}, DType::F64);
  in_parts(x, [&](const Tensor& part) { total = total + sum(part, {0}); });
  mean_ = total / n;
  in_parts(x, [&](const Tensor& part) { squares = squares + sum_squares(part - mean_, {0}); });
  noise_ = Tensor::full({dims}, levels_ ? kNoiseVariance : 0, DType::F64);
  for (const std::int32_t d : integer) noise_.narrow(0, d, 1).fill_(kNoiseVariance);
  deviation_ = sqrt(squares / n + noise_);
  if (levels_) log_frequency_ = log_frequencies(x);
  if (dims > kMostGaussianDims || !(min(deviation_).item() > 0)) return;
  Tensor products = Tensor::zeros({dims, dims}, DType::F64);
  in_parts(x, [&](const Tensor& part) {
    const Tensor y = standardized(part);
    products = products + matmul(y.transpose(0, 1), y);
  });
  // The noise's variance is missing on the diagonal; it is 1 there in any case.
  const Tensor eye = Tensor::eye(dims, DType::F64);
  const Tensor correlation = products / n * affine(eye, -1, 1) + eye * (1 + (levels_ ? 0 : kRidge));
  const Tensor l = cholesky(correlation);
  whiten_ = triangular_solve(l, eye);
  log_det_ = sum(log(sum(l * eye, {1}))).item();
}

Tensor Baselines::standardized(const Tensor& x) const { return (x - mean_) / deviation_; }

double Baselines::independent(const Tensor& x) const {
  double sum_of_all = 0;
  if (levels_) {
    const Tensor rows = x.contiguous();
    const std::int64_t dims = rows.dim(1);
    const double* table = log_frequency_.data<double>();
    const std::uint8_t* level = rows.data<std::uint8_t>();
    for (std::int64_t i = 0; i < rows.dim(0); ++i) {
      for (std::int64_t d = 0; d < dims; ++d) sum_of_all += table[d * kLevels + *level++];
    }
    return sum_of_all / static_cast<double>(rows.dim(0));
  }
  in_parts(x, [&](const Tensor& part) { sum_of_all += sum_squares(standardized(part)).item(); });
  const double squares =
      sum_of_all / static_cast<double>(x.dim(0)) + sum(noise_ / (deviation_ * deviation_)).item();
  return -0.5 * squares - sum(log(deviation_)).item() -
         0.5 * static_cast<double>(x.dim(1)) * kLnTwoPi;
}

// The noise u is independent of the data: E |L^-1 (y + u)|^2 = |L^-1 y|^2 + E |L^-1 u|^2.
double Baselines::gaussian(const Tensor& x) const {
  double squares = 0;
  in_parts(x, [&](const Tensor& part) {
    squares += sum_squares(matmul(standardized(part), whiten_.transpose(0, 1))).item();
  });
  squares /= static_cast<double>(x.dim(0));
  squares += sum_squares(whiten_ / deviation_ * sqrt(noise_)).item();
  return -0.5 * squares - log_det_ - sum(log(deviation_)).item() -
         0.5 * static_cast<double>(x.dim(1)) * kLnTwoPi;
}

Baselines::Nats Baselines::nats(const Tensor& x) const {
  NF_CHECK(x.rank() == 2 && x.dim(0) > 0 && x.dim(1) == mean_.dim(0) &&
               (x.dtype() == DType::U8) == levels_,
           "[baselines] fitted to ", mean_.dim(0), levels_ ? " levels" : " reals", ", got ",
           describe(x));
  const Tensor rows = x.to(Device::CPU);
  Nats result{independent(rows)};
  if (whiten_.defined()) result.gaussian = gaussian(rows);
  return result;
}

}  // namespace nf::flows
