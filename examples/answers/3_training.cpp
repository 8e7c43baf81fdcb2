// Answers to the exercises of chapter 3: gradients at the start, plain descent beside Adam, and a
// batch in two halves.
#include <cmath>
#include <cstdio>

#include "data/svg.h"
#include "nn/nets/mlp.h"
#include "nn/optim/optim.h"

using namespace nf;

struct Points {
  Tensor x, y;  // (256, 1), as in examples/03_regression.cpp
};
static Points points() {
  Generator gen(/*seed=*/1);
  const Tensor x = 2 * uniform(gen, {256, 1}) - 1;
  return {x, sin(3 * x) + 0.1 * normal(gen, {256, 1})};
}

static std::shared_ptr<nn::Sequential> network(nn::Init init = {}) {
  Generator gen(/*seed=*/2);
  return nn::mlp({.in = 1,
                  .out = 1,
                  .hidden_units = 32,
                  .hidden_layers = 2,
                  .activation = nn::activation_by_name("tanh"),
                  .init = init,
                  .last_init = init},
                 gen);
}

static Var loss_of(nn::Sequential& net, const Points& data) {
  return mean(square(net.forward(data.x) - data.y));
}

static double norm(const Tensor& t) { return std::sqrt(sum(square(t)).item()); }

/// Exercise 1: the norm of each gradient at step 0.
static void first_gradients(const Points& data) {
  const auto kaiming = network(), normal = network({.kind = nn::Init::Kind::Normal, .scale = 1});
  for (const auto& net : {kaiming, normal}) {
    Tape tape;
    tape.backward(loss_of(*net, data));
  }
  std::printf("gradient   Kaiming  normal\n");
  const auto of_normal = normal->parameters();
  std::size_t i = 0;
  for (const auto& [name, parameter] : kaiming->parameters()) {
    std::printf("%-9s %8.2f %7.2f\n", name.c_str(), norm(parameter->grad()),
                norm(of_normal[i++].second->grad()));
  }
}

/// Exercise 2: log10 of the loss at each of 1000 steps.
static data::Series losses(const std::string& name, const Points& data, UpdateRule rule,
                           double rate) {
  constexpr int kSteps = 1000;
  const auto net = network();
  nn::Optimizer optimizer(*net, {.rule = rule, .lr = rate});  // beta1 = 0.9 is Sgd's momentum
  const nn::Schedule schedule{.kind = nn::Schedule::Kind::Cosine, .total = kSteps};
  data::Series curve{name, {}, {}};
  for (int step = 0; step < kSteps; ++step) {
    optimizer.set_lr(rate * schedule.factor(step));
    Tape tape;
    const Var loss = loss_of(*net, data);
    tape.backward(loss);
    optimizer.step();
    net->clear_grads();
    curve.x.push_back(step);
    curve.y.push_back(std::log10(loss.value().item()));
  }
  const double last = std::pow(10, curve.y.back());
  std::printf("%-10s %s\n", name.c_str(), std::isfinite(last) ? str(last).c_str() : "diverged");
  return curve;
}

/// Exercise 3: two tapes, one after the other, each with half of the rows and half of their loss.
static double distance_of_halves(const Points& data) {
  const auto whole = network(), halves = network();
  {
    Tape tape;
    tape.backward(loss_of(*whole, data));
  }
  for (const int first : {0, 128}) {
    Tape tape;
    tape.backward(0.5 *
                  loss_of(*halves, {data.x.narrow(0, first, 128), data.y.narrow(0, first, 128)}));
  }
  double worst = 0;
  const auto of_halves = halves->parameters();
  std::size_t i = 0;
  for (const auto& [name, parameter] : whole->parameters()) {
    worst = std::max(worst, max(abs(parameter->grad() - of_halves[i++].second->grad())).item());
  }
  std::printf("gradients of two halves differ from those of the whole by at most %.0e\n", worst);
  return worst;
}

int main(int argc, char** argv) {
  const Points data = points();
  first_gradients(data);
  std::printf("\nloss after 1000 steps\n");
  for (const double rate : {0.001, 0.1}) losses(str("Adam ", rate), data, UpdateRule::Adam, rate);
  std::vector<data::Series> curves = {losses("Adam 0.01", data, UpdateRule::Adam, 0.01)};
  for (const double rate : {0.001, 0.01, 0.1, 0.3}) {
    curves.push_back(losses(str("Sgd ", rate), data, UpdateRule::Sgd, rate));
  }
  if (argc > 1) {
    curves.resize(4);  // without those that diverged
    data::write_curve_svg(argv[1], {"Loss", "step", "log10 of the loss", true}, curves);
  }
  std::printf("\n");
  return distance_of_halves(data) < 1e-5 ? 0 : 1;
}
