#include "autograd/tape.h"

#include <atomic>

#include "autograd/watch.h"
#include "tensor/ops.h"

namespace nf {

namespace {
thread_local Tape* current_tape = nullptr;
thread_local BackwardWatch* current_watch = nullptr;
std::atomic<std::uint64_t> next_tape_id{1};

struct SuspendedWatch {
  BackwardWatch* const of = std::exchange(current_watch, nullptr);
  SuspendedWatch() = default;
  ~SuspendedWatch() { current_watch = of; }
  SuspendedWatch(const SuspendedWatch&) = delete;
  SuspendedWatch& operator=(const SuspendedWatch&) = delete;
};

constexpr const char* kNotOfThisTape =
    "[backward] the loss was not computed on this tape from anything that requires a gradient; "
    "compute it after the Tape was made, from Var::leaf values";
}  // namespace

// --- slots and vars -----------------------------------------------------------------------------

void Slot::accumulate(Tensor g) {
  if (!grad.defined()) {
    // Optimizers read leaves' gradients: no odd strides.
    grad = tape_id == 0 ? g.contiguous() : std::move(g);
  } else if (grad.unique() && grad.is_contiguous()) {
    grad.add_(g);
  } else {
    grad = std::move(grad) + std::move(g);
  }
}

void Slot::accumulate_view(const Shape& shape, const Layout& view, const Tensor& g) {
  if (!grad.defined()) {
    grad = Tensor::zeros(shape, g.dtype(), g.device());
  } else if (!grad.unique() || !grad.is_contiguous()) {
    grad = grad.clone();
  }
  Layout at = view;
  at.offset += grad.layout().offset;
  Tensor part = grad.with_layout(at);
  part.add_(g);
}

const Tensor& Var::grad() const {
  NF_CHECK(slot_, "[grad] this Var is a constant; make it with Var::leaf to get a gradient");
  return slot_->grad;
}

void Var::clear_grad() {
  if (slot_) slot_->grad = Tensor();
}

void Var::set_value(Tensor value) {
  value_ = std::move(value);
  clear_grad();
}

const Tensor& Saved::get() const {
  NF_CHECK(value_.version() == version_, "[", op_, "] backward needs ", describe(value_),
           ", but it was written to in place after the forward pass (version ", value_.version(),
           ", saved at ", version_, "); write to a clone() instead");
  return value_;
}

// --- tape ---------------------------------------------------------------------------------------

Tape::Tape() : id_(next_tape_id++), previous_(current_tape) { current_tape = this; }

Tape::~Tape() {
  if (current_tape == this) current_tape = previous_;
}

Tape* Tape::current() { return current_tape; }

Var Tape::record(const char* op, Tensor value, std::function<void(Tensor)> backward) {
  auto slot = std::make_shared<Slot>();
  slot->tape_id = id_;
  nodes_.push_back(
      {op, {slot}, [f = std::move(backward)](std::span<Tensor> douts) { f(std::move(douts[0])); }});
  return {std::move(value), std::move(slot)};
}

std::vector<Var> Tape::record(const char* op, std::vector<Tensor> values, Backward backward) {
  std::vector<Var> outs;
  Node node{op, {}, std::move(backward)};
  for (Tensor& value : values) {
    node.outs.push_back(std::make_shared<Slot>());
    node.outs.back()->tape_id = id_;
    outs.emplace_back(std::move(value), node.outs.back());
  }
  nodes_.push_back(std::move(node));
  return outs;
}

void Tape::backward(const Var& loss) {
  NF_CHECK(loss.defined() && loss.numel() == 1, "[backward] the loss must be one number, got ",
           describe(loss.value()), "; reduce it with sum() or mean()");
  NF_CHECK(!loss.requires_grad() || loss.slot()->tape_id != 0, kNotOfThisTape);
  const Tensor one = Tensor::ones(loss.shape(), loss.dtype(), loss.device());
  backward({&loss, 1}, {&one, 1});
}

void Tape::backward(std::span<const Var> outputs, std::span<const Tensor> grads) {
  NF_CHECK(!spent_,
           "[backward] this tape has been walked already and its nodes are freed; make a "
           "new Tape and run the forward pass again");
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    // A leaf is a function of itself: what a nested tape records may return its input.
    const std::shared_ptr<Slot>& slot = outputs[i].slot();
    NF_CHECK(slot && (slot->tape_id == id_ || slot->tape_id == 0), kNotOfThisTape);
    if (grads[i].defined()) slot->accumulate(grads[i]);
  }
  spent_ = true;
  if (current_tape == this) current_tape = previous_;
  const NoGrad no_grad;  // closures compute on Tensors; nothing they do is recorded
  std::vector<Tensor> douts;
  const SuspendedWatch watch;  // what runs in a node is not watched
  while (!nodes_.empty()) {
    {
      const Profile::Scope part(nodes_.back().part, Profile::Backward);
      const Node node = std::move(nodes_.back());
      nodes_.pop_back();
      bool any = false;
      douts.clear();
      for (const auto& slot : node.outs) {
        douts.push_back(std::exchange(slot->grad, Tensor()));
        any = any || douts.back().defined();
      }
      if (any) node.backward(douts);
    }
    if (watch.of) watch.of->passed_();
  }
}

NoGrad::NoGrad() : suspended_(std::exchange(current_tape, nullptr)) {}
NoGrad::~NoGrad() { current_tape = suspended_; }

BackwardWatch::BackwardWatch(std::function<void()> passed)
    : passed_(std::move(passed)), before_(std::exchange(current_watch, this)) {}
BackwardWatch::~BackwardWatch() { current_watch = before_; }

bool needs_record(std::initializer_list<const Var*> inputs) {
  if (!current_tape) return false;
  for (const Var* input : inputs) {
    if (input->requires_grad()) return true;
  }
  return false;
}

}  // namespace nf
