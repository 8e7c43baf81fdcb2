// The optimizers' fused pass against the formulas of their papers, written out here for one scalar.
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "tensor/ops.h"
#include "tensor/random.h"
#include "tensor/threads.h"
#include "tensor/update_rules.h"

namespace {

using namespace nf;

const UpdateArgs kArgs{.lr = 0.01,
                       .beta1 = 0.8,
                       .beta2 = 0.95,
                       .eps = 0.5,  // large enough to be a floor now and then
                       .weight_decay = 0.1,
                       .correction1 = 0.36,
                       .correction2 = 0.0975};

struct Scalar {
  double p, g, m, v;
};

void step(UpdateRule rule, Scalar& s) {
  const UpdateArgs& k = kArgs;
  const double decayed = s.g + k.weight_decay * s.p;
  switch (rule) {
    case UpdateRule::Sgd:
      s.m = k.beta1 * s.m + decayed;
      s.p -= k.lr * s.m;
      return;
    case UpdateRule::RmsProp:
      s.v = k.beta2 * s.v + (1 - k.beta2) * decayed * decayed;
      s.m = k.beta1 * s.m + decayed / (std::sqrt(s.v) + k.eps);
      s.p -= k.lr * s.m;
      return;
    case UpdateRule::RmsPropFloor:
      s.v = k.beta2 * s.v + (1 - k.beta2) * decayed * decayed;
      s.m = k.beta1 * s.m + decayed / std::max(std::sqrt(s.v), k.eps);
      s.p -= k.lr * s.m;
      return;
    case UpdateRule::Adam:
    case UpdateRule::AdamW: {
      const bool decoupled = rule == UpdateRule::AdamW;
      const double g = decoupled ? s.g : decayed;
      s.m = k.beta1 * s.m + (1 - k.beta1) * g;
      s.v = k.beta2 * s.v + (1 - k.beta2) * g * g;
      const double shrunk = decoupled ? s.p * (1 - k.lr * k.weight_decay) : s.p;
      s.p = shrunk - k.lr * (s.m / k.correction1) / (std::sqrt(s.v / k.correction2) + k.eps);
      return;
    }
    case UpdateRule::Adamax:
      s.m = k.beta1 * s.m + (1 - k.beta1) * decayed;
      s.v = std::max(k.beta2 * s.v, std::abs(decayed) + k.eps);
      s.p -= k.lr / k.correction1 * s.m / s.v;
      return;
    case UpdateRule::Ema:
      s.p = k.beta1 * s.p + (1 - k.beta1) * s.g;
      return;
  }
}

#define NF_ONE(Rule) UpdateRule::Rule,
const UpdateRule kRules[] = {NF_UPDATE_RULES(NF_ONE)};
#undef NF_ONE

/// Parameters, gradients and states of several odd sizes.
struct Set {
  std::vector<Tensor> p, g, m, v;

  Set(DType dtype, int states) {
    Generator gen(3);
    for (const Shape& shape : {Shape{3, 5}, Shape{1}, Shape{33001}, Shape{}, Shape{17}}) {
      p.push_back(normal(gen, shape, dtype));
      g.push_back(normal(gen, shape, dtype));
      if (states >= 1) m.push_back(normal(gen, shape, dtype));
      if (states >= 2) v.push_back(uniform(gen, shape, dtype));
    }
  }
  void update(UpdateRule rule, const Tensor& scale) {
    backend_of(p[0]).update(rule, kArgs, scale, p, g, m, v);
  }
};

std::vector<double> values(const Tensor& t) { return t.to(DType::F64).to_vector<double>(); }

}  // namespace

BOOST_AUTO_TEST_SUITE(tensor_update)

BOOST_AUTO_TEST_CASE(rules_follow_their_formulas) {
  for (const DType dtype : {DType::F32, DType::F64}) {
    for (const UpdateRule rule : kRules) {
      for (const double scale : {1.0, 0.25}) {
        const int states = states_of(rule);
        Set set(dtype, states);
        const Set before(dtype, states);  // the same draws
        set.update(rule, scale == 1.0 ? Tensor() : Tensor::scalar(scale));
        const double tolerance = dtype == DType::F64 ? 1e-13 : 1e-5;
        for (std::size_t i = 0; i < set.p.size(); ++i) {
          const auto p = values(before.p[i]), g = values(before.g[i]), new_p = values(set.p[i]);
          const auto zeros = std::vector<double>(p.size(), 0.0);
          const auto m = states >= 1 ? values(before.m[i]) : zeros;
          const auto v = states >= 2 ? values(before.v[i]) : zeros;
          const auto new_m = states >= 1 ? values(set.m[i]) : zeros;
          const auto new_v = states >= 2 ? values(set.v[i]) : zeros;
          double worst = 0;
          for (std::size_t j = 0; j < p.size(); ++j) {
            Scalar s{p[j], scale * g[j], m[j], v[j]};
            step(rule, s);
            worst = std::max(worst, std::abs(s.p - new_p[j]));
            if (states >= 1) worst = std::max(worst, std::abs(s.m - new_m[j]));
            if (states >= 2) worst = std::max(worst, std::abs(s.v - new_v[j]));
          }
          BOOST_TEST(worst <= tolerance, name_of(rule) << " of " << describe(set.p[i]) << ", scale "
                                                       << scale << ": wrong by " << worst);
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(threads_do_not_change_the_result) {
  for (const UpdateRule rule : kRules) {
    std::vector<std::vector<double>> results;
    for (const int threads : {1, 2, 5}) {
      set_num_threads(threads);
      Set set(DType::F32, states_of(rule));
      for (int i = 0; i < 3; ++i) set.update(rule, Tensor());
      std::vector<double> all;
      for (const Tensor& p : set.p) {
        const auto part = values(p);
        all.insert(all.end(), part.begin(), part.end());
      }
      results.push_back(all);
    }
    set_num_threads(0);
    BOOST_TEST((results[0] == results[1] && results[0] == results[2]), name_of(rule));
  }
}

BOOST_AUTO_TEST_CASE(states_that_are_zero_at_the_start) {
  // The first step of Adam moves every parameter by lr against the sign of its gradient.
  UpdateArgs args{.lr = 0.1, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-12};
  args.correction1 = 1 - args.beta1;
  args.correction2 = 1 - args.beta2;
  Tensor p = Tensor::zeros({3}, DType::F64), m = p.zeros_like(), v = p.zeros_like();
  const Tensor grads[] = {Tensor::from<double>({3, -1e-4, 50}, {3})};
  backend_of(p).update(UpdateRule::Adam, args, Tensor(), {&p, 1}, grads, {&m, 1}, {&v, 1});
  const std::vector<double> moved = p.to_vector<double>(), expected = {-0.1, 0.1, -0.1};
  for (int i = 0; i < 3; ++i) BOOST_TEST(std::abs(moved[i] - expected[i]) < 1e-7);
}

BOOST_AUTO_TEST_SUITE_END()
