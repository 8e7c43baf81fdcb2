// Tape: what has been computed, in execution order, so that backward can walk it from the end.
//
//   Tape tape;                          // from here on, functions of Vars are recorded
//   Var loss = mean(square(model(x) - y));
//   tape.backward(loss);                // fills grad() of every leaf; the tape is spent
//
// Without a tape nothing is recorded and nothing is kept: that is inference. Tapes nest: the newest
// one records (checkpoint and invertible use this). The tape of a thread is its own.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <span>
#include <vector>

#include "autograd/var.h"
#include "tensor/profile.h"

namespace nf {

/// A tensor kept for backward, with the version it had. get() throws when somebody has written
/// into it since.
class Saved {
 public:
  Saved() = default;
  Saved(const char* op, Tensor value) : op_(op), value_(std::move(value)) {
    version_ = value_.version();
  }
  const Tensor& get() const;
  /// The same, for the last time: it is not kept any longer.
  Tensor take() {
    get();
    return std::move(value_);
  }

 private:
  const char* op_ = "";
  Tensor value_;
  std::uint64_t version_ = 0;
};

class Tape {
 public:
  /// Receives the gradients of a node's outputs, in order (undefined: none arrived, treat as zero),
  /// and adds to the slots of its inputs. It may move them on: they are its own, though their
  /// memory may be others', too.
  using Backward = std::function<void(std::span<Tensor> douts)>;

  Tape();
  ~Tape();
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  /// The tape that records in this thread now, or null.
  static Tape* current();
  static bool recording() { return current() != nullptr; }

  /// d loss / d leaf for every leaf that the scalar `loss` depends on, added to its grad(). Each
  /// node is freed as it is passed. Throws when loss is not a scalar, is not of this tape, or the
  /// tape has been walked before.
  void backward(const Var& loss);
  /// The same from given gradients of several outputs, which may be leaves.
  void backward(std::span<const Var> outputs, std::span<const Tensor> grads);

  std::size_t size() const { return nodes_.size(); }

  /// Adds a node and returns the Var of its only output. This is how a new differentiable function
  /// is made: compute the value, and if any input requires_grad() while a tape records, record the
  /// closure that turns the output's gradient into the inputs'.
  Var record(const char* op, Tensor value, std::function<void(Tensor dout)> backward);
  /// The same for several outputs.
  std::vector<Var> record(const char* op, std::vector<Tensor> values, Backward backward);

 private:
  struct Node {
    const char* op;
    std::vector<std::shared_ptr<Slot>> outs;
    Backward backward;
    const void* part = Profile::part_now();  ///< whose backward this will be
  };
  std::vector<Node> nodes_;
  std::uint64_t id_;
  Tape* previous_;
  bool spent_ = false;
};

/// Suspends recording in this thread while it lives: for evaluation inside a recorded region.
class NoGrad {
 public:
  NoGrad();
  ~NoGrad();
  NoGrad(const NoGrad&) = delete;
  NoGrad& operator=(const NoGrad&) = delete;

 private:
  Tape* suspended_;
};

/// True when a function of these inputs has to be recorded.
bool needs_record(std::initializer_list<const Var*> inputs);

}  // namespace nf
