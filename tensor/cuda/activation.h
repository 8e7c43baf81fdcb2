// The activation that is fused behind a product, in kernels.
#pragma once

#include "tensor/elementwise.h"

namespace nf::cuda {

/// No activation.
struct Identity {
  template <class T>
  NF_HD static T f(T x, Args<T>) {
    return x;
  }
};

/// Calls body.template operator()<Op>() with the operation: each has kernels of its own, since one
/// that looked it up would keep its numbers on the stack. Only those are fused of which the
/// derivative does not need the input.
template <class Body>
void with_activation(UnaryOp act, Body&& body) {
  visit(act, [&]<class Op>() {
    if constexpr (Op::needs != Needs::Input) body.template operator()<Op>();
  });
}
/// The same, with Identity for none.
template <class Body>
void with_activation(const UnaryOp* act, Body&& body) {
  act ? with_activation(*act, body) : body.template operator()<Identity>();
}

}  // namespace nf::cuda
