// Roots of increasing functions, number by number: inverses that have no formula.
#pragma once

#include <functional>

#include "autograd/functions.h"

namespace nf::flows {

/// An increasing function of numbers: what it gives for them, and the logarithms of its slopes.
using Increasing = std::function<Sloped<Tensor>(const Tensor& x)>;

/// x with f(x) = y, of y's shape, without gradients, to the last bits of the type: Newton's method
/// between `low` <= x and `high` >= x, which are halved where its steps leave them or do not
/// shrink. The way of each number is its own, whatever stands beside it. NaN stays NaN.
Tensor find_root(const Increasing& f, const Tensor& y, Tensor low, Tensor high);

/// `found`, where f is `there` and should be y, with the gradients of x in y and in all that
/// `there` depends on (the implicit function theorem): one more step of Newton's method with the
/// slope held constant. The value of that step is taken off again.
Var with_gradient(const Tensor& found, const Var& y, const Sloped<Var>& there);

/// v with v + r tanh(q v + c) = y, elementwise with broadcasting, with gradients in all four. r q >
/// -1 makes the left side increasing; v lies within |r| of y.
Var tanh_step_root(const Var& y, const Var& r, const Var& q, const Var& c);

}  // namespace nf::flows
