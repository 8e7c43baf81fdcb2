#include "flows/layers/scaling.h"

#include <cmath>

#include "flows/layers/rows.h"
#include "nn/init.h"

namespace nf::flows {

namespace {

// All axes but the last.
Axes all_but_channels(const Tensor& x) {
  Axes axes;
  for (int i = 0; i + 1 < x.rank(); ++i) axes.push_back(i);
  return axes;
}

}  // namespace

// --- Scaling
// --------------------------------------------------------------------------------------

Scaling::Scaling(std::int64_t dims, double rate, bool from_data)
    : from_data_(from_data),
      log_scale_(add_parameter("log_scale", Tensor::zeros({dims}), {.rate = rate})) {}

Mapped Scaling::forward(const Var& x, const Var&) {
  check_dims("Scaling", x, log_scale_.numel());
  return {x * exp(log_scale_), log_det_of_pixels(sum(log_scale_), x)};
}

Mapped Scaling::inverse(const Var& z, const Var&) {
  check_dims("Scaling", z, log_scale_.numel());
  return {z * exp(-log_scale_), log_det_of_pixels(-sum(log_scale_), z)};
}

double Scaling::flops(const Shape& in) const {
  return static_cast<double>(in.numel() + 2 * in.dim(-1));  // z; exp(s) and its sum
}

void Scaling::initialize(const Samples& x) {
  if (!from_data_) return;
  // A dimension that is constant in the batch keeps a finite scale.
  constexpr double kSmallestVariance = 1e-8;
  const Tensor seen = x.all();
  const Tensor spread =
      clamp(variance(seen, all_but_channels(seen)), kSmallestVariance, 1 / kSmallestVariance);
  log_scale_.mutable_value().copy_(-0.5 * log(spread));
}

// --- ActNorm
// --------------------------------------------------------------------------------------

ActNorm::ActNorm(std::int64_t channels, double rate)
    : shift_(add_parameter("shift", Tensor::zeros({channels}))),
      log_scale_(add_parameter("log_scale", Tensor::zeros({channels}), {.rate = rate})) {}

Mapped ActNorm::forward(const Var& x, const Var&) {
  check_dims("ActNorm", x, shift_.numel());
  return {(x + shift_) * exp(log_scale_), log_det_of_pixels(sum(log_scale_), x)};
}

Mapped ActNorm::inverse(const Var& z, const Var&) {
  check_dims("ActNorm", z, shift_.numel());
  return {z * exp(-log_scale_) - shift_, log_det_of_pixels(-sum(log_scale_), z)};
}

void ActNorm::initialize(const Samples& samples) {
  const Tensor x = samples.all();
  const Axes axes = all_but_channels(x);
  shift_.mutable_value().copy_(-mean(x, axes));
  log_scale_.mutable_value().copy_(nn::standardizing_log_scale(variance(x, axes)));
}

double ActNorm::flops(const Shape& in) const {
  return static_cast<double>(2 * in.numel() + 2 * in.dim(-1));  // z; exp(s) and its sum
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
