// The activation that is fused behind a product, in kernels.
#pragma once

#include "tensor/elementwise.h"

namespace nf::cuda {

/// None, or an op of which the derivative does not need the input; looked up as the kernel runs,
/// which moves memory and has time for it.
template <class T>
struct Activation {
  bool any;
  UnaryOp op;
  Args<T> k;

  Activation(const UnaryOp* act, OpArgs args)
      : any(act != nullptr), op(act ? *act : UnaryOp::Neg), k(args) {}
  NF_HD T f(T x) const {
    return any ? visit(op, [&]<class Op>() { return Op::f(x, k); }) : x;
  }
  NF_HD T df(T y) const {
    return visit(op, [&]<class Op>() { return Op::df(y, k); });
  }
};

}  // namespace nf::cuda
