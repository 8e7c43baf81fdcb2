#include "autograd/record.h"
#include "tensor/linalg.h"

namespace nf {

using detail::add_grad;
using detail::Function;

Var matmul(const Var& a, const Var& b) {
  Tensor value = matmul(a.value(), b.value());
  if (!needs_record({&a, &b})) return value;
  return detail::record(Function::matmul, std::move(value),
                        [saved_a = Saved("matmul", a.value()), saved_b = Saved("matmul", b.value()),
                         slot_a = a.slot(), slot_b = b.slot()](const Tensor& dout) {
                          const Tensor &a = saved_a.get(), &b = saved_b.get();
                          if (slot_a) slot_a->accumulate(sum_to(matmul(dout, b.t()), a.shape()));
                          if (slot_b) slot_b->accumulate(sum_to(matmul(a.t(), dout), b.shape()));
                        });
}

namespace {

// What linear and conv2d do with pre, their product (rows, out): out = act(pre + bias).
struct Fused {
  bool active;  // is there an activation?
  Saved out;
  UnaryOp op = UnaryOp::Affine;
  OpArgs args;
  std::shared_ptr<Slot> bias;

  Fused(const char* name, const Tensor& value, const Var& b, const UnaryOp* act, OpArgs a)
      : active(act != nullptr), args(a), bias(b.slot()) {
    if (!active) return;
    out = Saved(name, value);
    op = *act;
  }

  // The gradient of pre, of dout's shape; the bias gets its own. Once: the output is given free.
  Tensor backward(Tensor dout) {
    const std::int64_t width = dout.dim(-1);
    std::int64_t n = 1;
    for (int d = 0; d + 1 < dout.rank(); ++d) n *= dout.dim(d);
    const Shape rows = {n, width};
    if (!active || dout.numel() == 0) {
      if (bias) bias->accumulate(sum(dout.reshape(rows), {0}));
      return dout;
    }
    if (!dout.is_contiguous()) dout = dout.clone();
    Tensor dpre = reuse_or_empty(dout).reshape(rows), dbias;
    if (bias) dbias = Tensor::empty({width}, dout.dtype(), dout.device());
    backend_of(dout).linear_backward(dout.reshape(rows), out.take().reshape(rows), op, args, dpre,
                                     bias ? &dbias : nullptr);
    add_grad(bias, std::move(dbias));
    return dpre.reshape(dout.shape());
  }
};

}  // namespace

// Backward of the product needs x and w.
Var linear(const Var& x, const Var& w, const Var& bias, const UnaryOp* act, OpArgs args) {
  Tensor value = linear(x.value(), w.value(), bias.value(), act, args);
  if (!needs_record({&x, &w, &bias})) return value;
  Fused fused("linear", value, bias, act, args);
  return detail::record(
      Function::linear, std::move(value),
      [fused, saved_x = Saved("linear", x.value()), saved_w = Saved("linear", w.value()),
       slot_x = x.slot(), slot_w = w.slot()](Tensor dout) mutable {
        const Tensor dpre = fused.backward(std::move(dout));
        if (slot_w) slot_w->accumulate(matmul(dpre.t(), saved_x.take()));
        if (slot_x) slot_x->accumulate(matmul(dpre, saved_w.get()));
      });
}

Var conv2d(const Var& x, const Var& w, const Var& bias, const ConvGeometry& geometry,
           const UnaryOp* act, OpArgs args) {
  Tensor value = conv2d(x.value(), w.value(), bias.value(), geometry, act, args);
  if (!needs_record({&x, &w, &bias})) return value;
  Fused fused("conv2d", value, bias, act, args);
  return detail::record(
      Function::conv2d, std::move(value),
      [fused, geometry, saved_x = Saved("conv2d", x.value()), saved_w = Saved("conv2d", w.value()),
       slot_x = x.slot(), slot_w = w.slot(), in = x.shape()](Tensor dout) mutable {
        const Tensor dpre = fused.backward(std::move(dout)), &weights = saved_w.get();
        if (slot_w) {
          slot_w->accumulate(
              conv2d_backward_weights(saved_x.take(), dpre, weights.shape(), geometry));
        }
        if (slot_x) slot_x->accumulate(conv2d_backward_data(dpre, weights, in, geometry));
      });
}

// --- linear algebra -----------------------------------------------------------------------------

namespace {

// The lower or upper triangle of a square matrix, the diagonal included; zeros elsewhere.
Tensor triangle(const Tensor& a, bool lower) {
  const Tensor i = Tensor::arange(a.dim(0), DType::I32).to(a.device());
  const Tensor rows = i.unsqueeze(1), cols = i.unsqueeze(0);
  const Tensor inside = lower ? greater_equal(rows, cols) : less_equal(rows, cols);
  return where(inside, a, Tensor::zeros({}, a.dtype(), a.device()));
}

}  // namespace

// A X = B: dB = A^-T dX, dA = -dB X^T (its triangle).
Var triangular_solve(const Var& a, const Var& b, bool lower) {
  Tensor value = triangular_solve(a.value(), b.value(), {.lower = lower});
  if (!needs_record({&a, &b})) return value;
  const Saved saved_a("triangular_solve", a.value()), saved_x("triangular_solve", value);
  return detail::record(Function::triangular_solve, std::move(value),
                        [=, slot_a = a.slot(), slot_b = b.slot()](const Tensor& dout) {
                          const Tensor db = triangular_solve(saved_a.get(), dout,
                                                             {.lower = lower, .transpose = true});
                          if (slot_a)
                            slot_a->accumulate(triangle(-matmul(db, saved_x.get().t()), lower));
                          add_grad(slot_b, db);
                        });
}

// Murray, "Differentiation of the Cholesky decomposition" (2016), eq. 10:
// dA = L^-T Phi(L^T dL) L^-1, symmetrised; Phi keeps the lower triangle and halves the diagonal.
Var cholesky(const Var& a) {
  Tensor value = cholesky(a.value());
  if (!needs_record({&a})) return value;
  const Saved saved("cholesky", value);
  return detail::record(Function::cholesky, std::move(value),
                        [saved, slot = a.slot()](const Tensor& dout) {
                          const Tensor& l = saved.get();
                          const Tensor m = triangle(matmul(l.t(), dout), true);
                          const Tensor phi = m - 0.5 * triangle(m, false);
                          const TriangularOptions transposed{.lower = true, .transpose = true};
                          const Tensor left = triangular_solve(l, phi, transposed);
                          const Tensor g = triangular_solve(l, left.t(), transposed).t();
                          slot->accumulate(0.5 * (g + g.t()));
                        });
}

Var inverse(const Var& a) {
  Tensor value = inverse(a.value());
  if (!needs_record({&a})) return value;
  const Saved saved("inverse", value);
  return detail::record(Function::inverse, std::move(value),
                        [saved, slot = a.slot()](const Tensor& dout) {
                          const Tensor bt = saved.get().t();
                          slot->accumulate(-matmul(matmul(bt, dout), bt));
                        });
}

Var slogdet(const Var& a) {
  Tensor value = slogdet(a.value()).logdet;
  if (!needs_record({&a})) return value;
  return detail::record(Function::slogdet, std::move(value),
                        [saved = Saved("slogdet", a.value()), slot = a.slot()](const Tensor& dout) {
                          slot->accumulate(dout * inverse(saved.get()).t());
                        });
}

// --- memory for time ----------------------------------------------------------------------------

std::vector<Var> checkpoint(const MultiFn& fn, const std::vector<Var>& inputs) {
  Tape* tape = Tape::current();
  std::vector<Var> constants;
  for (const Var& input : inputs) constants.push_back(input.detach());
  std::vector<Tensor> values;
  {
    const NoGrad no_grad;
    for (const Var& out : fn(constants)) values.push_back(out.value());
  }
  if (!tape) return {values.begin(), values.end()};
  std::vector<Saved> saved;
  for (const Var& input : inputs) saved.emplace_back("checkpoint", input.value());
  return tape->record(name_of(Function::checkpoint), std::move(values),
                      [fn, inputs, saved](std::span<const Tensor> douts) {
                        Tape nested;
                        std::vector<Var> leaves;
                        for (const Saved& s : saved) leaves.push_back(Var::leaf(s.get()));
                        const std::vector<Var> outs = fn(leaves);
                        std::vector<Var> reached;
                        std::vector<Tensor> grads;
                        for (std::size_t i = 0; i < outs.size(); ++i) {
                          if (!douts[i].defined() || !outs[i].requires_grad()) continue;
                          reached.push_back(outs[i]);
                          grads.push_back(douts[i]);
                        }
                        nested.backward(reached, grads);
                        for (std::size_t i = 0; i < inputs.size(); ++i) {
                          if (leaves[i].grad().defined())
                            add_grad(inputs[i].slot(), leaves[i].grad());
                        }
                      });
}

}  // namespace nf
