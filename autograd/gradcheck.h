// gradcheck: is the gradient of a differentiable function the derivative of its value?
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "autograd/var.h"

namespace nf {

struct GradCheckOptions {
  double step = 1e-5;       ///< of the central difference (f(x+h) - f(x-h)) / 2h
  double tolerance = 1e-7;  ///< allowed |analytic - numeric| / (1 + |numeric|)
  std::uint64_t seed = 1;   ///< of the random weights that turn outputs into one number
};

struct GradCheck {
  bool ok = true;
  double max_error = 0;
  std::string message;  ///< where and by how much it failed; empty when ok
};

/// Compares the gradients that backward gives for every element of every input with central
/// differences, for a random weighted sum of all outputs of fn (which vanishes on no wrong Jacobian
/// but with probability 0). Also checks that gradients add up over two backward passes. fn must be
/// a pure function of its inputs and smooth at them; inputs must be f64.
GradCheck gradcheck(const std::function<std::vector<Var>(const std::vector<Var>&)>& fn,
                    const std::vector<Tensor>& inputs, const GradCheckOptions& options = {});

}  // namespace nf
