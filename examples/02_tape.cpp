// The tape: gradients by reverse-mode differentiation, how they are checked, and a function of
// one's own.
#include <cmath>
#include <cstdio>

#include "autograd/functions.h"
#include "autograd/gradcheck.h"

using namespace nf;

// Zero at the right answer: how far the gradient of sum(log x + x^2) is from 1/x + 2x.
static double gradient_error() {
  const Var x = Var::leaf(Tensor::from<double>({0.5, 1, 4}, {3}));
  Tape tape;  // from here on, functions of Vars are recorded
  const Var y = sum(log(x) + square(x));
  const std::size_t nodes = tape.size();
  tape.backward(y);  // the tape is spent; the gradient is at the leaf

  std::printf("y = %g, recorded in %zu nodes\n", y.value().item(), nodes);
  for (const double g : x.grad().to_vector<double>()) std::printf("dy/dx = %g\n", g);
  return max(abs(x.grad() - (reciprocal(x.value()) + 2 * x.value()))).item();
}

// x^3 as a new differentiable function: the value, and a closure that turns the gradient of the
// output into that of the input. With a wrong `slope` the gradient is wrong.
static Var cube(const Var& x, double slope = 3) {
  Tensor value = x.value() * square(x.value());
  if (!needs_record({&x})) return value;
  return Tape::current()->record(
      "cube", value,
      [slope, slot = x.slot(), saved = Saved("cube", x.value())](const Tensor& dout) {
        slot->accumulate(dout * (slope * square(saved.get())));
      });
}

// Whether a write into what backward needs is noticed.
static bool overwriting_is_noticed() {
  Var x = Var::leaf(Tensor::ones({2}));
  Tape tape;
  const Var y = sum(square(x));
  x.mutable_value().fill_(7);
  try {
    tape.backward(y);
  } catch (const Error& error) {
    std::printf("%s\n", error.what());
    return true;
  }
  return false;
}

int main() {
  const double error = gradient_error();
  const std::vector<Tensor> at = {Tensor::from<double>({-2, 0.3, 1}, {3})};
  const GradCheck right =
      gradcheck([](const std::vector<Var>& in) { return std::vector<Var>{cube(in[0])}; }, at);
  const GradCheck wrong =
      gradcheck([](const std::vector<Var>& in) { return std::vector<Var>{cube(in[0], 2)}; }, at);
  std::printf("cube: %s\n", right.ok ? "the gradient is the derivative" : right.message.c_str());
  std::printf("cube with a wrong slope: %s\n", wrong.ok ? "not noticed" : wrong.message.c_str());
  const bool noticed = overwriting_is_noticed();
  return error < 1e-12 && right.ok && !wrong.ok && noticed ? 0 : 1;
}
