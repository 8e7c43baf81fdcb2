// Answers to the exercises of chapter 2 that a program can give.
#include <cmath>
#include <cstdio>

#include "autograd/functions.h"
#include "autograd/gradcheck.h"

using namespace nf;

static void show(const char* what, const Tensor& t) {
  std::printf("%s", what);
  for (const double v : t.to(DType::F64).to_vector<double>()) std::printf(" %g", v);
  std::printf("\n");
}

/// Exercise 1: y = sum(x log x) is log, mul, sum; dy/dx = log x + 1.
static double of_product() {
  const Var x = Var::leaf(Tensor::from<double>({0.5, 1, 4}, {3}));
  Tape tape;
  const Var y = sum(x * log(x));
  std::printf("%zu nodes\n", tape.size());
  tape.backward(y);
  show("dy/dx", x.grad());
  return max(abs(x.grad() - log(x.value()) - 1)).item();
}

/// Exercise 2: backward comes to x + y first, and gives one tensor to both slots. The 3 that comes
/// next is for x alone.
static bool shared_gradients() {
  const Var x = Var::leaf(Tensor::ones({2})), y = Var::leaf(Tensor::ones({2}));
  {
    Tape tape;
    tape.backward(sum(square(x + y)));
  }
  const bool shared = x.grad().storage() == y.grad().storage();
  show("sum (x + y)^2:       dL/dx", x.grad());
  show("                     dL/dy", y.grad());
  std::printf("these two are %s\n", shared ? "the same memory" : "two tensors");

  const Var a = Var::leaf(Tensor::ones({2})), b = Var::leaf(Tensor::ones({2}));
  Tape tape;
  const Var tripled = sum(3 * a);  // recorded first, so its gradient comes last
  tape.backward(tripled + sum(square(a + b)));
  show("sum 3a + (a + b)^2:  dL/da", a.grad());
  show("                     dL/db", b.grad());
  return shared && max(abs(a.grad() - 7)).item() == 0 && max(abs(b.grad() - 4)).item() == 0;
}

/// Exercise 3: y = log sum exp x over the last axis of x (N, D). dy/dx is softmax(x) = exp(x - y):
/// the closure needs the input and the output.
static Var my_logsumexp(const Var& x) {
  Tensor value = logsumexp(x.value(), {1});  // (N)
  if (!needs_record({&x})) return value;
  return Tape::current()->record(
      "my_logsumexp", value,
      [slot = x.slot(), in = Saved("my_logsumexp", x.value()),
       out = Saved("my_logsumexp", value)](const Tensor& dout) {
        const auto column = [&](const Tensor& t) { return t.reshape({t.dim(0), 1}); };
        slot->accumulate(column(dout) * exp(in.get() - column(out.get())));
      });
}

int main() {
  const double error = of_product();
  const bool shared = shared_gradients();
  const std::vector<Tensor> at = {Tensor::from<double>({-2, 0.3, 1, 700, 701, 699}, {2, 3})};
  const GradCheck check = gradcheck(
      [](const std::vector<Var>& in) { return std::vector<Var>{my_logsumexp(in[0])}; }, at);
  std::printf("my_logsumexp: %s\n", check.ok ? "its gradient is right" : check.message.c_str());
  return error < 1e-12 && shared && check.ok ? 0 : 1;
}
