#include "autograd/record.h"

namespace nf {

using detail::add_grad;
using detail::Function;

Var unary(UnaryOp op, const Var& x, OpArgs args) {
  Tensor value = unary(op, x.value(), args);
  if (!needs_record({&x})) return value;
  Saved saved;
  switch (needs_of(op)) {
    case Needs::Nothing:
      break;
    case Needs::Input:
      saved = Saved(name_of(op), x.value());
      break;
    case Needs::Output:
      saved = Saved(name_of(op), value);
      break;
  }
  return Tape::current()->record(name_of(op), std::move(value),
                                 [=, slot = x.slot()](const Tensor& dout) {
                                   slot->accumulate(unary_backward(op, args, dout, saved.get()));
                                 });
}

Var binary(BinaryOp op, const Var& a, const Var& b) {
  Tensor value = binary(op, a.value(), b.value());
  if (!needs_record({&a, &b})) return value;
  Saved saved_a, saved_b;
  if (uses_inputs(op)) {
    saved_a = Saved(name_of(op), a.value());
    saved_b = Saved(name_of(op), b.value());
  }
  return Tape::current()->record(
      name_of(op), std::move(value),
      [=, slot_a = a.slot(), slot_b = b.slot(), shape_a = a.shape(),
       shape_b = b.shape()](const Tensor& dout) {
        if (op == BinaryOp::Add) {  // the gradient itself: no kernel to run
          if (slot_a) slot_a->accumulate(sum_to(dout, shape_a));
          if (slot_b) slot_b->accumulate(sum_to(dout, shape_b));
          return;
        }
        const auto [da, db] = binary_backward(op, dout, saved_a.get(), saved_b.get(),
                                              slot_a != nullptr, slot_b != nullptr);
        if (slot_a) slot_a->accumulate(sum_to(da, shape_a));
        if (slot_b) slot_b->accumulate(sum_to(db, shape_b));
      });
}

Var where(const Tensor& condition, const Var& a, const Var& b) {
  Tensor value = where(condition, a.value(), b.value());
  if (!needs_record({&a, &b})) return value;
  return detail::record(Function::where, std::move(value),
                        [saved = Saved("where", condition), slot_a = a.slot(), slot_b = b.slot(),
                         shape_a = a.shape(), shape_b = b.shape()](const Tensor& dout) {
                          const Tensor zero = Tensor::zeros({}, dout.dtype(), dout.device());
                          if (slot_a)
                            slot_a->accumulate(sum_to(where(saved.get(), dout, zero), shape_a));
                          if (slot_b)
                            slot_b->accumulate(sum_to(where(saved.get(), zero, dout), shape_b));
                        });
}

}  // namespace nf
