// Var: a Tensor and the slot where its gradient gathers.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>

#include "tensor/tensor.h"

namespace nf {

/// Where the gradient of one Var gathers. Nodes of a tape point at slots, slots never at nodes: the
/// graph cannot have a cycle, and freeing it needs no recursion.
struct Slot {
  Tensor grad;
  std::uint64_t tape_id = 0;  ///< the tape that made the Var; 0 for a leaf

  /// grad += g. The first gradient is taken as it is; a later one is added in place only when
  /// nobody else looks at the memory (dx and dy of z = x + y are one tensor). Hand in with
  /// std::move what is not needed any more: its memory may serve for the sum.
  void accumulate(Tensor g);

  /// The part of grad that `view` describes += g, where grad has the given shape.
  void accumulate_view(const Shape& shape, const Layout& view, const Tensor& g);
};

/// Handle to a value that may need a gradient. Copying it copies the handle.
class Var {
 public:
  Var() = default;
  /// A constant: gradients do not flow into it. Implicit, so that Tensors can be passed as Vars.
  Var(Tensor value) : value_(std::move(value)) {}  // NOLINT(google-explicit-constructor)
  Var(Tensor value, std::shared_ptr<Slot> slot)
      : value_(std::move(value)), slot_(std::move(slot)) {}
  /// A parameter or an input whose gradient is wanted: backward leaves it in grad().
  static Var leaf(Tensor value) { return {std::move(value), std::make_shared<Slot>()}; }

  bool defined() const { return value_.defined(); }
  const Tensor& value() const& { return value_; }
  Tensor value() && { return std::move(value_); }
  const Shape& shape() const { return value_.shape(); }
  int rank() const { return value_.rank(); }
  std::int64_t dim(int i) const { return value_.dim(i); }
  std::int64_t numel() const { return value_.numel(); }
  DType dtype() const { return value_.dtype(); }
  Device device() const { return value_.device(); }

  bool requires_grad() const { return slot_ != nullptr; }
  const std::shared_ptr<Slot>& slot() const { return slot_; }
  /// The gradient that backward left; undefined when none arrived.
  const Tensor& grad() const;
  void clear_grad();

  /// The same value as a constant.
  Var detach() const { return Var(value_); }
  /// For optimizers and loading: writes into the value in place.
  Tensor& mutable_value() { return value_; }
  /// Replaces the value, e.g. by one of another dtype, and forgets the gradient.
  void set_value(Tensor value);

 private:
  Tensor value_;
  std::shared_ptr<Slot> slot_;
};

}  // namespace nf
