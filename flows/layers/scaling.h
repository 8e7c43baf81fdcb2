// Layers that scale by learned or constant factors.
#pragma once

#include <string>

#include "flows/bijection.h"

namespace nf::flows {

/// z = x * exp(s), one learned s per dimension. log_det = sum s. (NICE, section 3.3)
///
/// s starts at 0, or with `from_data` where initialize() finds that the batch has unit deviation.
/// It learns at `rate` (nn::ParameterOptions): Adam moves every parameter by about the learning
/// rate per step, which for s, whose range is several units, would be the slowest part of a model
/// (Glow has a factor 3 for the same reason).
class Scaling : public Bijection {
 public:
  explicit Scaling(std::int64_t dims, double rate = 1, bool from_data = true);
  Mapped forward(const Var& x, const Var& context = {}) override;
  Mapped inverse(const Var& z, const Var& context = {}) override;
  void initialize(const Samples& x) override;
  std::int64_t initial_rows() const override { return from_data_ ? 2000 : 0; }
  const Tensor& log_scale() const { return log_scale_.value(); }  ///< s, (D)
  double flops(const Shape& in) const override;
  std::string kind() const override { return str("Scaling(", log_scale_.numel(), ")"); }

 private:
  bool from_data_;
  Var& log_scale_;  // (D), s
};

/// z = (x + b) * exp(s) with a learned b and s for each channel, x (N, ..., C). log_det = H W sum
/// s. Begins with mean 0 and deviation 1 of the first samples, channel by channel. (Kingma,
/// Dhariwal, "Glow" (2018), section 3.1; its code learns s at 3 times the rate: s = 3 logs)
class ActNorm : public Bijection {
 public:
  explicit ActNorm(std::int64_t channels, double rate = 3);
  Mapped forward(const Var& x, const Var& context = {}) override;
  Mapped inverse(const Var& z, const Var& context = {}) override;
  void initialize(const Samples& x) override;
  std::int64_t initial_rows() const override { return 256; }
  double flops(const Shape& in) const override;
  std::string kind() const override { return str("ActNorm(", shift_.numel(), ")"); }

 private:
  Var& shift_;      // (C), b
  Var& log_scale_;  // (C), s
};

/// z = factor * x + shift with constants. log_det = D ln|factor|.
class Scale : public Bijection {
 public:
  explicit Scale(double factor, double shift = 0);
  Mapped forward(const Var& x, const Var& context = {}) override;
  Mapped inverse(const Var& z, const Var& context = {}) override;
  double flops(const Shape& in) const override;
  std::string kind() const override { return str("Scale(", factor_, ", ", shift_, ")"); }

 private:
  double factor_, shift_;
};

}  // namespace nf::flows
