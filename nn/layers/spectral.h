// Linear maps with a bound on their norm: what makes a residual block invertible.
#pragma once

#include <string>
#include <vector>

#include "nn/layers/conv2d.h"

namespace nf::nn {

/// Singular vectors of a map, like one sample of its output and of its input.
struct SpectralVectors {
  Tensor u, v;
};

/// y = W x + bias with W = weight * min(1, c / sigma), so that the norm of W is at most c: sigma is
/// the largest singular value of the map itself, u^T weight v with the singular vectors u and v.
/// These are buffers, which power iterations bring nearer: the map is a function of parameters and
/// buffers alone, and whoever changes weights calls iterate() or converge(). The gradient goes
/// through sigma, with u and v as constants. (Miyato et al. 2018; Gouk et al. 2018; Behrmann et
/// al., "Invertible residual networks" (2019), eq. 3)
class SpectralMap : public Layer {
 public:
  Var forward(const Var& x) override { return apply(x, bounded_weight(), bias()); }
  /// W. A scalar factor of the weight.
  Var bounded_weight() const;
  Var bias() const { return bias_ ? *bias_ : Var(); }
  /// The map with this weight: x (N, ...) to (N, ...).
  virtual Var apply(const Var& x, const Var& weight, const Var& bias = {}) const = 0;
  /// W^T y, without a gradient.
  virtual Tensor transposed(const Tensor& y, const Tensor& weight) const = 0;
  /// u = weight v, v = weight^T u, each to length 1, so many times. What is not finite or zero
  /// leaves them as they were.
  void iterate(int steps);
  /// The same until sigma changes by no more than `tolerance` of itself, at most `most` times.
  /// Returns how often.
  int converge(double tolerance = 1e-6, int most = 1000);
  double coefficient() const { return coefficient_; }
  SpectralVectors vectors() const { return {u_.clone(), v_.clone()}; }
  void set_vectors(const SpectralVectors& vectors);

 protected:
  /// weight and bias (undefined: none) as they begin; `in` and `out` are the shapes of one sample,
  /// batch first. Derived classes converge() in their constructor. Throws Error unless 0 < c.
  SpectralMap(double coefficient, Tensor weight, Tensor bias, const Shape& in, const Shape& out,
              Generator& gen);

 private:
  Var sigma() const;
  Tensor advance();  // one iteration; gives sigma

  double coefficient_;
  Var& weight_;
  Var* bias_ = nullptr;
  Tensor& u_;  // like one sample of the output, of length 1
  Tensor& v_;  // like one of the input
};

struct SpectralLinearOptions {
  std::int64_t in = 0;
  std::int64_t out = 0;
  double coefficient = 0.9;
  Init init = {};
};

/// Of rows: x (N, in), y (N, out), weight (out, in), bias (out) from 0.
class SpectralLinear final : public SpectralMap {
 public:
  SpectralLinear(const SpectralLinearOptions& options, Generator& gen);
  Var apply(const Var& x, const Var& weight, const Var& bias = {}) const override;
  Tensor transposed(const Tensor& y, const Tensor& weight) const override;
  std::string kind() const override;
  Shape out_shape(const Shape& in) const override { return {in.dim(0), options_.out}; }
  double flops(const Shape& in) const override;

 private:
  SpectralLinearOptions options_;
};

struct SpectralConvOptions {
  std::int64_t in = 0;  ///< channels
  std::int64_t out = 0;
  std::int64_t height = 0, width = 0;  ///< of the images, which the norm depends on
  std::int64_t kernel = 3;             ///< odd; zeros around the image keep its size
  double coefficient = 0.9;
  Init init = {};
};

/// Of images: x (N, H, W, in), y (N, H, W, out), weight (out, in, kernel, kernel). The norm is that
/// of the convolution of images of this size, not of the kernel as a matrix. Throws Error for
/// images of another size.
class SpectralConv2d final : public SpectralMap {
 public:
  SpectralConv2d(const SpectralConvOptions& options, Generator& gen);
  Var apply(const Var& x, const Var& weight, const Var& bias = {}) const override;
  Tensor transposed(const Tensor& y, const Tensor& weight) const override;
  std::string kind() const override;
  Shape out_shape(const Shape& in) const override;
  double flops(const Shape& in) const override;

 private:
  Conv2dOptions conv() const;
  ConvGeometry geometry() const { return geometry_of(conv()); }

  SpectralConvOptions options_;
};

/// All of a module. They are its parts, to be changed.
std::vector<SpectralMap*> spectral_maps(Module& module);
/// After each update of weights, so that bounds hold for the new ones: converge() of all, less far
/// than before an evaluation; on a GPU, where a step looks at no value, ten iterations.
void follow_spectral_norms(Module& module);
/// converge() of all: before a model is evaluated, and after weights were set by hand.
void converge_spectral_norms(Module& module);
/// Copies of the vectors of all, for who converges them in between and goes on as before.
std::vector<SpectralVectors> spectral_vectors(Module& module);
void set_spectral_vectors(Module& module, const std::vector<SpectralVectors>& vectors);

}  // namespace nf::nn
