// Answers to the exercises of chapter 1 that a program can give.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "tensor/ops.h"

using namespace nf;

/// Exercise 1: a view has the storage of the tensor that it was made from.
static bool is_view(const char* what, const Tensor& t, const Tensor& of) {
  const bool view = t.storage() == of.storage();
  std::printf("%-36s %s\n", what, view ? "a view" : "a copy");
  return view;
}

/// Exercise 2: element i of the diagonal of an (n, n) tensor lies i (strides0 + strides1) after the
/// first one.
static Tensor diagonal(const Tensor& t) {
  Layout line = t.layout();
  line.shape = Shape{t.dim(0)};
  line.strides = {t.strides()[0] + t.strides()[1]};
  return t.with_layout(line);
}

/// Exercise 3: x / sqrt(1 + x^2), between -1 and 1 like tanh, and its slope twice.
template <class T>
static T bounded(T x) {
  return x / std::sqrt(1 + x * x);
}
template <class T>
static T slope_of_input(T x) {
  return 1 / ((1 + x * x) * std::sqrt(1 + x * x));
}
template <class T>
static T slope_of_output(T y) {
  return (1 - y * y) * std::sqrt(1 - y * y);
}

int main() {
  const Tensor a = Tensor::arange(6).reshape({2, 3});
  const bool first = is_view("a.t().reshape({6})", a.t().reshape({6}), a);
  const bool second =
      is_view("a.slice(1, 0, 2, 2).reshape({4})", a.slice(1, 0, 2, 2).reshape({4}), a);
  const bool third = is_view("a.slice(0, 0, 1).reshape({3})", a.slice(0, 0, 1).reshape({3}), a);

  Tensor square = Tensor::zeros({3, 3});
  diagonal(square).fill_(1);
  diagonal(square.flip(1)).fill_(2);  // the other diagonal: strides 3 and -1
  std::printf("both diagonals:");
  for (const float v : square.to_vector<float>()) std::printf(" %g", v);
  std::printf("\n");

  double worst = 0;
  for (const double x : {-3.0, -0.5, 0.0, 1.0, 20.0}) {
    const double quotient = (bounded(x + 1e-5) - bounded(x - 1e-5)) / 2e-5;
    worst = std::max({worst, std::abs(quotient - slope_of_input(x)),
                      std::abs(quotient - slope_of_output(bounded(x)))});
  }
  std::printf("both slopes are within 1e-9 of the difference quotient: %s\n",
              worst < 1e-9 ? "yes" : "no");
  for (const float x : {10.F, 1000.F, 1e5F}) {
    std::printf("at %6g in f32: of the input %.4g, of the output %.4g\n", x, slope_of_input(x),
                slope_of_output(bounded(x)));
  }
  return !first && !second && third && worst < 1e-9 ? 0 : 1;
}
