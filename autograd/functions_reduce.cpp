#include <algorithm>
#include <limits>

#include "autograd/record.h"

namespace nf {

using detail::Function;

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

// How many elements of x one result is made of.
double count(ReduceOp op, const Shape& x, const Axes& axes) {
  const double results = static_cast<double>(ones_at(op, x, axes).numel());
  return static_cast<double>(x.numel()) / std::max(1.0, results);
}

// Records a reduction whose gradient is grad(dout broadcast to x, x, out with kept dimensions).
template <class Grad>
Var record_reduce(Function f, ReduceOp op, const Var& x, const Axes& axes, bool keep_dims,
                  bool save_x, Grad grad) {
  Tensor value = reduce(op, x.value(), axes, keep_dims);
  if (!needs_record({&x})) return value;
  const Shape kept = ones_at(op, x.shape(), axes);
  Saved saved_x, saved_out;
  if (save_x) {
    saved_x = Saved(name_of(op), x.value());
    saved_out = Saved(name_of(op), value.reshape(kept));
  }
  return detail::record(f, std::move(value),
                        [=, slot = x.slot(), shape = x.shape()](const Tensor& dout) {
                          const Tensor wide = dout.reshape(kept).broadcast_to(shape);
                          slot->accumulate(grad(wide, saved_x.get(), saved_out.get()));
                        });
}

// Gradient of max and min: shared by all elements that are equal to the result.
Tensor share_among_equals(const Tensor& dout, const Tensor& x, const Tensor& out,
                          const Axes& axes) {
  const Tensor hit = equal(x, out).to(x.dtype());
  return dout * hit / sum(hit, axes, true);
}

}  // namespace

Var sum(const Var& x, const Axes& axes, bool keep_dims) {
  return record_reduce(Function::sum, ReduceOp::Sum, x, axes, keep_dims, /*save_x=*/false,
                       [](const Tensor& dout, const Tensor&, const Tensor&) { return dout; });
}

Var mean(const Var& x, const Axes& axes, bool keep_dims) {
  const double n = count(ReduceOp::Mean, x.shape(), axes);
  return record_reduce(Function::mean, ReduceOp::Mean, x, axes, keep_dims, /*save_x=*/false,
                       [n](const Tensor& dout, const Tensor&, const Tensor&) { return dout / n; });
}

Var sum_squares(const Var& x, const Axes& axes, bool keep_dims) {
  return record_reduce(Function::sum_squares, ReduceOp::SumSquares, x, axes, keep_dims,
                       /*save_x=*/true, [](const Tensor& dout, const Tensor& in, const Tensor&) {
                         return dout * in * 2.0;
                       });
}

Var max(const Var& x, const Axes& axes, bool keep_dims) {
  return record_reduce(Function::max, ReduceOp::Max, x, axes, keep_dims, /*save_x=*/true,
                       [axes](const Tensor& dout, const Tensor& in, const Tensor& out) {
                         return share_among_equals(dout, in, out, axes);
                       });
}

Var min(const Var& x, const Axes& axes, bool keep_dims) {
  return record_reduce(Function::min, ReduceOp::Min, x, axes, keep_dims, /*save_x=*/true,
                       [axes](const Tensor& dout, const Tensor& in, const Tensor& out) {
                         return share_among_equals(dout, in, out, axes);
                       });
}

// d log sum exp x = softmax(x); a row of -inf has no direction in which it grows: gradient 0.
Var logsumexp(const Var& x, const Axes& axes, bool keep_dims) {
  return record_reduce(
      Function::logsumexp, ReduceOp::LogSumExp, x, axes, keep_dims, /*save_x=*/true,
      [](const Tensor& dout, const Tensor& in, const Tensor& out) {
        const Tensor softmax = exp(in - out);
        const Tensor zero = Tensor::zeros({}, in.dtype(), in.device());
        const Tensor lowest =
            Tensor::full({}, -std::numeric_limits<double>::infinity(), in.dtype(), in.device());
        return dout * where(equal(in, lowest), zero, softmax);
      });
}

Var variance(const Var& x, const Axes& axes, bool keep_dims) {
  const double n = count(ReduceOp::Variance, x.shape(), axes);
  return record_reduce(Function::variance, ReduceOp::Variance, x, axes, keep_dims, /*save_x=*/true,
                       [axes, n](const Tensor& dout, const Tensor& in, const Tensor&) {
                         return dout * (in - mean(in, axes, true)) * (2 / n);
                       });
}

// d prod / d x_i is the product of the others: prod / x_i, except beside a zero. With one zero in
// the row only that element has a gradient, with two nobody has.
Var prod(const Var& x, const Axes& axes, bool keep_dims) {
  return record_reduce(Function::prod, ReduceOp::Prod, x, axes, keep_dims, /*save_x=*/true,
                       [axes](const Tensor& dout, const Tensor& in, const Tensor&) {
                         const Tensor zero = Tensor::zeros({}, in.dtype(), in.device());
                         const Tensor one = Tensor::ones({}, in.dtype(), in.device());
                         const Tensor is_zero = equal(in, zero);
                         const Tensor without_zeros = where(is_zero, one, in);
                         const Tensor rest = prod(without_zeros, axes, true);
                         const Tensor zeros = sum(is_zero.to(in.dtype()), axes, true);
                         const Tensor at_zero = where(equal(zeros, one), rest, zero);
                         const Tensor elsewhere =
                             where(equal(zeros, zero), rest, zero) / without_zeros;
                         return dout * where(is_zero, at_zero, elsewhere);
                       });
}

}  // namespace nf
