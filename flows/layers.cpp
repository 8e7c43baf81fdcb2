#include "flows/layers.h"

#include <cmath>

#include "nn/init.h"

namespace nf::flows {

namespace {

Var constant_log_det(const Var& x, double per_dim) {
  const double total = per_dim * static_cast<double>(x.numel()) / std::max<double>(1, x.dim(0));
  return Tensor::full({x.dim(0)}, total, x.dtype(), x.device());
}

// Broadcasting and selecting would take other sizes without a word.
void check_dims(const char* layer, const Var& x, std::int64_t dims) {
  NF_CHECK(x.rank() == 2 && x.dim(1) == dims, "[", layer, "] expected (N, ", dims, "), got ",
           x.shape());
}

}  // namespace

// --- Scaling ------------------------------------------------------------------------------------

Scaling::Scaling(std::int64_t dims, double rate, bool from_data)
    : from_data_(from_data),
      log_scale_(add_parameter("log_scale", Tensor::zeros({dims}), {.rate = rate})) {}

Mapped Scaling::forward(const Var& x, const Var&) {
  check_dims("Scaling", x, log_scale_.numel());
  return {x * exp(log_scale_), broadcast_to(sum(log_scale_), {x.dim(0)})};
}

Mapped Scaling::inverse(const Var& z, const Var&) {
  check_dims("Scaling", z, log_scale_.numel());
  return {z * exp(-log_scale_), broadcast_to(-sum(log_scale_), {z.dim(0)})};
}

double Scaling::flops(const Shape& in) const {
  return static_cast<double>(in.numel() + 2 * in.dim(1));  // z; exp(s) and its sum
}

void Scaling::initialize(const Samples& x) {
  if (!from_data_) return;
  // A dimension that is constant in the batch keeps a finite scale.
  constexpr double kSmallestVariance = 1e-8;
  const Tensor spread = clamp(variance(x.all(), {0}), kSmallestVariance, 1 / kSmallestVariance);
  log_scale_.mutable_value().copy_(-0.5 * log(spread));
}

// --- Permute ------------------------------------------------------------------------------------

Permute::Permute(const std::vector<std::int32_t>& order)
    : order_(add_buffer("order", Tensor::from(order, {static_cast<std::int64_t>(order.size())}))) {
  std::vector<bool> seen(order.size(), false);
  for (std::int32_t i : order) {
    NF_CHECK(i >= 0 && i < static_cast<std::int32_t>(order.size()) && !seen[i],
             "[Permute] the order must hold each of 0..", order.size() - 1, " once; ", i,
             " is out of range or repeated");
    seen[i] = true;
  }
}

std::shared_ptr<Permute> Permute::reverse(std::int64_t dims) {
  std::vector<std::int32_t> order;
  for (std::int64_t i = dims; i-- > 0;) order.push_back(static_cast<std::int32_t>(i));
  return std::make_shared<Permute>(order);
}

std::shared_ptr<Permute> Permute::random(std::int64_t dims, Generator& gen) {
  return std::make_shared<Permute>(permutation(gen, dims).to_vector<std::int32_t>());
}

Mapped Permute::forward(const Var& x, const Var&) {
  check_dims("Permute", x, order_.numel());
  return {index_select(x, 1, order_), zero_log_det(x)};
}

Mapped Permute::inverse(const Var& z, const Var&) {
  check_dims("Permute", z, order_.numel());
  // Computed anew because loading a checkpoint may have changed the order.
  const std::vector<std::int32_t> order = order_.to_vector<std::int32_t>();
  std::vector<std::int32_t> back(order.size());
  for (std::size_t i = 0; i < order.size(); ++i) back[order[i]] = static_cast<std::int32_t>(i);
  const Tensor index = Tensor::from(back, order_.shape()).to(z.device());
  return {index_select(z, 1, index), zero_log_det(z)};
}

// --- InvertibleLinear ---------------------------------------------------------------------------

InvertibleLinear::InvertibleLinear(std::int64_t dims, Generator& gen)
    : matrix_(add_parameter(
          "matrix", nn::initial_weight({nn::Init::Kind::Orthogonal, 1}, gen, dims, dims))) {}

Mapped InvertibleLinear::forward(const Var& x, const Var&) {
  check_dims("InvertibleLinear", x, matrix_.dim(0));
  return {linear(x, matrix_, {}), broadcast_to(slogdet(matrix_), {x.dim(0)})};
}

Mapped InvertibleLinear::inverse(const Var& z, const Var&) {
  check_dims("InvertibleLinear", z, matrix_.dim(0));
  return {linear(z, nf::inverse(matrix_), {}), broadcast_to(-slogdet(matrix_), {z.dim(0)})};
}

double InvertibleLinear::flops(const Shape& in) const {
  const double n = static_cast<double>(in.dim(0)), d = static_cast<double>(in.dim(1));
  return n * d * (2 * d - 1) + 2 * d * d * d / 3;  // the product, and LU for the determinant
}

// --- Dequantize ---------------------------------------------------------------------------------

Dequantize::Dequantize(SharedGenerator noise, int levels)
    : noise_(std::move(noise)), levels_(levels) {
  NF_CHECK(levels >= 2 && levels <= 256, "[Dequantize] levels must be 2 to 256, got ", levels);
}

// In f32, 255 + u rounds up to 256 for the u nearest to 1: that is the next level's number.
double Dequantize::highest() const { return std::nextafter(static_cast<float>(levels_), 0.0F); }

Mapped Dequantize::forward(const Var& x, const Var&) {
  if (x.rank() == 2 && x.dtype() == DType::U8) return forward_rows(x.value(), {});
  const Tensor levels = is_float(x.dtype()) ? x.value() : x.value().to(DType::F32);
  const Tensor noise = uniform(*noise_, levels.shape(), levels.dtype(), levels.device());
  const Var value = clamp(levels + noise, 0, highest());
  return {value, zero_log_det(value)};
}

Mapped Dequantize::forward_rows(const Tensor& data, const Tensor& rows) {
  if (data.dtype() != DType::U8) return forward(index_select(data, 0, rows));
  const Var value = dequantize(*noise_, data, highest(), rows);
  return {value, zero_log_det(value)};
}

double Dequantize::flops(const Shape& in) const {
  return 2.0 * static_cast<double>(in.numel());  // x + u, at most the highest
}

Mapped Dequantize::inverse(const Var& z, const Var&) {
  // What is not finite is no level: it stays, for the caller to see.
  const Tensor& value = z.value();
  const Tensor finite = less(abs(value), Tensor::full({}, INFINITY, value.dtype(), value.device()));
  const Tensor in_range = where(finite, clamp(value, 0, levels_ - 1), value.zeros_like());
  return {where(finite, in_range.to(DType::U8).to(z.dtype()), value), zero_log_det(z)};
}

// --- Scale --------------------------------------------------------------------------------------

Scale::Scale(double factor, double shift) : factor_(factor), shift_(shift) {
  NF_CHECK(factor != 0 && std::isfinite(factor) && std::isfinite(shift),
           "[Scale] needs a finite factor other than 0, got ", factor, " and shift ", shift);
}

Mapped Scale::forward(const Var& x, const Var&) {
  return {affine(x, factor_, shift_), constant_log_det(x, std::log(std::abs(factor_)))};
}

Mapped Scale::inverse(const Var& z, const Var&) {
  return {affine(z, 1 / factor_, -shift_ / factor_),
          constant_log_det(z, -std::log(std::abs(factor_)))};
}

double Scale::flops(const Shape& in) const { return 2.0 * static_cast<double>(in.numel()); }

// --- Standardize --------------------------------------------------------------------------------

Standardize::Standardize(std::int64_t dims, std::vector<std::string> names)
    : names_(std::move(names)),
      mean_(add_buffer("mean", Tensor::zeros({dims}))),
      std_(add_buffer("std", Tensor::ones({dims}))) {
  NF_CHECK(names_.empty() || static_cast<std::int64_t>(names_.size()) == dims, "[Standardize] ",
           names_.size(), " names of ", dims, " columns");
}

Mapped Standardize::forward(const Var& x, const Var&) {
  check_dims("Standardize", x, mean_.numel());
  return {(x - Var(mean_)) / Var(std_), broadcast_to(Var(-sum(log(std_))), {x.dim(0)})};
}

Mapped Standardize::inverse(const Var& z, const Var&) {
  check_dims("Standardize", z, mean_.numel());
  return {z * Var(std_) + Var(mean_), broadcast_to(Var(sum(log(std_))), {z.dim(0)})};
}

double Standardize::flops(const Shape& in) const {
  return 2.0 * static_cast<double>(in.numel() + in.dim(1));  // z; ln std and its sum
}

void Standardize::initialize(const Samples& samples) {
  const Tensor x = samples.all();
  // In f64, or columns far from 0 would lose what they vary by. The data may be wide and long: one
  // column at a time.
  for (std::int64_t i = 0; i < mean_.numel(); ++i) {
    const Tensor column = x.narrow(1, i, 1).to(DType::F64);
    const double average = mean(column).item(), deviation = std::sqrt(variance(column).item());
    // Below this, f32 numbers of this size do not differ.
    const bool constant = deviation <= 1e-7 * std::abs(average);  // NaN is for fit() to report
    NF_CHECK(!constant, "[Standardize] column ", i + 1,
             names_.empty() ? "" : " ('" + names_[static_cast<std::size_t>(i)] + "')",
             " is constant (", average, ") in the ", x.dim(0),
             " training samples: it has no density; leave it out of the data");
    mean_.narrow(0, i, 1).fill_(average);
    std_.narrow(0, i, 1).fill_(deviation);
  }
}

// --- Logit --------------------------------------------------------------------------------------

Logit::Logit(double alpha) : alpha_(alpha) {
  NF_CHECK(alpha > 0 && alpha < 0.5, "[Logit] alpha must be in (0, 0.5), got ", alpha);
}

Var Logit::log_det_at(const Var& z) const {
  return sum(softplus(z) + softplus(-z) + std::log(1 - 2 * alpha_), {1});
}

Mapped Logit::forward(const Var& x, const Var&) {
  const Var s = affine(x, 1 - 2 * alpha_, alpha_);
  const Var z = log(s) - log1p(-s);
  return {z, log_det_at(z)};
}

double Logit::flops(const Shape& in) const {
  return 12.0 * static_cast<double>(in.numel());  // 6 for z, as many for log_det
}

Mapped Logit::inverse(const Var& z, const Var&) {
  const Var x = affine(sigmoid(z), 1 / (1 - 2 * alpha_), -alpha_ / (1 - 2 * alpha_));
  return {x, -log_det_at(z)};
}

}  // namespace nf::flows
