// Change of variables: p_X(x) = p_Z(f(x)) |det df/dx|, in one dimension and in two.
#include <cmath>
#include <cstdio>
#include <memory>

#include "flows/base.h"
#include "flows/compose.h"
#include "flows/layers/coupling.h"
#include "flows/layers/logit.h"
#include "flows/layers/scaling.h"
#include "flows/maps/affine.h"
#include "nn/nets/mlp.h"
#include "tensor/linalg.h"

using namespace nf;

// The logit of a uniform number is logistic. So with the logit as f and the logistic density as
// p_Z, p_X must be 1 on all of [0, 1]. Returns the largest |ln p_X|.
static double uniform_density() {
  flows::Logit logit(/*alpha=*/1e-7);
  flows::StandardLogistic logistic;
  const Tensor x = Tensor::from<double>({0.01, 0.25, 0.5, 0.999}, {4, 1});
  const auto [z, log_det] = logit.forward(x);
  const Tensor log_p = (logistic.log_prob(z) + log_det).value();
  for (int i = 0; i < 4; ++i) {
    const auto at = [i](const Tensor& t) { return t.to_vector<double>()[i]; };
    std::printf("x %.3f  z %6.3f  ln p_Z %6.3f  log_det %6.3f  p_X %.3f\n", at(x), at(z.value()),
                at(logistic.log_prob(z).value()), at(log_det.value()), std::exp(at(log_p)));
  }
  return max(abs(log_p)).item();
}

// A coupling moves the second number of a pair by what a network makes of the first: its
// Jacobian is triangular, and its determinant costs nothing. Then both are scaled.
static std::shared_ptr<flows::Compose> two_layers(Generator& gen) {
  auto flow = std::make_shared<flows::Compose>();
  flow->add("coupling", std::make_shared<flows::Coupling>(
                            flows::Partition::halves(2), flows::affine_map(/*limit=*/0.5),
                            nn::mlp({.in = 1, .out = 2, .hidden_units = 16}, gen)));
  flow->add("scale", std::make_shared<flows::Scale>(1.5, 0.2));
  flow->to(DType::F64);
  return flow;
}

// Distance of log_det from the Jacobian's, by differences in both coordinates of one point.
static double jacobian_error(flows::Transform& flow) {
  constexpr double h = 1e-6;
  const Tensor x = Tensor::from<double>({0.3, -0.7}, {1, 2});
  const Tensor steps = h * Tensor::eye(2, DType::F64);
  const Tensor jacobian =
      (flow.forward(x + steps).value.value() - flow.forward(x - steps).value.value()) / (2 * h);
  const double numeric = slogdet(jacobian).logdet.item();
  const double claimed = flow.forward(x).log_det.value().item();
  std::printf("log|det J| by differences %.6f, by the layers %.6f\n", numeric, claimed);
  return std::abs(numeric - claimed);
}

// The integral of p_X over a square in which nearly all of it lies: a sum over 400 x 400 cells.
static double integral(flows::Transform& flow) {
  constexpr int n = 400;
  constexpr double width = 20, cell = width / n;
  const Tensor line = (Tensor::arange(n, DType::F64) + 0.5) * cell - width / 2;
  const Tensor points = concat(std::vector<Tensor>{line.reshape({n, 1, 1}).broadcast_to({n, n, 1}),
                                                   line.reshape({1, n, 1}).broadcast_to({n, n, 1})},
                               2);
  const auto [z, log_det] = flow.forward(points.reshape({n * n, 2}));
  const Var log_p = flows::StandardNormal().log_prob(z) + log_det;
  return sum(exp(log_p.value())).item() * cell * cell;
}

int main() {
  const double one_dimension = uniform_density();
  Generator gen(/*seed=*/1);
  const auto flow = two_layers(gen);
  const double two_dimensions = jacobian_error(*flow);
  const double total = integral(*flow);
  std::printf("integral of p_X over the plane: %.4f\n", total);
  return one_dimension < 1e-6 && two_dimensions < 1e-6 && std::abs(total - 1) < 1e-3 ? 0 : 1;
}
