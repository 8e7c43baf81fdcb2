// Bijection: an invertible map with its log-determinant. Every flow layer is one.
#pragma once

#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "autograd/functions.h"
#include "flows/samples.h"
#include "nn/module.h"

namespace nf::flows {

/// What a map gives: the value, and log|det J| of the direction just run, one number per sample,
/// shape (N), summed over dimensions.
struct Mapped {
  Var value;
  Var log_det;
};

/// forward is data -> latent everywhere, inverse is latent -> data. Value and log-determinant come
/// out of one pass. x is (N, D), f32 or f64 as the parameters are. `context` (N, C) is what a
/// conditional layer conditions on; the others ignore it.
///
/// A layer of your own: derive, implement both directions with the functions of
/// autograd/functions.h, add parameters with add_parameter, and hand it to check_bijection
/// (flows/check.h), which tests everything that is promised here.
class Bijection : public nn::Module {
 public:
  virtual Mapped forward(const Var& x, const Var& context = {}) = 0;
  virtual Mapped inverse(const Var& z, const Var& context = {}) = 0;
  /// forward() of data's rows `rows` (i32): a layer that takes them on its way (Dequantize) spares
  /// the gathering.
  virtual Mapped forward_rows(const Tensor& data, const Tensor& rows) {
    return forward(index_select(data, 0, rows));
  }
  /// Whether x may be f64 beside parameters that are f32: the layer computes in f64 what needs it,
  /// and its output has the type of the parameters.
  virtual bool takes_f64() const { return false; }
  /// Sets initial values from samples of this layer's input, before training begins: as many as
  /// initial_rows() says, if there are so many. Most layers have none to set.
  virtual void initialize(const Samples& /*x*/) {}
  /// Samples that initialize() wants to see.
  virtual std::int64_t initial_rows() const { return 2000; }
  static constexpr std::int64_t kAllRows = std::numeric_limits<std::int64_t>::max();
};

/// Zeros (N): the log-determinant of maps that keep volume.
Var zero_log_det(const Var& x);

/// The bijections in order: forward runs the first one first. Log-determinants add up.
class Compose : public Bijection {
 public:
  Compose() = default;
  /// `name` becomes the prefix of its parameters' names; it must be new.
  void add(const std::string& name, std::shared_ptr<Bijection> bijection);

  Mapped forward(const Var& x, const Var& context = {}) override;
  Mapped inverse(const Var& z, const Var& context = {}) override;
  Mapped forward_rows(const Tensor& data, const Tensor& rows) override;
  bool takes_f64() const override { return !parts_.empty() && parts_[0].second->takes_f64(); }
  void initialize(const Samples& x) override;
  std::int64_t initial_rows() const override;
  std::string kind() const override { return "Compose"; }
  Shape out_shape(const Shape& in) const override;
  Shape inspect(const Shape& in, const std::string& name,
                std::vector<nn::LayerInfo>& rows) const override;

  using Named = std::pair<std::string, std::shared_ptr<Bijection>>;
  const std::vector<Named>& parts() const { return parts_; }

 private:
  Mapped forward_from(std::size_t first, Mapped at, const Var& context) const;

  std::vector<Named> parts_;
};

/// The same map run backwards: forward is the other's inverse.
class Invert : public Bijection {
 public:
  explicit Invert(std::shared_ptr<Bijection> inner)
      : inner_(add_module("inner", std::move(inner))) {}
  Mapped forward(const Var& x, const Var& context = {}) override {
    return inner_.inverse(x, context);
  }
  Mapped inverse(const Var& z, const Var& context = {}) override {
    return inner_.forward(z, context);
  }
  double flops(const Shape& in) const override;
  std::string kind() const override { return "Invert(" + inner_.kind() + ")"; }

 private:
  Bijection& inner_;
};

/// Runs flow.forward(x) as one node that keeps only its output: backward recovers the input by
/// flow.inverse and differentiates one part at a time, so memory does not grow with depth. The
/// gradient is as exact as the inverse. Memory for time: one inverse and one forward more.
Mapped invertible(Bijection& flow, const Var& x, const Var& context = {});

}  // namespace nf::flows
