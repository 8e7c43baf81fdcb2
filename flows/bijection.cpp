#include "flows/bijection.h"

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
  std::vector<std::shared_ptr<Slot>> held;  // autograd/watch.h
  flow.for_each_parameter([&](const std::string&, Var& p) { held.push_back(p.slot()); });
  const std::vector<Var> recorded =
      tape->record("invertible", {out.value.value(), out.log_det.value()},
                   [&flow, context, held = std::move(held), slot = x.slot(),
                    saved = Saved("invertible", out.value.value())](std::span<const Tensor> douts) {
                     const Walked at = flow.walk_back({saved.get(), douts[0]}, douts[1], context);
                     if (slot && at.dvalue.defined()) slot->accumulate(at.dvalue);
                   });
  return {recorded[0], recorded[1]};
}

}  // namespace nf::flows
