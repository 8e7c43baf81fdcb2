// Density: a transform and a base distribution, which together are a probability density.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "flows/base.h"
#include "flows/transform.h"

namespace nf::flows {

/// How log densities are told to people.
struct Convention {
  /// Added to log_prob to give `nats`: D ln K for K-level data spoken of on [0, 1], 0 for real
  /// data.
  double nats_offset = 0;
  std::string text;  ///< one line in words
};

/// ln p(x) = ln p_base(f(x)) + ln|det df/dx|  (change of variables).
///
/// log_prob is in nats in the units of the data as given: for u8 pixels that is the log probability
/// of the levels 0..255, because preprocessing is part of the transform with its log-determinant.
/// So bits/dim is -log_prob / (D ln 2), with no constant to forget.
class Density : public nn::Module {
 public:
  /// dims: D of the data. Throws Error when two generators of the layers have the same stream: they
  /// would draw the same numbers.
  Density(std::shared_ptr<Transform> transform, std::shared_ptr<Base> base, std::int64_t dims,
          Convention convention = {});

  Var log_prob(const Var& x, const Var& context = {});  ///< x (N, D) -> (N), nats
  /// log_prob of data's rows `rows`, i32 (B); see Transform::forward_rows.
  Var log_prob_rows(const Tensor& data, const Tensor& rows);
  /// n draws (n, D) on the density's device, latents scaled by `temperature`; the latents are the
  /// same on every device.
  Tensor sample(Generator& gen, std::int64_t n, double temperature = 1, const Var& context = {});
  /// data -> latent, the same at every call: of levels (and of columns of whole numbers), the
  /// latent of their middles x + 1/2. decode() then gives them back exactly, since rounding would
  /// have to move them by half a level.
  Tensor encode(const Tensor& x, const Var& context = {});
  Tensor decode(const Tensor& z, const Var& context = {});  ///< latent -> data

  /// Whether log_prob is a lower bound on average, because a layer draws, and not the exact value.
  bool bound() const { return !transform_.exact(); }
  /// K when the data are levels 0..K-1, 0 when they are real.
  int levels() const { return transform_.levels(); }
  /// (D), 1 for columns of whole numbers among reals; undefined without any.
  Tensor whole_columns() const { return transform_.whole_columns(); }
  /// The density of the reals behind levels or whole numbers: this one without the layers at its
  /// beginning that draw noise, sharing all others. It is differentiable in x, and exact when no
  /// other layer draws. Of real data: the same.
  std::shared_ptr<Density> continuous() const;

  /// nats of log_prob to bits per dimension of the discrete (or real) data.
  double bits_per_dim(double log_prob) const;
  /// log_prob in the units of the convention.
  double nats(double log_prob) const { return log_prob + convention_.nats_offset; }

  /// Where NaN or infinity first appears for the batch x: "couplings.2 (Coupling(...))", a
  /// parameter or "the base distribution"; nothing when all is finite.
  std::optional<std::string> find_nonfinite(const Tensor& x);
  /// The same on the way back, for the latents z: a latent, a parameter, or the first layer of the
  /// inverse, which begins with the last one.
  std::optional<std::string> find_nonfinite_inverse(const Tensor& z);

  /// x as the transform takes it: f64 rows become what the parameters are, unless its first layer
  /// takes them wide.
  Var entering(const Var& x);

  std::int64_t dims() const { return dims_; }
  Transform& transform() { return transform_; }
  Base& base() { return base_; }
  const Convention& convention() const { return convention_; }
  /// What a file of weights says beside its tensors, so that others can use them; empty for a
  /// density that is not of flows/models/build.h.
  const std::map<std::string, std::string>& description() const { return description_; }
  void set_description(std::map<std::string, std::string> d) { description_ = std::move(d); }
  /// Throws Error when what a file says of itself contradicts the description: the message begins
  /// with `file` and names the first setting that differs with both values. What one of the two
  /// does not say is not compared.
  void check_description(const std::map<std::string, std::string>& said,
                         const std::string& file) const;

  /// Whether layers have set their initial values from data. Training sees to it that they do so
  /// once: a second time would take back what was learned.
  bool initialized() const { return initialized_; }
  void mark_initialized() { initialized_ = true; }
  std::string kind() const override { return "Density"; }
  Shape inspect(const Shape& in, const std::string& name,
                std::vector<nn::LayerInfo>& rows) const override;

 private:
  Var base_log_prob(const Var& z);
  std::optional<std::string> nonfinite_parameter();

  Transform& transform_;
  Base& base_;
  std::int64_t dims_;
  Convention convention_;
  std::map<std::string, std::string> description_;
  bool initialized_ = false;
};

/// While it lives, a density is in evaluation mode, nothing is recorded, and its generators are
/// those of `seed`, each with a stream of its own. The destructor puts back what was, also when
/// something throws in between.
class Examination {
 public:
  explicit Examination(Density& density, std::uint64_t seed = 0);
  ~Examination();
  Examination(const Examination&) = delete;
  Examination& operator=(const Examination&) = delete;

 private:
  const NoGrad no_grad_;
  Density& density_;
  bool was_training_;
  const KeepGenerators keep_;
};

}  // namespace nf::flows
