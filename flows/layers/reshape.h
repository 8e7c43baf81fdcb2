// Rows outside, images inside: layers that change the shape of a sample and nothing else.
#pragma once

#include <string>

#include "flows/bijection.h"

namespace nf::flows {

/// Rows (N, D) to samples (N, ...) of a shape, in row-major order: images to (N, H, W, C), channels
/// last. log_det 0.
class Unflatten : public Bijection {
 public:
  /// `sample`: sizes without N, e.g. {32, 32, 3}.
  explicit Unflatten(const Shape& sample);
  Mapped forward(const Var& x, const Var& context = {}) override;
  Mapped inverse(const Var& z, const Var& context = {}) override;
  Shape out_shape(const Shape& in) const override;
  std::string kind() const override { return str("Unflatten", sample_); }

 private:
  Shape sample_;
};

/// The way back: samples (N, ...) of a shape to rows (N, D). log_det 0.
class Flatten : public Bijection {
 public:
  explicit Flatten(const Shape& sample);
  Mapped forward(const Var& x, const Var& context = {}) override;
  Mapped inverse(const Var& z, const Var& context = {}) override;
  Shape out_shape(const Shape& in) const override;
  std::string kind() const override { return str("Flatten", sample_); }

 private:
  Shape sample_;
};

/// Where the channels of a square's pixels go. ByChannel: channel c of pixel (row, column) becomes
/// channel 4 c + 2 row + column. ByColour: the pixels (0, 0), (1, 1), (0, 1), (1, 0) follow each
/// other with all their channels, so that the first half is one colour of the checkerboard
/// (RealNVP, figure 3, and its code).
enum class SqueezeOrder { ByChannel, ByColour };

/// (N, H, W, C) to (N, H/2, W/2, 4 C): each square of 2 x 2 pixels becomes one with all their
/// channels. log_det 0. (RealNVP, section 3.6) Throws Error for odd sizes.
class Squeeze : public Bijection {
 public:
  explicit Squeeze(SqueezeOrder order = SqueezeOrder::ByChannel) : order_(order) {}
  Mapped forward(const Var& x, const Var& context = {}) override;
  Mapped inverse(const Var& z, const Var& context = {}) override;
  Shape out_shape(const Shape& in) const override;
  std::string kind() const override;

 private:
  SqueezeOrder order_;
};

/// The way back: (N, H, W, 4 C) to (N, 2 H, 2 W, C). log_det 0.
class Unsqueeze : public Bijection {
 public:
  explicit Unsqueeze(SqueezeOrder order = SqueezeOrder::ByChannel) : order_(order) {}
  Mapped forward(const Var& x, const Var& context = {}) override;
  Mapped inverse(const Var& z, const Var& context = {}) override;
  Shape out_shape(const Shape& in) const override;
  std::string kind() const override;

 private:
  SqueezeOrder order_;
};

}  // namespace nf::flows
