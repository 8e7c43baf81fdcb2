// Tensors, errors, gradients, and a straight line fitted by gradient descent.
#include <cmath>
#include <cstdio>

#include "autograd/functions.h"
#include "tensor/blas.h"
#include "tensor/random.h"

using namespace nf;

static void show(const char* what, const Tensor& t) {
  std::printf("%-22s %s:", what, str(t.shape()).c_str());
  for (const double value : t.to(DType::F64).to_vector<double>()) std::printf(" %.4g", value);
  std::printf("\n");
}

static void tensors() {
  const Tensor a = Tensor::arange(6).reshape({2, 3});
  show("a", a);
  show("a.t(), a view", a.t());
  show("its last row", a.narrow(0, 1, 1));
  show("a - mean of each row", a - mean(a, {1}, /*keep_dims=*/true));  // (2, 3) - (2, 1)
  show("a times a.t()", matmul(a, a.t()));
  try {
    matmul(a, a);
  } catch (const Error& error) {
    std::printf("a times a: %s\n", error.what());
  }
}

static void gradients() {
  const Var x = Var::leaf(Tensor::from<float>({1, 2, 4}, {3}));
  Tape tape;  // from here on, functions of Vars are recorded
  const Var y = sum(log(x) + square(x));
  tape.backward(y);  // the tape is spent; gradients are at the leaves
  show("1/x + 2x", x.grad());
}

// y = 2 x0 - 3 x1 + 0.5 + noise. Returns the distance of the fitted numbers from these.
static double fit_line() {
  Generator gen(/*seed=*/1);
  const Tensor x = normal(gen, {500, 2});
  const Tensor truth = Tensor::from<float>({2, -3}, {1, 2});
  const Tensor y = matmul(x, truth.t()) + 0.5 + 0.01 * normal(gen, {500, 1});

  Var w = Var::leaf(Tensor::zeros({1, 2}));
  Var b = Var::leaf(Tensor::zeros({1}));
  for (int step = 0; step < 100; ++step) {
    Tape tape;
    const Var loss = mean(square(linear(x, w, b) - y));
    tape.backward(loss);
    for (Var* parameter : {&w, &b}) {
      parameter->mutable_value().add_(-0.2 * parameter->grad());
      parameter->clear_grad();
    }
    if (step % 25 == 0) std::printf("step %3d  loss %.5f\n", step, loss.value().item());
  }
  show("fitted weights", w.value());
  show("fitted bias", b.value());
  return std::max(max(abs(w.value() - truth)).item(), std::abs(b.value().item() - 0.5));
}

int main(int, char** argv) {
  ensure_best_blas_kernels(argv);  // OpenBLAS may not know this processor: see tensor/blas.h
  tensors();
  gradients();
  return fit_line() < 0.01 ? 0 : 1;
}
