// Compose: transforms in a row are a transform.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "flows/transform.h"

namespace nf::flows {

/// The transforms in order: forward runs the first one first. Log-determinants add up. Exact when
/// all of them are.
class Compose : public Transform {
 public:
  Compose() = default;
  /// `name` becomes the prefix of its parameters' names; it must be new.
  void add(const std::string& name, std::shared_ptr<Transform> part);

  Mapped forward(const Var& x, const Var& context = {}) override;
  Mapped inverse(const Var& z, const Var& context = {}) override;
  Mapped forward_rows(const Tensor& data, const Tensor& rows, const Var& context = {}) override;
  Var encode(const Var& x, const Var& context = {}) override;
  Walked walk_back(const Walked& at, const Tensor& dlog_det, const Var& context) override;
  /// Whether a step of training keeps no more than the output, and computes the values between the
  /// parts anew when gradients come back, by invertible(). Throws Error unless all parts are exact.
  void recompute(bool on = true);
  bool exact() const override;
  bool lossless() const override;
  Var draw(const Var& z, Generator& gen, const Var& context = {}) override;
  int levels() const override { return parts_.empty() ? 0 : parts_[0].second->levels(); }
  Tensor whole_columns() const override {
    return parts_.empty() ? Tensor() : parts_[0].second->whole_columns();
  }
  bool takes_f64() const override { return !parts_.empty() && parts_[0].second->takes_f64(); }
  void initialize(const Samples& x) override;
  std::int64_t initial_rows() const override;
  std::string kind() const override { return "Compose"; }
  Shape out_shape(const Shape& in) const override;
  Shape inspect(const Shape& in, const std::string& name,
                std::vector<nn::LayerInfo>& rows) const override;

  using Named = std::pair<std::string, std::shared_ptr<Transform>>;
  const std::vector<Named>& parts() const { return parts_; }
  /// The parts, in place of each that is a Compose itself its own, with dotted names.
  std::vector<Named> layers() const;

 private:
  Mapped forward_from(std::size_t first, Mapped at, const Var& context) const;

  std::vector<Named> parts_;
  bool recomputes_ = false;
};

}  // namespace nf::flows
