#include "flows/layers/scaling.h"

#include <cmath>

#include "flows/layers/rows.h"

namespace nf::flows {

// --- Scaling
// --------------------------------------------------------------------------------------

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

// --- Scale
// ----------------------------------------------------------------------------------------

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

}  // namespace nf::flows
