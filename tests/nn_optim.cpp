// Optimizers against the rules written once more for one number; schedules, clipping, averages.
#include "nn/optim/optim.h"

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <functional>
#include <limits>
#include <numbers>

#include "autograd/functions.h"
#include "tests/data_util.h"

using namespace nf;
using namespace nf::nn;
using test::check_error;

namespace {

/// Parameters of which one is named to decay, and one that never gets a
/// gradient.
struct Model : Module {
  explicit Model(DType dtype = DType::F64)
      : a(add_parameter("a", Tensor::from<double>({1, -2, 3}, {3}).to(dtype))),
        b(add_parameter("weight", Tensor::from<double>({0.5}, {1, 1}).to(dtype))),
        idle(add_parameter("idle", Tensor::full({2}, 7, dtype))) {}
  std::string kind() const override { return "Model"; }

  /// sum of a^4/4 - a + 3 b^2, so that gradients are a^3 - 1 and 6 b.
  void backward() {
    Tape tape;
    tape.backward(sum(square(square(a)) * 0.25 - a) + 3.0 * sum(square(b)));
  }
  Var &a, &b, &idle;
};

struct Scalar {
  double p, m = 0, v = 0;
};

/// One update of one number, as the papers have it.
void reference_step(const OptimizerOptions& o, double lr, std::int64_t t, double g, Scalar& s) {
  const double decoupled = o.rule == UpdateRule::AdamW ? lr * o.weight_decay * s.p : 0;
  if (o.rule != UpdateRule::AdamW) g += o.weight_decay * s.p;
  switch (o.rule) {
    case UpdateRule::Sgd:
      s.m = o.beta1 * s.m + g;
      s.p -= lr * s.m;
      break;
    case UpdateRule::RmsProp:
      s.v = o.beta2 * s.v + (1 - o.beta2) * g * g;
      s.m = o.beta1 * s.m + g / (std::sqrt(s.v) + o.eps);
      s.p -= lr * s.m;
      break;
    case UpdateRule::RmsPropFloor:
      s.v = o.beta2 * s.v + (1 - o.beta2) * g * g;
      s.m = o.beta1 * s.m + g / std::max(std::sqrt(s.v), o.eps);
      s.p -= lr * s.m;
      break;
    case UpdateRule::Adamax:
      s.m = o.beta1 * s.m + (1 - o.beta1) * g;
      s.v = std::max(o.beta2 * s.v, std::abs(g) + o.eps);
      s.p -= lr / (1 - std::pow(o.beta1, t)) * s.m / s.v;
      break;
    default: {  // Adam and AdamW
      s.m = o.beta1 * s.m + (1 - o.beta1) * g;
      s.v = o.beta2 * s.v + (1 - o.beta2) * g * g;
      const double m_hat = s.m / (1 - std::pow(o.beta1, t));
      const double v_hat = s.v / (1 - std::pow(o.beta2, t));
      s.p -= lr * m_hat / (std::sqrt(v_hat) + o.eps) + decoupled;
    }
  }
}

constexpr UpdateRule kRules[] = {UpdateRule::Sgd,  UpdateRule::RmsProp, UpdateRule::RmsPropFloor,
                                 UpdateRule::Adam, UpdateRule::AdamW,   UpdateRule::Adamax};

std::map<std::string, Tensor> copy_of(const StateDict& state) {
  std::map<std::string, Tensor> copy;
  for (const auto& [name, tensor] : state) copy.emplace(name, tensor.clone());
  return copy;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(nn_optim)

BOOST_AUTO_TEST_CASE(every_rule_is_its_formula) {
  for (const UpdateRule rule : kRules) {
    for (const double weight_decay : {0.0, 0.1}) {
      for (const double scale : {1.0, 0.25}) {
        BOOST_TEST_CONTEXT(name_of(rule) << ", decay " << weight_decay << ", scale " << scale) {
          const OptimizerOptions options{.rule = rule,
                                         .lr = 0.01,
                                         .beta1 = 0.8,
                                         .beta2 = 0.95,
                                         .eps = 1e-3,
                                         .weight_decay = weight_decay};
          OptimizerOptions without_decay = options;
          without_decay.weight_decay = 0;
          Model model;
          Optimizer optimizer(model, options);
          Scalar a[] = {{1}, {-2}, {3}}, b{0.5};
          for (int t = 1; t <= 20; ++t) {
            const double lr = t <= 10 ? 0.01 : 0.002;
            for (Scalar& s : a) {
              reference_step(without_decay, lr, t, scale * (s.p * s.p * s.p - 1), s);
            }
            reference_step(options, lr, t, scale * 6 * b.p, b);
            model.clear_grads();
            model.backward();
            optimizer.set_lr(lr);
            optimizer.step(scale == 1 ? Tensor() : Tensor::scalar(scale));
          }
          BOOST_CHECK_EQUAL(optimizer.steps(), 20);
          const auto got = model.a.value().to_vector<double>();
          for (int i = 0; i < 3; ++i) BOOST_CHECK_CLOSE_FRACTION(got[i], a[i].p, 1e-10);
          BOOST_CHECK_CLOSE_FRACTION(model.b.value().item(), b.p, 1e-10);
          BOOST_CHECK(model.idle.value().to_vector<double>() == std::vector<double>({7, 7}));
        }
      }
    }
  }
}

/// The same loss of the same number: learned itself at a rate, or as rate * p.
struct Rated : Module {
  Rated(const char* name, double rate, bool itself)
      : factor(itself ? 1 : rate),
        p(add_parameter(name, Tensor::from<double>({0.3, -2}, {2}) / factor,
                        {.rate = itself ? rate : 1})),
        other(add_parameter("other", Tensor::ones({1}, DType::F64))) {}
  std::string kind() const override { return "Rated"; }
  Tensor value() const { return p.value() * factor; }
  void backward() {
    Tape tape;
    tape.backward(sum(square(square(p * factor)) - p * factor) + sum(square(other)));
  }
  double factor;
  Var &p, &other;
};

BOOST_AUTO_TEST_CASE(a_rate_is_that_of_what_is_learned_in_its_place) {
  for (const UpdateRule rule : kRules) {
    for (const double rate : {10.0, 0.1}) {
      for (const char* name : {"weight", "scale"}) {
        const OptimizerOptions options{
            .rule = rule, .lr = 1e-3, .beta1 = 0.8, .beta2 = 0.9, .eps = 0.1, .weight_decay = 0.2};
        Rated itself(name, rate, true), replaced(name, rate, false);
        Optimizer first(itself, options), second(replaced, options);
        for (int t = 0; t < 10; ++t) {
          for (auto [model, optimizer] : {std::pair{&itself, &first}, {&replaced, &second}}) {
            model->clear_grads();
            model->backward();
            optimizer->step(clip_scale(gradient_norm(*model), 3));
          }
          BOOST_CHECK_CLOSE_FRACTION(gradient_norm(itself).item(), gradient_norm(replaced).item(),
                                     1e-9);
        }
        const auto got = itself.value().to_vector<double>();
        const auto expected = replaced.value().to_vector<double>();
        for (int i = 0; i < 2; ++i) {
          BOOST_CHECK_MESSAGE(std::abs(got[i] - expected[i]) < 1e-6,  // the clip is an f32 number
                              name_of(rule) << " of " << name << ", rate " << rate << ": " << got[i]
                                            << " instead of " << expected[i]);
        }
      }
    }
  }
  check_error([] { Rated("p", 0, true); }, {"[parameter]", "'p' must be positive, got 0"});
}

BOOST_AUTO_TEST_CASE(every_rule_by_its_name) {
  for (const UpdateRule rule : kRules) BOOST_CHECK(update_rule_by_name(name_of(rule)) == rule);
  check_error([] { update_rule_by_name("adamm"); }, {"[optimizer]", "'adamm'", "adamw"});
  check_error([] { update_rule_by_name("ema"); }, {"[optimizer]"});
  Model model;
  for (const OptimizerOptions& wrong :
       {OptimizerOptions{.lr = -1}, {.beta1 = 1}, {.beta2 = 1}, {.beta1 = -0.1}, {.eps = -1}}) {
    check_error([&] { Optimizer(model, wrong); }, {"[optimizer] needs lr >= 0"});
  }
}

BOOST_AUTO_TEST_CASE(saved_state_continues_bit_for_bit) {
  for (const UpdateRule rule : kRules) {
    Model whole(DType::F32), resumed(DType::F32);
    const OptimizerOptions options{.rule = rule, .lr = 0.01};
    Optimizer first(whole, options), second(resumed, options);
    const auto steps = [](Model& model, Optimizer& optimizer, int count) {
      for (int i = 0; i < count; ++i) {
        model.clear_grads();
        model.backward();
        optimizer.step();
      }
    };
    steps(whole, first, 7);
    resumed.load_state(copy_of(whole.state()));
    copy_state(second.state(), copy_of(first.state()));
    second.set_steps(first.steps());
    steps(whole, first, 5);
    steps(resumed, second, 5);
    BOOST_CHECK_EQUAL(second.steps(), 12);
    BOOST_CHECK(whole.a.value().to_vector<float>() == resumed.a.value().to_vector<float>());

    auto missing = copy_of(first.state());
    BOOST_CHECK_EQUAL(missing.size(), rule == UpdateRule::Sgd ? 3U : 6U);
    BOOST_CHECK(missing.count("m.a"));
    missing.erase("m.weight");
    check_error([&] { copy_state(second.state(), missing); }, {"[load]", "'m.weight'"});
    auto shape = copy_of(first.state());
    shape["m.a"] = Tensor::zeros({4});
    check_error([&] { copy_state(second.state(), shape); }, {"[load]", "'m.a'", "(4,)", "(3,)"});
  }
}

BOOST_AUTO_TEST_CASE(schedules) {
  using Kind = Schedule::Kind;
  const double half_way = 0.1 + 0.9 * 0.5 * (1 + std::cos(std::numbers::pi / 2));
  struct Case {
    Schedule schedule;
    std::vector<std::pair<std::int64_t, double>> factors;  // step -> factor
  };
  const Case cases[] = {
      {{}, {{0, 1}, {1'000'000, 1}}},
      {{.warmup = 4}, {{0, 0.25}, {1, 0.5}, {3, 1}, {4, 1}, {9, 1}}},
      {{.kind = Kind::Exponential, .decay = 0.5, .lowest = 0.1},
       {{0, 1}, {1, 0.5}, {3, 0.125}, {4, 0.1}, {1000, 0.1}}},
      {{.kind = Kind::Step, .decay = 0.1, .every = 10},
       {{0, 1}, {9, 1}, {10, 0.1}, {19, 0.1}, {20, 0.01}}},
      {{.kind = Kind::Cosine, .total = 100, .lowest = 0.1},
       {{0, 1}, {50, half_way}, {100, 0.1}, {500, 0.1}}},
      {{.kind = Kind::Cosine, .warmup = 20, .total = 100},
       {{0, 0.05}, {19, 1}, {20, 1}, {60, 0.5}, {100, 0}}},
      // NICE: lr 1e-3, divided by 1.0005 at every update, down to a tenth.
      {{.kind = Kind::Exponential, .decay = 1 / 1.0005, .lowest = 0.1},
       {{1, 1 / 1.0005}, {4607, 0.1}}},
  };
  for (const Case& c : cases) {
    for (const auto& [step, factor] : c.factors) {
      BOOST_CHECK_MESSAGE(std::abs(c.schedule.factor(step) - factor) < 1e-12,
                          "kind " << static_cast<int>(c.schedule.kind) << ", step " << step << ": "
                                  << c.schedule.factor(step) << " instead of " << factor);
    }
  }
  for (const char* name : {"constant", "exponential", "cosine", "step"}) {
    BOOST_CHECK_NO_THROW(schedule_by_name(name));
  }
  BOOST_CHECK(schedule_by_name("cosine") == Kind::Cosine);
  check_error([] { schedule_by_name("linear"); }, {"[schedule]", "'linear'", "cosine"});
}

BOOST_AUTO_TEST_CASE(gradients_are_clipped_by_their_norm) {
  Model model;
  BOOST_CHECK_EQUAL(gradient_norm(model).item(), 0);  // no gradients yet
  model.backward();                                   // 0, -9, 26 and 3
  const double norm = std::sqrt(81.0 + 676 + 9);
  const Tensor measured = gradient_norm(model);
  BOOST_CHECK(measured.dtype() == DType::F64);
  BOOST_CHECK(clip_scale(measured, 2).dtype() == DType::F32);
  BOOST_CHECK_CLOSE_FRACTION(measured.item(), norm, 1e-6);
  BOOST_CHECK_CLOSE_FRACTION(clip_scale(measured, 2).item(), 2 / norm, 1e-6);
  BOOST_CHECK_EQUAL(clip_scale(measured, 100).item(), 1);
  BOOST_CHECK_EQUAL(clip_scale(Tensor::scalar(0), 1).item(), 1);
  BOOST_CHECK(std::isnan(clip_scale(Tensor::scalar(std::nan("")), 1).item()));
  check_error([&] { clip_scale(measured, 0); }, {"[clip]", "positive"});
}

BOOST_AUTO_TEST_CASE(norms_beyond_f32_and_norms_that_are_none) {
  const double inf = std::numeric_limits<double>::infinity(), nan = std::nan("");
  struct Case {
    double a, b, norm;
  };
  for (const Case& c : {Case{1e20, 1, 1e20},
                        {1e-30, 0, 1e-30},
                        {3e38, 3e38, 3e38 * std::sqrt(2.0)},
                        {nan, 1, nan},
                        {inf, 1, inf},
                        {1, -inf, inf},
                        {inf, nan, nan}}) {
    BOOST_TEST_CONTEXT("gradients " << c.a << " and " << c.b) {
      Model model(DType::F32);
      Optimizer optimizer(model, {.rule = UpdateRule::Sgd, .lr = 1});
      const auto set = [](Var& p, double g) {
        Tensor grad = Tensor::zeros(p.shape());
        grad.reshape({-1}).narrow(0, 0, 1).fill_(g);
        p.slot()->accumulate(grad);
      };
      set(model.a, c.a);
      set(model.b, c.b);
      const Tensor norm = gradient_norm(model), scale = clip_scale(norm, 1);
      const auto before = model.a.value().to_vector<float>();
      optimizer.step(scale);
      if (std::isfinite(c.norm)) {
        BOOST_CHECK_CLOSE_FRACTION(norm.item(), c.norm, 1e-6);
        BOOST_CHECK_CLOSE_FRACTION(scale.item(), std::min(1 / c.norm, 1.0), 1e-6);
      } else {
        BOOST_CHECK_EQUAL(str(norm.item()), str(c.norm));
        BOOST_CHECK(std::isnan(scale.item()));
        BOOST_CHECK(model.a.value().to_vector<float>() == before);
      }
    }
  }
}

namespace {

struct Pair : Module {
  explicit Pair(std::shared_ptr<Module> first, std::shared_ptr<Module> second)
      : one(add_module("one", std::move(first))), two(add_module("two", std::move(second))) {}
  std::string kind() const override { return "Pair"; }
  Module &one, &two;
};

struct Holder : Module {
  explicit Holder(const Tensor& value) : weight(add_parameter("weight", value)) {}
  std::string kind() const override { return "Holder"; }
  Var& weight;
};

}  // namespace

BOOST_AUTO_TEST_CASE(a_module_of_two_parents_is_one) {
  const auto shared = std::make_shared<Model>();
  Pair pair(shared, std::make_shared<Pair>(shared, std::make_shared<Model>()));
  BOOST_CHECK_EQUAL(pair.parameter_count(), 2 * 6);
  std::vector<std::string> names;
  for (const auto& [name, tensor] : pair.state()) names.push_back(name);
  BOOST_CHECK(names == std::vector<std::string>({"one.a", "one.weight", "one.idle", "two.two.a",
                                                 "two.two.weight", "two.two.idle"}));
  Model alone;
  for (Model* model : {shared.get(), &alone}) model->backward();
  BOOST_CHECK_EQUAL(gradient_norm(pair).item(), gradient_norm(alone).item());
  Optimizer stepped(pair, {.rule = UpdateRule::Sgd, .lr = 0.1});
  Optimizer reference(alone, {.rule = UpdateRule::Sgd, .lr = 0.1});
  Ema ema(pair, 0.5);
  stepped.step();
  reference.step();
  ema.update(8);  // from 8 updates on a decay of 0.5 is less than (1 + n) / (10 + n)
  BOOST_CHECK(shared->a.value().to_vector<double>() == alone.a.value().to_vector<double>());
  BOOST_CHECK_EQUAL(ema.state().size(), 6U);
  BOOST_CHECK_CLOSE_FRACTION(ema.state()[0].second.to_vector<double>()[1],
                             (-2 + alone.a.value().to_vector<double>()[1]) / 2, 1e-12);
}

BOOST_AUTO_TEST_CASE(a_parameter_made_of_a_view_is_updated_in_its_places) {
  const Tensor matrix = Tensor::from<double>({1, 2, 3, 4, 5, 6}, {2, 3});
  for (const Tensor& view : {matrix.t(), matrix.slice(1, 0, 2, 2),
                             Tensor::from<double>({7, 8}, {2}).broadcast_to({3, 2})}) {
    BOOST_CHECK(!view.is_contiguous());
    Holder module(view);
    const Tensor before = module.weight.value().clone();
    const Tensor grad =
        affine(Tensor::arange(view.numel(), DType::F64), 1, 1).reshape(view.shape());
    Optimizer optimizer(module, {.rule = UpdateRule::Sgd, .lr = 1});
    Ema ema(module, 0.5);
    module.weight.slot()->accumulate(grad);
    optimizer.step();
    ema.update(8);
    const Tensor expected = view - grad;
    BOOST_CHECK(module.weight.value().to_vector<double>() == expected.to_vector<double>());
    BOOST_CHECK(ema.state()[0].second.to_vector<double>() ==
                ((before + expected) * 0.5).to_vector<double>());
  }
  BOOST_CHECK(matrix.to_vector<double>() == std::vector<double>({1, 2, 3, 4, 5, 6}));
  Holder module(matrix);
  Optimizer optimizer(module, {});
  module.weight.set_value(matrix.t());
  module.weight.slot()->accumulate(matrix.t());
  check_error([&] { optimizer.step(); }, {"[optimizer]", "'weight'", "not contiguous"});
  Ema ema(module, 0.5);
  check_error([&] { ema.update(0); }, {"[optimizer]", "'weight'", "not contiguous"});
}

BOOST_AUTO_TEST_CASE(averages_follow_the_parameters) {
  Model model;
  Ema ema(model, 0.9);
  double average = 1;
  for (int i = 0; i < 5; ++i) {
    model.a.mutable_value().fill_(i);
    ema.update(78 + i);
    const double decay = std::min(0.9, (79.0 + i) / (88.0 + i));  // 0.9 from the fourth on
    average = decay * average + (1 - decay) * i;
  }
  const Tensor now = model.a.value().clone();
  ema.swap();
  BOOST_CHECK_CLOSE_FRACTION(model.a.value().to_vector<double>()[0], average, 1e-12);
  BOOST_CHECK_EQUAL(model.idle.value().to_vector<double>()[0], 7);
  ema.swap();
  BOOST_CHECK(model.a.value().to_vector<double>() == now.to_vector<double>());
  ema.update(1000);  // still the average of before
  ema.swap();
  BOOST_CHECK_CLOSE_FRACTION(model.a.value().to_vector<double>()[0], 0.9 * average + 0.4, 1e-12);
  ema.swap();

  Model other;
  Ema copy(other, 0.9);
  copy_state(copy.state(), copy_of(ema.state()));
  copy.swap();
  BOOST_CHECK_CLOSE_FRACTION(other.a.value().to_vector<double>()[0], 0.9 * average + 0.4, 1e-12);
  check_error([&] { copy_state(copy.state(), {}); }, {"[load]", "'ema.a'"});
  check_error([&] { Ema(model, 1); }, {"[ema]", "got 1"});
}

BOOST_AUTO_TEST_SUITE_END()
