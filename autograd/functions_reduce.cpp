#include <algorithm>

#include "autograd/record.h"

namespace nf {
namespace {

// The shape of x with the reduced axes at size 1, through which results broadcast back to x.
Shape ones_at(ReduceOp op, const Shape& x, const Axes& axes) {
  Shape out = x;
  if (axes.empty()) {
    for (int d = 0; d < x.rank(); ++d) out[d] = 1;
  }
  for (int axis : axes) out[x.axis(axis, name_of(op))] = 1;
  return out;
}

// What a gradient in tensor/reductions.h is written with.
struct Ingredients {
  Tensor dout, x, out;  // x and out are undefined where the reduction needs nothing
  const Axes& axes;
  double n;

  Tensor constant(double value) const { return Tensor::full({}, value, x.dtype(), x.device()); }
};

template <class Op>
Var record_reduce(ReduceOp op, const Var& x, const Axes& axes, bool keep_dims) {
  Tensor value = reduce(op, x.value(), axes, keep_dims);
  if (!needs_record({&x})) return value;
  const Shape kept = ones_at(op, x.shape(), axes);
  const double results = static_cast<double>(std::max<std::int64_t>(1, kept.numel()));
  const double n = static_cast<double>(x.value().numel()) / results;
  Saved saved_x, saved_out;
  if constexpr (Op::needs != Needs::Nothing) {
    saved_x = Saved(Op::name, x.value());
    saved_out = Saved(Op::name, value.reshape(kept));
  }
  return Tape::current()->record(
      Op::name, std::move(value), [=, slot = x.slot(), shape = x.shape()](const Tensor& dout) {
        const Tensor wide = dout.reshape(kept).broadcast_to(shape);
        slot->accumulate(Op::grad(Ingredients{wide, saved_x.get(), saved_out.get(), axes, n}));
      });
}

}  // namespace

#define NF_DEFINE(Struct, function)                                                 \
  Var function(const Var& x, const Axes& axes, bool keep_dims) {                    \
    return record_reduce<reductions::Struct>(ReduceOp::Struct, x, axes, keep_dims); \
  }
NF_SMOOTH_REDUCTIONS(NF_DEFINE)
#undef NF_DEFINE

}  // namespace nf
