#include "flows/layers/dequantize.h"

#include <cmath>

#include "flows/layers/rows.h"

namespace nf::flows {

// --- Dequantize
// -----------------------------------------------------------------------------------

Dequantize::Dequantize(const Generator& noise, int levels)
    : noise_(add_generator("noise", noise)), levels_(levels) {
  NF_CHECK(levels >= 2 && levels <= 256, "[Dequantize] levels must be 2 to 256, got ", levels);
}

Mapped Dequantize::forward(const Var& x, const Var&) {
  if (x.rank() == 2 && x.dtype() == DType::U8) return forward_rows(x.value(), {});
  const Tensor levels = as_floats(x.value());
  const Tensor noise = uniform(noise_, levels.shape(), levels.dtype(), levels.device());
  const Var value = between_levels(levels, noise);
  return {value, zero_log_det(value)};
}

Tensor Dequantize::as_floats(const Tensor& x) { return is_float(x.dtype()) ? x : x.to(DType::F32); }

Var Dequantize::between_levels(const Tensor& x, const Var& u) {
  const Tensor next = x + 1;
  const Var sum = x + u;
  const double below = 1 - (x.dtype() == DType::F32 ? 0x1p-24 : 0x1p-53);
  return where(less(sum.value(), next), sum, Var(next * below));
}

Mapped Dequantize::forward_rows(const Tensor& data, const Tensor& rows, const Var&) {
  if (data.dtype() != DType::U8) return forward(index_select(data, 0, rows));
  const Var value = dequantize(noise_, data, rows);
  return {value, zero_log_det(value)};
}

Var Dequantize::encode(const Var& x, const Var&) { return as_floats(x.value()) + 0.5; }

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

// --- DequantizeColumns
// ----------------------------------------------------------------------------

DequantizeColumns::DequantizeColumns(const Generator& noise, std::int64_t dims,
                                     const std::vector<std::int32_t>& columns)
    : noise_(add_generator("noise", noise)),
      integer_(add_buffer("integer", Tensor::zeros({dims}))) {
  for (const std::int32_t column : columns) {
    NF_CHECK(column >= 0 && column < dims, "[DequantizeColumns] column ", column, " of ", dims);
    integer_.narrow(0, column, 1).fill_(1);
  }
}

Mapped DequantizeColumns::forward(const Var& x, const Var&) {
  check_dims("DequantizeColumns", x, integer_.numel());
  const Tensor wide = x.value().to(DType::F64);
  const Tensor noise = uniform(noise_, wide.shape(), DType::F64, wide.device());
  // Far from 0 f64 may round x + u up to x + 1, as often as it rounds down to x: u is 0 then.
  const Tensor sum = wide + noise * integer_.to(DType::F64);
  return {where(less(sum, wide + 1), sum, wide), zero_log_det_like(integer_, x)};
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
  return {values.to(z.device()), zero_log_det_like(integer_, z)};
}

Var DequantizeColumns::encode(const Var& x, const Var&) {
  check_dims("DequantizeColumns", x, integer_.numel());
  return x.value().to(DType::F64) + 0.5 * integer_.to(DType::F64);
}

std::string DequantizeColumns::kind() const {
  return str("DequantizeColumns(", sum(integer_).item(), " of ", integer_.numel(), ")");
}

}  // namespace nf::flows
