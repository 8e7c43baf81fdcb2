#include "flows/bijection.h"

#include "flows/compose.h"

namespace nf::flows {

Invert::Invert(std::shared_ptr<Transform> inner) : inner_(add_module("inner", std::move(inner))) {
  NF_CHECK(inner_.exact(), "[Invert] ", inner_.kind(), " is no bijection");
}

double Invert::flops(const Shape& in) const {
  std::vector<nn::LayerInfo> rows;
  inner_.inspect(in, "", rows);
  double total = 0;
  for (const nn::LayerInfo& row : rows) total += row.flops;
  return total;
}

// --- invertible ---------------------------------------------------------------------------------

namespace {

// One part of the walk back: from its output and the gradient there to its input and the gradient
// at the input. Gradients of parameters arrive in their slots on the way.
struct Position {
  Tensor value;
  Tensor dvalue;
};

Position step_back(Transform& part, const Position& at, const Tensor& dlog_det,
                   const Var& context) {
  const nn::Call call(part);
  const Tensor input = part.inverse(Var(at.value), context.detach()).value.value();
  const Var x = Var::leaf(input);
  Tape tape;
  const auto [value, log_det] = part.forward(x, context);
  std::vector<Var> outs;
  std::vector<Tensor> grads;
  for (const auto& [out, grad] : {std::pair{value, at.dvalue}, std::pair{log_det, dlog_det}}) {
    if (!out.requires_grad() || !grad.defined()) continue;
    outs.push_back(out);
    grads.push_back(grad);
  }
  tape.backward(outs, grads);
  return {input, x.grad()};
}

}  // namespace

Mapped invertible(Transform& flow, const Var& x, const Var& context) {
  NF_CHECK(flow.exact(), "[invertible] ", flow.kind(), " is no bijection: what it draws cannot be ",
           "drawn again");
  Tape* tape = Tape::current();
  Mapped out;
  {
    const NoGrad no_grad;
    out = flow(x, context);
  }
  if (!tape) return out;
  const std::vector<Var> recorded = tape->record(
      "invertible", {out.value.value(), out.log_det.value()},
      [&flow, context, slot = x.slot(),
       saved = Saved("invertible", out.value.value())](std::span<const Tensor> douts) {
        Position at{saved.get(), douts[0]};
        if (const auto* parts = dynamic_cast<Compose*>(&flow)) {
          for (auto part = parts->parts().rbegin(); part != parts->parts().rend(); ++part) {
            at = step_back(*part->second, at, douts[1], context);
          }
        } else {
          at = step_back(flow, at, douts[1], context);
        }
        if (slot && at.dvalue.defined()) slot->accumulate(at.dvalue);
      });
  return {recorded[0], recorded[1]};
}

}  // namespace nf::flows
