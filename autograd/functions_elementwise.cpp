#include "autograd/record.h"

namespace nf {

using detail::add_grad;
using detail::Function;

Var unary(UnaryOp op, Var x, OpArgs args) {
  if (!needs_record({&x})) return unary(op, std::move(x).value(), args);
  Saved saved;
  if (needs_of(op) == Needs::Input) saved = Saved(name_of(op), x.value());
  Tensor value = unary(op, std::move(x).value(), args);
  if (needs_of(op) == Needs::Output) saved = Saved(name_of(op), value);
  return Tape::current()->record(name_of(op), std::move(value), [=, slot = x.slot()](Tensor dout) {
    slot->accumulate(unary_backward(op, args, std::move(dout), saved.get()));
  });
}

Var binary(BinaryOp op, Var a, Var b) {
  const bool wanted = needs_record({&a, &b});
  const Shape shape_a = a.shape(), shape_b = b.shape();
  Saved saved_a, saved_b;
  if (wanted && uses_inputs(op)) {
    saved_a = Saved(name_of(op), a.value());
    saved_b = Saved(name_of(op), b.value());
  }
  Tensor value = binary(op, std::move(a).value(), std::move(b).value());
  if (!wanted) return value;
  return Tape::current()->record(
      name_of(op), std::move(value), [=, slot_a = a.slot(), slot_b = b.slot()](Tensor dout) {
        if (op == BinaryOp::Add) {  // the gradient itself: no kernel to run
          if (slot_a) slot_a->accumulate(sum_to(dout, shape_a));
          if (slot_b) slot_b->accumulate(sum_to(std::move(dout), shape_b));
          return;
        }
        auto [da, db] = binary_backward(op, std::move(dout), saved_a.get(), saved_b.get(),
                                        slot_a != nullptr, slot_b != nullptr);
        if (slot_a) slot_a->accumulate(sum_to(std::move(da), shape_a));
        if (slot_b) slot_b->accumulate(sum_to(std::move(db), shape_b));
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

namespace {

// A map of numbers with parameters of their own; backward(douts, x, parameters) gives the gradients
// of both.
template <class Backward>
Sloped<Var> record_map(Function function, const Var& x, const Var& parameters, Sloped<Tensor> out,
                       const Backward& backward) {
  if (!needs_record({&x, &parameters})) return {out.value, out.log_slope};
  const char* const name = name_of(function);
  std::vector<Var> outs = Tape::current()->record(
      name, std::vector{std::move(out.value), std::move(out.log_slope)},
      [=, saved_x = Saved(name, x.value()), saved_p = Saved(name, parameters.value()),
       slot_x = x.slot(), slot_p = parameters.slot()](std::span<Tensor> douts) mutable {
        auto [dx, dparameters] = backward({douts[0], douts[1]}, saved_x.take(), saved_p.take());
        add_grad(slot_x, std::move(dx));
        add_grad(slot_p, std::move(dparameters));
      });
  return {std::move(outs[0]), std::move(outs[1])};
}

}  // namespace

LogOdds<Var> mixture_log_odds(const Var& x, const Var& parameters, int components, double limit) {
  return record_map(Function::mixture_log_odds, x, parameters,
                    mixture_log_odds(x.value(), parameters.value(), components, limit),
                    [=](const Sloped<Tensor>& douts, const Tensor& at, const Tensor& p) {
                      return mixture_log_odds_backward(douts, at, p, components, limit);
                    });
}

Sloped<Var> rational_quadratic_spline(const Var& x, const Var& parameters, const SplineArgs& args) {
  return record_map(Function::rational_quadratic_spline, x, parameters,
                    rational_quadratic_spline(x.value(), parameters.value(), args),
                    [=](const Sloped<Tensor>& douts, const Tensor& at, const Tensor& p) {
                      return rational_quadratic_spline_backward(douts, at, p, args);
                    });
}

}  // namespace nf
