#include "flows/layers.h"

#include <cmath>

#include "nn/init.h"
#include "tensor/text.h"

namespace nf::flows {

namespace {

// Zeros (N) of the parameters' type, for rows x (N, D) of any type.
Var no_log_det(const Tensor& parameter, const Var& x) {
  return Tensor::zeros({x.dim(0)}, parameter.dtype(), x.device());
}

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

Mapped Dequantize::forward(const Var& x, const Var&) {
  if (x.rank() == 2 && x.dtype() == DType::U8) return forward_rows(x.value(), {});
  const Tensor levels = is_float(x.dtype()) ? x.value() : x.value().to(DType::F32);
  const Tensor noise = uniform(*noise_, levels.shape(), levels.dtype(), levels.device());
  const Tensor next = levels + 1, sum = levels + noise;  // f32 may round k + u up to k + 1
  const double below = 1 - (levels.dtype() == DType::F32 ? 0x1p-24 : 0x1p-53);
  const Var value = where(less(sum, next), sum, next * below);
  return {value, zero_log_det(value)};
}

Mapped Dequantize::forward_rows(const Tensor& data, const Tensor& rows) {
  if (data.dtype() != DType::U8) return forward(index_select(data, 0, rows));
  const Var value = dequantize(*noise_, data, rows);
  return {value, zero_log_det(value)};
}

double Dequantize::flops(const Shape& in) const {
  return 2.0 * static_cast<double>(in.numel());  // x + u, below x + 1
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

// --- DequantizeColumns --------------------------------------------------------------------------

DequantizeColumns::DequantizeColumns(SharedGenerator noise, std::int64_t dims,
                                     const std::vector<std::int32_t>& columns)
    : noise_(std::move(noise)), integer_(add_buffer("integer", Tensor::zeros({dims}))) {
  for (const std::int32_t column : columns) {
    NF_CHECK(column >= 0 && column < dims, "[DequantizeColumns] column ", column, " of ", dims);
    integer_.narrow(0, column, 1).fill_(1);
  }
}

Mapped DequantizeColumns::forward(const Var& x, const Var&) {
  check_dims("DequantizeColumns", x, integer_.numel());
  const Tensor wide = x.value().to(DType::F64);
  const Tensor noise = uniform(*noise_, wide.shape(), DType::F64, wide.device());
  return {wide + noise * integer_.to(DType::F64), no_log_det(integer_, x)};
}

Mapped DequantizeColumns::inverse(const Var& z, const Var&) {
  check_dims("DequantizeColumns", z, integer_.numel());
  Tensor values = z.value().to(Device::CPU).to(DType::F64).clone();
  double* value = values.mutable_data<double>();
  const std::vector<double> integer = integer_.to(DType::F64).to_vector<double>();
  for (std::int64_t i = 0; i < z.dim(0); ++i) {
    for (const double whole : integer) {
      if (whole != 0) *value = std::floor(*value);
      ++value;
    }
  }
  return {values.to(z.device()), no_log_det(integer_, z)};
}

Tensor DequantizeColumns::middle(const Tensor& x) const {
  return x.to(DType::F64) + 0.5 * integer_.to(DType::F64);
}

std::string DequantizeColumns::kind() const {
  return str("DequantizeColumns(", sum(integer_).item(), " of ", integer_.numel(), ")");
}

// --- Standardize --------------------------------------------------------------------------------

Standardize::Standardize(std::int64_t dims, std::vector<std::string> names, bool wide,
                         std::vector<double> spread)
    : names_(std::move(names)),
      spread_(std::move(spread)),
      wide_(wide),
      mean_(add_buffer("mean", Tensor::zeros({dims}))),
      mean_rest_(add_buffer("mean_rest", Tensor::zeros({dims}))),
      std_(add_buffer("std", Tensor::ones({dims}))) {
  NF_CHECK(names_.empty() || static_cast<std::int64_t>(names_.size()) == dims, "[Standardize] ",
           names_.size(), " names of ", dims, " columns");
  NF_CHECK(spread_.empty() || static_cast<std::int64_t>(spread_.size()) == dims, "[Standardize] ",
           spread_.size(), " deviations of ", dims, " columns");
}

Mapped Standardize::forward(const Var& x, const Var&) {
  check_dims("Standardize", x, mean_.numel());
  const DType in = x.dtype();
  const Var centred = (x - Var(mean_.to(in))) - Var(mean_rest_.to(in));
  return {cast(centred / Var(std_.to(in)), std_.dtype()),
          broadcast_to(Var(-sum(log(std_))), {x.dim(0)})};
}

Mapped Standardize::inverse(const Var& z, const Var&) {
  check_dims("Standardize", z, mean_.numel());
  const DType out = wide_ ? DType::F64 : z.dtype();
  const Var spread = cast(z, out) * Var(std_.to(out)) + Var(mean_rest_.to(out));
  return {spread + Var(mean_.to(out)), broadcast_to(Var(sum(log(std_))), {z.dim(0)})};
}

double Standardize::flops(const Shape& in) const {
  return 2.0 * static_cast<double>(in.numel() + in.dim(1));  // z; ln std and its sum
}

std::string Standardize::column_name(std::int64_t i) const {
  const std::string name =
      names_.empty() ? "" : " ('" + printable(names_[static_cast<std::size_t>(i)], 40) + "')";
  return str(i + 1, name);
}

void Standardize::initialize(const Samples& samples) {
  const Tensor x = samples.all();
  // In f64, or columns far from 0 would lose what they vary by. The data may be wide and long: one
  // column at a time.
  // Below this, numbers of this size do not differ; NaN is for fit() to report.
  const double relative = x.dtype() == DType::F64 ? 1e-14 : 1e-7;
  constexpr double kSmallest = 1e-30;  // the buffers are f32
  constexpr int kListed = 5;
  std::string constant;
  int more = 0;
  for (std::int64_t i = 0; i < mean_.numel(); ++i) {
    const Tensor column = x.narrow(1, i, 1).to(DType::F64);
    const double average = mean(column).item();
    double deviation = std::sqrt(variance(column).item());
    if (deviation <= relative * std::abs(average)) {
      deviation = spread_.empty() ? 0 : spread_[static_cast<std::size_t>(i)];
    }
    if (deviation == 0) {
      if (more++ < kListed) constant += str(more > 1 ? ", " : "", column_name(i));
      if (more == kListed + 1) constant += " and more";
      continue;
    }
    NF_CHECK(!(deviation < kSmallest), "[Standardize] column ", column_name(i), " varies by ",
             deviation, " only, less than ", kSmallest, ", the least that 32-bit reals can divide ",
             "by safely: multiply it by a power of ten");
    mean_.narrow(0, i, 1).fill_(average);
    mean_rest_.narrow(0, i, 1).fill_(average - mean_.narrow(0, i, 1).item());
    std_.narrow(0, i, 1).fill_(deviation);
  }
  NF_CHECK(constant.empty(), "[Standardize] constant in the ", x.dim(0),
           " training samples: column ", constant,
           "; a constant has no density: leave it out of the data");
}

// --- Logit --------------------------------------------------------------------------------------

Logit::Logit(double alpha) : alpha_(alpha) {
  NF_CHECK(alpha >= kLeastAlpha && alpha < 0.5, "[Logit] alpha must be in [", kLeastAlpha,
           ", 0.5), got ", alpha, "; below, 1 - alpha is 1 in 32 bits");
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
