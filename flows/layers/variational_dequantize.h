// VariationalDequantize: levels become reals by noise that a flow draws, given the levels.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "flows/base.h"
#include "flows/layers/dequantize.h"

namespace nf::flows {

/// Levels 0..K-1 to reals in [0, K): z = x + u, with u drawn by a flow that sees x,
///
///   u = sigmoid(f(e; c)),  e ~ Logistic(0, 1),  c = 2 x / (K - 1) - 1,
///   log_det = -ln q(u|x) = ln p(f(e)) - ln p(e) + ln|det df/de|,
///
/// p the density of the logistic, whose distribution function is the sigmoid: where f is the
/// identity, u is uniform and log_det 0, as of Dequantize. The expected log density stays a lower
/// bound of the log probability of the levels whatever f is; where q is learned together with the
/// density, a higher one (Ho et al., "Flow++", 2019, section 3.1, eq. 12). That is so as long as
/// floats can hold the noise: f has to spread it over several of the numbers that there are between
/// K - 1 and K, 2^16 in f32 for K = 256. What is given with x is not looked at. encode and inverse,
/// with log_det 0, are those of Dequantize.
class VariationalDequantize : public Dequantize {
 public:
  /// `flow` is f, a bijection of samples (N, `sample`...) that keeps their shape and gets c, of
  /// that shape, as its context; {H, W, C} for images, whose couplings see c beside their pixels,
  /// {D} for rows. Throws Error when it is not exact, or changes the shape.
  VariationalDequantize(const Generator& noise, std::shared_ptr<Transform> flow,
                        const Shape& sample, int levels = 256);
  /// x (N, D), rows of the samples; u8 becomes f32.
  Mapped forward(const Var& x, const Var& context = {}) override;
  Mapped forward_rows(const Tensor& data, const Tensor& rows, const Var& context = {}) override;
  void initialize(const Samples& x) override;  ///< f's layers see draws of e with their c
  std::int64_t initial_rows() const override { return flow_.initial_rows(); }
  double flops(const Shape& in) const override;
  Shape inspect(const Shape& in, const std::string& name,
                std::vector<nn::LayerInfo>& rows) const override;
  /// f by itself, and draws of e with c of levels x (N, D), as f takes them.
  Transform& flow() { return flow_; }
  std::pair<Tensor, Tensor> draw_with_levels(const Tensor& x);
  std::string kind() const override { return str("VariationalDequantize(", levels(), " levels)"); }

 private:
  Shape batch_of(std::int64_t n) const { return sample_.with_inserted(0, n); }
  Tensor draw_noise(const Tensor& x);
  Tensor seen(const Tensor& x) const;

  Transform& flow_;
  Shape sample_;
  StandardLogistic base_;
};

}  // namespace nf::flows
