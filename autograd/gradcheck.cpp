#include "autograd/gradcheck.h"

#include <cmath>

#include "autograd/functions.h"
#include "tensor/random.h"

namespace nf {

namespace {

using Fn = std::function<std::vector<Var>(const std::vector<Var>&)>;

// sum over outputs of <weights, output>; the weights come from the seed.
Var weighted_sum(const std::vector<Var>& outs, std::uint64_t seed) {
  Generator gen(seed);
  Var total = Tensor::zeros({}, DType::F64);
  for (const Var& out : outs) {
    total = total + sum(out * Var(normal(gen, out.shape(), DType::F64)));
  }
  return total;
}

}  // namespace

GradCheck gradcheck(const Fn& fn, const std::vector<Tensor>& inputs,
                    const GradCheckOptions& options) {
  std::vector<Var> leaves;
  for (const Tensor& input : inputs) {
    NF_CHECK(input.dtype() == DType::F64, "[gradcheck] inputs must be f64, got ", describe(input));
    leaves.push_back(Var::leaf(input.clone()));
  }
  for (int pass = 0; pass < 2; ++pass) {
    Tape tape;
    tape.backward(weighted_sum(fn(leaves), options.seed));
  }

  GradCheck result;
  for (std::size_t k = 0; k < leaves.size(); ++k) {
    const std::int64_t n = leaves[k].numel();
    if (n > 0 && !leaves[k].grad().defined()) {
      return {false, INFINITY, str("input ", k, " received no gradient")};
    }
    for (std::int64_t i = 0; i < n; ++i) {
      double* x = leaves[k].mutable_value().mutable_data<double>() + i;
      const double at = *x;
      *x = at + options.step;
      const double above = weighted_sum(fn(leaves), options.seed).value().item();
      *x = at - options.step;
      const double below = weighted_sum(fn(leaves), options.seed).value().item();
      *x = at;
      const double numeric = (above - below) / (2 * options.step);
      const double analytic = leaves[k].grad().data<double>()[i] / 2;  // two passes added up
      const double error = std::abs(analytic - numeric) / (1 + std::abs(numeric));
      if (error <= result.max_error) continue;  // a NaN goes on
      result.max_error = error;
      if (error > options.tolerance || std::isnan(error)) {
        result.ok = false;
        result.message = str("input ", k, ", element ", i, " (x = ", at, "): backward gives ",
                             analytic, ", the difference quotient ", numeric);
      }
    }
  }
  return result;
}

}  // namespace nf
