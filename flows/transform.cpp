#include "flows/transform.h"

#include <numeric>
#include <utility>
#include <vector>

namespace nf::flows {

Var sum_event(const Var& x) {
  std::vector<int> axes(static_cast<std::size_t>(x.rank() - 1));
  std::iota(axes.begin(), axes.end(), 1);
  return axes.empty() ? x : sum(x, axes);
}

Var zero_log_det(const Var& x) { return Tensor::zeros({x.dim(0)}, x.dtype(), x.device()); }

void run_back(Tape& tape, const Mapped& out, const Tensor& dvalue, const Tensor& dlog_det) {
  std::vector<Var> outs;
  std::vector<Tensor> grads;
  for (const auto& [var, grad] : {std::pair{out.value, dvalue}, std::pair{out.log_det, dlog_det}}) {
    if (!var.requires_grad() || !grad.defined()) continue;
    outs.push_back(var);
    grads.push_back(grad);
  }
  tape.backward(outs, grads);
}

Walked Transform::walk_back(const Walked& at, const Tensor& dlog_det, const Var& context) {
  const nn::Call call(*this);
  const Tensor input = inverse(Var(at.value), context.detach()).value.value();
  const Var x = Var::leaf(input);
  Tape tape;
  run_back(tape, forward(x, context), at.dvalue, dlog_det);
  return {input, x.grad()};
}

}  // namespace nf::flows
