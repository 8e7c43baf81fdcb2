#include "flows/layers/batch_norm.h"

#include "flows/layers/rows.h"

namespace nf::flows {

namespace {

Var log_deviation(const nn::Moments& moments) {
  return log(moments.variance + nn::BatchNorm::kEps) * 0.5;
}

}  // namespace

BatchNorm::BatchNorm(Partition changed, double lag)
    : changed_(std::move(changed)),
      statistics_(add_module("", std::make_shared<nn::BatchStatistics>(changed_.active(), lag))) {}

Mapped BatchNorm::forward(const Var& x, const Var&) {
  const auto [passive, active] = changed_.split(x);
  nn::Moments moments = statistics_.running();
  if (training() && active.numel() > 0) {
    moments = nn::moments_of(active);
    if (changed_.masked()) {
      const Var& m = moments.mean;
      moments = {m * 0.5, moments.variance * 0.5 + m * m * 0.25};
    }
    moments = statistics_.take(moments);
    if (!Tape::recording()) batch_ = moments;
  }
  const Var s = log_deviation(moments);
  return {changed_.join(passive, (active - moments.mean) * exp(-s)),
          log_det_of_pixels(-sum(s), active)};
}

Mapped BatchNorm::restored(const Var& z, const nn::Moments& moments) const {
  const auto [passive, active] = changed_.split(z);
  const Var s = log_deviation(moments);
  return {changed_.join(passive, active * exp(s) + moments.mean),
          log_det_of_pixels(sum(s), active)};
}

Mapped BatchNorm::inverse(const Var& z, const Var&) { return restored(z, statistics_.running()); }

Walked BatchNorm::walk_back(const Walked& at, const Tensor& dlog_det, const Var& context) {
  if (!training() || !batch_.mean.defined()) return Bijection::walk_back(at, dlog_det, context);
  const nn::Call call(*this);
  const Var x = Var::leaf(restored(Var(at.value), batch_).value.value());
  Tape tape;
  run_back(tape, forward(x), at.dvalue, dlog_det);
  return {x.value(), x.grad()};
}

std::string BatchNorm::kind() const { return str("BatchNorm(", changed_.text(), ")"); }

double BatchNorm::flops(const Shape& in) const {
  const auto changed = static_cast<double>(changed_.active_shape(in).numel());
  return 2 * changed + 5 * static_cast<double>(changed_.active());
}

}  // namespace nf::flows
