// Answers to exercises of chapter 13: which parameters of a spline a number moves, and the gradient
// of its inverse by the implicit function theorem.
#include <cmath>
#include <cstdio>

#include "autograd/functions.h"
#include "tensor/random.h"

using namespace nf;

constexpr int kBins = 8;
constexpr double kBound = 3;

/// The gradients of the value by x and by all parameters.
static std::pair<Tensor, Tensor> gradients(const Tensor& x, const Tensor& parameters,
                                           bool inverse) {
  const Var at = Var::leaf(x), p = Var::leaf(parameters);
  Tape tape;
  tape.backward(sum(rational_quadratic_spline(at, p, {kBins, kBound, inverse}).value));
  return {at.grad(), p.grad()};
}

/// Exercise 2.
static bool who_moves(const Tensor& parameters) {
  bool right = true;
  for (const double x : {0.3, 4.0}) {
    const auto [dx, dp] = gradients(Tensor::full({1, 1}, x, DType::F64), parameters, false);
    const auto moved = [&, &of = dp](int first, int count) {
      int some = 0;
      for (int j = 0; j < count; ++j) some += of.narrow(1, first + j, 1).item() != 0;
      return some;
    };
    const int widths = moved(0, kBins), heights = moved(kBins, kBins),
              slopes = moved(2 * kBins, kBins - 1);
    std::printf("x = %.1f moves %d widths, %d heights, %d slopes\n", x, widths, heights, slopes);
    right = right && (x < kBound ? widths == kBins && heights == kBins && slopes == 2
                                 : widths + heights + slopes == 0);
  }
  return right;
}

/// Exercise 3: of x = f^-1(z), dx/dz = 1 / f'(x) and dx/dp = -(df/dp) / f'(x).
static bool implicit_gradients(const Tensor& parameters) {
  const Tensor z = Tensor::full({1, 1}, 0.7, DType::F64);
  const Tensor x = rational_quadratic_spline(z, parameters, {kBins, kBound, true}).value;
  const auto [slope, by_p] = gradients(x, parameters, false);
  const auto [dz, dp] = gradients(z, parameters, true);
  const double off = std::abs(dz.item() * slope.item() - 1) + max(abs(dp * slope + by_p)).item();
  std::printf("the implicit function theorem holds to within 1e-12: %s\n",
              off < 1e-12 ? "yes" : "no");
  return off < 1e-12;
}

int main() {
  Generator gen(1);
  const Tensor parameters = normal(gen, {1, 3 * kBins - 1}, DType::F64);
  const bool moved = who_moves(parameters), implicit = implicit_gradients(parameters);
  return moved && implicit ? 0 : 1;
}
