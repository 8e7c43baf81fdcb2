// A module and an optimizer: a small network learns a sine from noisy points.
#include <cmath>
#include <cstdio>

#include "data/svg.h"
#include "nn/nets/mlp.h"
#include "nn/optim/optim.h"

using namespace nf;

/// The points, the sine and what the network makes of it. A point is a short stroke between gaps
/// (NAN).
static void draw(const char* path, const Tensor& x, const Tensor& y, const Tensor& grid,
                 const Tensor& predicted) {
  data::Series points{"noisy points", {}, {}};
  const auto xs = x.to_vector<float>(), ys = y.to_vector<float>();
  for (std::size_t i = 0; i < xs.size(); ++i) {
    points.x.insert(points.x.end(), {xs[i] - .004, xs[i] + .004, NAN});
    points.y.insert(points.y.end(), {ys[i], ys[i], NAN});
  }
  const auto line = [](const Tensor& t) { return t.to(DType::F64).to_vector<double>(); };
  data::write_curve_svg(path, {"What the network learned", "x", "y", /*whole_range=*/true},
                        {points,
                         {"the network", line(grid), line(predicted)},
                         {"sin 3x", line(grid), line(sin(3 * grid))}});
}

int main(int argc, char** argv) {
  // 256 points (x, sin 3x + noise), x in [-1, 1).
  Generator gen(/*seed=*/1);
  const Tensor x = 2 * uniform(gen, {256, 1}) - 1;
  const Tensor y = sin(3 * x) + 0.1 * normal(gen, {256, 1});

  const auto net = nn::mlp({.in = 1,
                            .out = 1,
                            .hidden_units = 32,
                            .hidden_layers = 2,
                            .activation = nn::activation_by_name("tanh")},
                           gen);
  for (const auto& [name, parameter] : net->parameters()) {
    std::printf("%-9s %s\n", name.c_str(), str(parameter->shape()).c_str());
  }
  std::printf("%lld parameters\n", static_cast<long long>(net->parameter_count()));

  constexpr int kSteps = 1000;
  constexpr double kRate = 1e-2;
  nn::Optimizer optimizer(*net, {.rule = UpdateRule::Adam, .lr = kRate});
  const nn::Schedule schedule{.kind = nn::Schedule::Kind::Cosine, .total = kSteps};
  for (int step = 0; step < kSteps; ++step) {
    optimizer.set_lr(kRate * schedule.factor(step));
    Tape tape;
    const Var loss = mean(square(net->forward(x) - y));
    tape.backward(loss);
    optimizer.step();
    net->clear_grads();
    if (step % 250 == 0) std::printf("step %3d  loss %.4f\n", step, loss.value().item());
  }

  // Without a tape nothing is recorded: that is inference. The noise has a mean square of 0.01,
  // which no function of x can explain; the error against the sine itself is smaller.
  const Tensor grid = Tensor::arange(201) / 100.0 - 1;
  const Tensor predicted = net->forward(grid.reshape({201, 1})).value();
  const double rms = std::sqrt(mean(square(predicted - sin(3 * grid.reshape({201, 1})))).item());
  if (argc > 1) draw(argv[1], x, y, grid, predicted);
  std::printf("root mean square distance from the sine: %.3f\n", rms);
  return rms < 0.05 ? 0 : 1;
}
