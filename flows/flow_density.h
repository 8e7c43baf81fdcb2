// FlowDensity: a transform and a base distribution, which together are a probability density.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "flows/base.h"
#include "flows/density.h"
#include "flows/transform.h"

namespace nf::flows {

/// ln p(x | given) = ln p_base(f(x)) + ln|det df/dx|  (change of variables), f conditioned on the
/// context of what is given.
class FlowDensity : public Density {
 public:
  /// dims: D of the data. `condition`: of a conditional density. Throws Error when two generators
  /// of the layers have the same stream: they would draw the same numbers.
  FlowDensity(std::shared_ptr<Transform> transform, std::shared_ptr<Base> base, std::int64_t dims,
              Convention convention = {}, std::shared_ptr<Condition> condition = nullptr);

  Var log_prob(const Var& x, const Var& given = {}) override;
  Var log_prob_rows(const Tensor& data, const Tensor& rows, const Tensor& given = {}) override;
  /// Latents are scaled by `temperature`; they are the same on every device. Where they do not say
  /// all of x (Transform::lossless), x is drawn given them, whatever the temperature.
  Tensor sample(Generator& gen, std::int64_t n, double temperature = 1,
                const Var& given = {}) override;
  Drawn draw(Generator& gen, std::int64_t n, const Var& given = {}) override;
  bool bound() const override { return !transform_->exact(); }
  /// Whether latents say all of x: Transform::lossless.
  bool lossless() const { return transform_->lossless(); }
  int levels() const override { return transform_->levels(); }
  Tensor whole_columns() const override { return transform_->whole_columns(); }
  void initialize(const Samples& rows) override;
  std::int64_t initial_rows() const override;
  std::optional<std::string> find_nonfinite(const Tensor& x, const Tensor& given = {}) override;

  /// data -> latent, the same at every call: of levels (and of columns of whole numbers), the
  /// latent of their middles x + 1/2. decode() then gives them back exactly, since rounding would
  /// have to move them by half a level.
  Tensor encode(const Tensor& x, const Var& given = {});
  Tensor decode(const Tensor& z, const Var& given = {});  ///< latent -> data
  /// The data of latents as sample() draws them, with noise of `gen`.
  Tensor draw_data(const Tensor& z, Generator& gen, const Var& given = {});
  /// The generator of draw_data() for draws whose latents are from `gen`, where it stands now.
  static Generator data_noise(const Generator& gen);
  /// The density of the reals behind levels or whole numbers: this one without the layers at its
  /// beginning that draw noise, sharing all others. It is differentiable in x, and exact when no
  /// other layer draws. Of real data: the same. Throws Error where latents do not say all of x.
  std::shared_ptr<FlowDensity> continuous() const;
  /// p(x | given) for one row given (1, G), sharing all layers: nothing more has to be given.
  std::shared_ptr<FlowDensity> conditioned_on(const Tensor& given) const;
  /// As find_nonfinite on the way back, for the latents z: a latent, what is given, a parameter, or
  /// the first layer of the inverse, which begins with the last one.
  std::optional<std::string> find_nonfinite_inverse(const Tensor& z, const Tensor& given = {});

  /// L: columns of the latents. D unless the transform is not lossless.
  std::int64_t latent_dims() const;
  /// x as the transform takes it: f64 rows become what the parameters are, unless its first layer
  /// takes them wide.
  Var entering(const Var& x);
  DType parameter_type();  ///< of the last parameter; f64 without any
  /// (n, C), what layers condition on beside n samples; undefined where nothing is given.
  Var context(const Tensor& given, std::int64_t n);

  Transform& transform() { return *transform_; }
  Base& base() { return *base_; }
  std::string kind() const override { return "FlowDensity"; }
  Shape inspect(const Shape& in, const std::string& name,
                std::vector<nn::LayerInfo>& rows) const override;

 private:
  std::shared_ptr<FlowDensity> in_the_same_mode(std::shared_ptr<FlowDensity> other) const;
  Var base_log_prob(const Var& z);
  void check_rows(const Tensor& x) const;

  std::shared_ptr<Transform> transform_;
  std::shared_ptr<Base> base_;
};

/// The density as one with latents. Throws Error, which begins with [what], for one without.
FlowDensity& as_flow(Density& density, const char* what);

}  // namespace nf::flows
