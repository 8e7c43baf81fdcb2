// Targets without data: their formulas and normalising constants, libraries of users, importance
// weights and Pareto k.
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <numbers>

#include "autograd/gradcheck.h"
#include "flows/compose.h"
#include "flows/examine/target_fit.h"
#include "flows/layers/scaling.h"
#include "flows/models/build.h"
#include "flows/train/target_library.h"
#include "flows/train/targets.h"
#include "tensor/ops.h"
#include "tests/data_util.h"

using namespace nf;
using namespace nf::flows;

BOOST_AUTO_TEST_SUITE(flows_targets)

namespace {

double at(const Target& target, const std::vector<double>& x) {
  return target.log_density(Var(Tensor::from(x, {1, std::ssize(x)}))).value().item();
}

double square_of(double x) { return x * x; }

}  // namespace

BOOST_AUTO_TEST_CASE(potentials_are_those_of_the_paper) {
  const auto half = [](double x, double scale) { return -0.5 * square_of(x / scale); };
  for (const auto& [z1, z2] : {std::pair{0.3, -1.2}, {-2.5, 0.7}, {1.9, 2.2}, {3.9, -3.0}}) {
    const double w1 = std::sin(2 * std::numbers::pi * z1 / 4);
    const double w2 = 3 * std::exp(half(z1 - 1, 0.6));
    const double w3 = 3 / (1 + std::exp(-(z1 - 1) / 0.3));
    const double u1 = -half(std::hypot(z1, z2) - 2, 0.4) -
                      std::log(std::exp(half(z1 - 2, 0.6)) + std::exp(half(z1 + 2, 0.6)));
    const double u2 = -half(z2 - w1, 0.4);
    const double u3 = -std::log(std::exp(half(z2 - w1, 0.35)) + std::exp(half(z2 - w1 + w2, 0.35)));
    const double u4 = -std::log(std::exp(half(z2 - w1, 0.4)) + std::exp(half(z2 - w1 + w3, 0.35)));
    BOOST_CHECK_CLOSE(at(find_target("U1"), {z1, z2}), -u1, 1e-10);
    BOOST_CHECK_CLOSE(at(find_target("U2"), {z1, z2}), -u2, 1e-10);
    BOOST_CHECK_CLOSE(at(find_target("U3"), {z1, z2}), -u3, 1e-10);
    BOOST_CHECK_CLOSE(at(find_target("U4"), {z1, z2}), -u4, 1e-10);
  }
  BOOST_CHECK_CLOSE(at(find_target("U2"), {5, 1}), -12.5, 1e-10);  // the wall: w1 = 1
}

BOOST_AUTO_TEST_CASE(every_target_has_its_gradient) {
  for (const BuiltInTarget& known : built_in_targets()) {
    const Target target = find_target(known.name);
    Generator gen(1);
    const Tensor x = normal(gen, {4, target.dims}, DType::F64) * 1.5;
    const GradCheck result = gradcheck(
        [&](const std::vector<Var>& in) { return std::vector<Var>{target.log_density(in[0])}; },
        {x}, {.tolerance = 1e-6});
    BOOST_CHECK_MESSAGE(result.ok, known.name << ": " << result.message);
    BOOST_CHECK(target.log_density(Var(x.to(DType::F32))).dtype() == DType::F32);
  }
}

BOOST_AUTO_TEST_CASE(normalized_targets_integrate_to_1) {
  // Of the banana by a grid; a standard normal flow serves as q.
  auto flow = std::make_shared<Compose>();
  flow->add("scaling", std::make_shared<Scaling>(2));
  FlowDensity density(flow, std::make_shared<StandardNormal>(), 2);
  const Target banana = find_target("banana");
  BOOST_CHECK_SMALL(on_grid(density, banana, 30, 600).log_z, 1e-6);
  // The funnel in 2 dimensions, of which the second is integrated in units of its deviation.
  const Target funnel = find_target("funnel", 2);
  double total = 0;
  constexpr double kStep = 0.1;
  for (double v = -15; v < 15; v += kStep) {
    for (double u = -8; u < 8; u += kStep) {
      const double deviation = std::exp(v / 2);
      total += std::exp(at(funnel, {v, u * deviation})) * deviation * kStep * kStep;
    }
  }
  BOOST_CHECK_CLOSE(total, 1, 1e-3);
}

// The effects integrated by hand: y_j ~ N(mu, tau^2 + sigma_j^2).
BOOST_AUTO_TEST_CASE(eight_schools_is_the_model) {
  const double y[] = {28, 8, -3, 7, -1, 1, 18, 12}, s[] = {15, 10, 16, 11, 9, 11, 10, 18};
  const Target target = find_target("eight-schools");
  const double mu = 3, log_tau = 0.7, tau = std::exp(log_tau), pi = std::numbers::pi;
  const auto log_normal = [&](double x, double deviation) {
    return -0.5 * square_of(x / deviation) - std::log(deviation) - 0.5 * std::log(2 * pi);
  };
  double expected = log_normal(mu, 5) + std::log(2 / (5 * pi * (1 + square_of(tau / 5)))) + log_tau;
  std::vector<double> x = {mu, log_tau};
  double found = 0;
  for (int j = 0; j < 8; ++j) {
    expected += log_normal(y[j] - mu, std::hypot(tau, s[j]));
    // ln of the density of e_j given all else, at its mean, completes what is found at that point.
    const double precision = 1 + square_of(tau / s[j]);
    x.push_back(tau * (y[j] - mu) / square_of(s[j]) / precision);
    found -= log_normal(0, 1 / std::sqrt(precision));
  }
  found += at(target, x);
  BOOST_CHECK_CLOSE(found, expected, 1e-10);
}

BOOST_AUTO_TEST_CASE(names_that_do_not_fit_are_refused) {
  const auto says = [](const std::string& text) {
    return [text](const Error& error) {
      return std::string(error.what()).find(text) != std::string::npos;
    };
  };
  BOOST_CHECK_EXCEPTION(find_target("U5"), Error, says("U4"));
  BOOST_CHECK_EXCEPTION(find_target("U1", 3), Error, says("2 dimensions, not 3"));
  BOOST_CHECK_EXCEPTION(find_target("funnel", 1), Error, says("2 or more"));
  BOOST_CHECK_EXCEPTION(find_target("./nothing.so", 2), Error, says("no such file"));
  BOOST_CHECK_EXCEPTION(find_target(TARGETS "right.so"), Error, says("--dims"));
  for (const char* source : {"target:U1", "target:0/U1", "target:-3/U1", "target:x/U1"}) {
    BOOST_CHECK_THROW(target_of(source), Error);
  }
  const Target funnel = find_target("funnel", 5);
  BOOST_CHECK_EQUAL(target_of(target_source("funnel", funnel)).dims, 5);
}

BOOST_AUTO_TEST_CASE(libraries_are_tested_before_they_are_used) {
  Generator gen(2);
  const Tensor x = normal(gen, {3, 4}, DType::F64);
  const TargetLibrary right(TARGETS "right.so", 4);
  BOOST_CHECK_NO_THROW(right.check(x));
  const GradCheck result = gradcheck(
      [&](const std::vector<Var>& in) { return std::vector<Var>{right.log_density(in[0])}; }, {x});
  BOOST_CHECK_MESSAGE(result.ok, result.message);
  const std::pair<const char*, const char*> faults[] = {{"not_finite", "gives nan"},
                                                        {"wrong", "derivative by x[3]"},
                                                        {"silent", "grad is not written"},
                                                        {"beyond", "writes more than n = 4"}};
  for (const auto& [kind, text] : faults) {
    const TargetLibrary library(str(TARGETS, kind, ".so"), 4);
    test::check_error([&] { library.check(x); }, {text});
  }
  BOOST_CHECK_THROW(TargetLibrary(TARGETS "missing.so", 4), Error);
  BOOST_CHECK_THROW(TargetLibrary(__FILE__, 4), Error);
}

// Draws of a generalised Pareto distribution by its quantiles.
BOOST_AUTO_TEST_CASE(pareto_k_is_the_shape_of_the_tail) {
  for (const double k : {-0.3, 0.2, 0.6, 1.2}) {
    std::vector<double> x, log_weights;
    constexpr int kCount = 4000;
    for (int i = 0; i < kCount; ++i) {
      const double p = (i + 0.5) / kCount;
      x.push_back(std::expm1(-k * std::log1p(-p)) / k);
      log_weights.push_back(std::log(1 + x.back()));
    }
    BOOST_CHECK_SMALL(generalized_pareto_shape(x) - k, 0.02);
    BOOST_CHECK_SMALL(pareto_k(log_weights) - k, 0.15);
  }
  BOOST_CHECK(pareto_k(std::vector<double>(1000, -3.0)) < 0);  // equal weights: no tail
  BOOST_CHECK(pareto_k({1, 2, 3}) == std::numeric_limits<double>::infinity());
  BOOST_CHECK_THROW(generalized_pareto_shape({1, 2}), Error);
  // As PSIS of arviz and loo have it: x = 1 .. 20 squared.
  std::vector<double> squares;
  for (int i = 1; i <= 20; ++i) squares.push_back(i * i);
  BOOST_CHECK_SMALL(generalized_pareto_shape(squares) - 0.14713797824810076, 1e-9);
}

BOOST_AUTO_TEST_CASE(evidence_of_weights) {
  const double shift = 1000;  // far beyond what exp can hold
  const Evidence two = evidence_of({shift + std::log(1.0), shift + std::log(3.0)});
  BOOST_CHECK_CLOSE(two.log_mean, shift + std::log(2.0), 1e-10);
  BOOST_CHECK_CLOSE(two.effective, 16.0 / 10, 1e-8);
  BOOST_CHECK_CLOSE(two.error, 0.5, 1e-8);  // deviation sqrt(2) of the mean 2, by sqrt(2)
  const double none = -std::numeric_limits<double>::infinity();
  BOOST_CHECK_CLOSE(evidence_of({none, 0.0}).log_mean, std::log(0.5), 1e-10);
  BOOST_CHECK_THROW(evidence_of({none, none}), Error);
  BOOST_CHECK_THROW(evidence_of({0.0, std::nan("")}), Error);
  BOOST_CHECK_THROW(evidence_of({}), Error);
}

// q = N(0, 1), p = exp(ln N(0, 1) + 0.7): weights are all e^0.7, KL is 0.
BOOST_AUTO_TEST_CASE(a_perfect_fit_is_told_as_such) {
  auto flow = std::make_shared<Compose>();
  flow->add("scaling", std::make_shared<Scaling>(2));
  FlowDensity density(flow, std::make_shared<StandardNormal>(), 2);
  density.to(DType::F64);
  Target target{.name = "normal", .dims = 2, .log_density = [](const Var& x) {
                  return sum_squares(x, {1}) * -0.5 - std::log(2 * std::numbers::pi) + 0.7;
                }};
  const TargetFit fit = examine_target(density, target, 3000);
  BOOST_CHECK_CLOSE(fit.elbo.mean, 0.7, 1e-8);
  BOOST_CHECK_CLOSE(fit.evidence.log_mean, 0.7, 1e-8);
  BOOST_CHECK_CLOSE(fit.evidence.effective, 3000, 1e-8);
  BOOST_CHECK(fit.evidence.k < 0.5);
  const TargetGrid grid = on_grid(density, target, 8, 200);
  BOOST_CHECK_SMALL(grid.kl, 1e-9);
  BOOST_CHECK_CLOSE(grid.mass, 1, 1e-6);
  BOOST_CHECK_CLOSE(grid.log_z, 0.7, 1e-6);
  // Of a square of side 2 a normal has erf(1 / sqrt 2) in each direction.
  const double inside = std::pow(std::erf(std::sqrt(0.5)), 2);
  BOOST_CHECK_CLOSE(on_grid(density, target, 1, 400).outside(), 1 - inside, 1e-2);
  BOOST_CHECK(pareto_words(0.1).find("where no draw comes") != std::string::npos);
  BOOST_CHECK(pareto_words(0.6).find("where no draw comes") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(annealing_ends_where_it_was_told) {
  Config config = preset("planar", {.dims = 2, .unit_scale = true});
  set(config, "layers=2");
  set(config, "formula=draws");
  const auto density = make_density(config, {.dims = 2, .unit_scale = true});
  const auto one = [](const Var& x) { return Var(Tensor::ones({x.dim(0)})); };
  ReverseKl objective(*density, one, {.samples_per_epoch = 10, .annealed = 3});
  const auto loss = [&](std::int64_t epoch) {
    const Placed placed(objective.generators(), Tensor::arange(4, DType::I32), 1);
    return objective
        .losses({.rows = Tensor::arange(4, DType::I32), .epoch = epoch}, objective.samples())
        .value();
  };
  const auto share = [&](std::int64_t epoch) { return max(loss(-1) - loss(epoch)).item(); };
  BOOST_CHECK_CLOSE(share(0), 0.25, 1e-3);
  BOOST_CHECK_CLOSE(share(1), 0.5, 1e-3);
  BOOST_CHECK_CLOSE(share(3), 1, 1e-3);
  BOOST_CHECK_CLOSE(share(99), 1, 1e-3);
}

// q = p: gradients through the path are 0 for every draw, where the ordinary ones are 0 on average.
BOOST_AUTO_TEST_CASE(path_gradients_vanish_at_the_target) {
  auto flow = std::make_shared<Compose>();
  flow->add("scaling", std::make_shared<Scaling>(2));
  FlowDensity density(flow, std::make_shared<StandardNormal>(), 2);
  density.to(DType::F64);
  const auto normal_target = [](const Var& x) { return sum_squares(x, {1}) * -0.5; };
  for (const bool path : {false, true}) {
    ReverseKl objective(density, normal_target, {.samples_per_epoch = 50, .path_gradient = path});
    density.clear_grads();
    Tape tape;
    tape.backward(
        sum(objective.losses({.rows = Tensor::arange(50, DType::I32)}, objective.samples())));
    double largest = 0;
    density.for_each_parameter([&](const std::string&, Var& p) {
      BOOST_REQUIRE(p.requires_grad());
      if (p.grad().defined()) largest = std::max(largest, max(abs(p.grad())).item());
    });
    BOOST_CHECK_MESSAGE(path == (largest < 1e-12), "gradient " << largest);
  }
}

BOOST_AUTO_TEST_SUITE_END()
