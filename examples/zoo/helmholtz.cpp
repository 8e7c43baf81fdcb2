// A Helmholtz machine (Dayan, Hinton, Neal, Zemel 1995): a sigmoid belief network h2 -> h1 -> v and
// a recognition network v -> h1 -> h2, trained by wake-sleep (Hinton et al. 1995):
//
//   wake:  q's draws for data teach p:  max over p of E_data E_q(h | v) ln p(v, h)
//   sleep: p's dreams teach q:          max over q of E_p(v, h) ln q(h | v)
//
// Wake goes up the bound ln p(v) >= E_q[ln p(v, h) - ln q(h | v)]; sleep goes down KL(p, q) where
// the bound's gap is KL(q, p), so no single number is optimised. More draws of q give a tighter
// bound (Burda et al. 2016).
//
//   example_zoo_helmholtz path/to/mnist 10 helmholtz    # 200 and 100 hidden units
#include "zoo.h"

using namespace zoo;

namespace {

/// Both networks have one layer of weights between neighbours; all are (to, from) and a bias.
struct Helmholtz {
  Var w_v, b_v, w_1, b_1, b_2;  ///< p: h1 -> v, h2 -> h1, prior of h2
  Var r_1, c_1, r_2, c_2;       ///< q: v -> h1, h1 -> h2

  Helmholtz(Weights& p, Weights& q, const Tensor& x, std::int64_t h1, std::int64_t h2,
            Generator& gen) {
    const auto small = [&](std::int64_t to, std::int64_t from) {
      return normal(gen, {to, from}) * 0.05;
    };
    w_v = p.add("v.weight", small(784, h1)), b_v = p.add("v.b", mean_logits(x));
    w_1 = p.add("1.weight", small(h1, h2)), b_1 = p.add("1.b", Tensor::zeros({h1}));
    b_2 = p.add("2.b", Tensor::zeros({h2}));
    r_1 = q.add("1.weight", small(h1, 784)), c_1 = q.add("1.b", Tensor::zeros({h1}));
    r_2 = q.add("2.weight", small(h2, h1)), c_2 = q.add("2.b", Tensor::zeros({h2}));
  }

  struct State {
    Tensor v, h1, h2;  ///< bits, (N, D) each
  };
  State recognize(const Tensor& v, Generator& gen) const {
    const Tensor h1 = draw_bits(gen, sigmoid(linear(v, r_1, c_1)).value());
    return {v, h1, draw_bits(gen, sigmoid(linear(h1, r_2, c_2)).value())};
  }
  State dream(std::int64_t n, Generator& gen) const {
    const Tensor h2 = draw_bits(gen, sigmoid(b_2.value()).broadcast_to({n, b_2.dim(0)}));
    const Tensor h1 = draw_bits(gen, sigmoid(linear(h2, w_1, b_1)).value());
    return {draw_bits(gen, sigmoid(linear(h1, w_v, b_v)).value()), h1, h2};
  }
  Var ln_p(const State& s) const {
    return ln_bernoulli(Var(s.v), linear(s.h1, w_v, b_v)) +
           ln_bernoulli(Var(s.h1), linear(s.h2, w_1, b_1)) + ln_bernoulli(Var(s.h2), b_2);
  }
  Var ln_q(const State& s) const {
    return ln_bernoulli(Var(s.h1), linear(s.v, r_1, c_1)) +
           ln_bernoulli(Var(s.h2), linear(s.h1, r_2, c_2));
  }
  /// ln of the mean of p(v, h) / q(h | v) over k draws, (N): a bound, tighter with k.
  Tensor bound(const Tensor& v, int k, Generator& gen) const {
    std::vector<Tensor> draws;
    for (int i = 0; i < k; ++i) {
      const State s = recognize(v, gen);
      draws.push_back((ln_p(s) - ln_q(s)).value().unsqueeze(0));
    }
    return logsumexp(concat(draws, 0), {0}) - std::log(static_cast<double>(k));
  }
  /// ln p(v), by all states of both layers: for few units.
  Tensor exact(const Tensor& v) const {
    const Tensor s1 = all_bits(w_v.dim(1)), s2 = all_bits(b_2.dim(0));
    // ln of p(a = row of `a` | b = row of `b`), for all pairs.
    const auto pairs = [](const Tensor& a, const Tensor& logits) {
      return matmul(a, logits.t()) - sum(softplus(logits), {1});
    };
    const Tensor prior = ln_bernoulli(Var(s2), b_2).value();
    const Tensor ln_h1 = logsumexp(pairs(s1, linear(s2, w_1, b_1).value()) + prior, {1});
    return logsumexp(pairs(v, linear(s1, w_v, b_v).value()) + ln_h1, {1});
  }
};

int program(const Job& job) {
  const Digits digits = load_digits(job, /*bits=*/true);
  Generator gen(/*seed=*/1);
  Weights p, q;
  const Helmholtz machine(p, q, digits.train, job.full() ? 200 : 10, job.full() ? 100 : 6, gen);
  const double lr = job.full() ? 1e-3 : 1e-2;
  nn::Optimizer wake(p, {.lr = lr}), sleep(q, {.lr = lr});
  for (Progress progress(job, 800); progress.next();) {
    wake.set_lr(lr * progress.left());
    sleep.set_lr(lr * progress.left());
    const auto seen = machine.recognize(random_batch(gen, digits.train, 100), gen);
    descend(p, wake, [&] { return -mean(machine.ln_p(seen)); });
    const auto dreamt = machine.dream(100, gen);
    descend(q, sleep, [&] { return -mean(machine.ln_q(dreamt)); });
  }

  const Estimate one = mean_of(machine.bound(digits.test, 1, gen));
  const Estimate many = mean_of(machine.bound(digits.test, 100, gen));
  const double independent = independent_nats(digits);
  std::printf("test at least %.2f nats with one draw, %.2f +- %.2f with 100; independent %.2f\n",
              one.mean, many.mean, many.se, independent);
  const auto dreams = machine.dream(50, gen);
  const Tensor drawn = sigmoid(linear(dreams.h1, machine.w_v, machine.b_v)).value();
  write_grid(job, concat(std::vector<Tensor>{digits.train.narrow(0, 0, 50), drawn}, 0), 10);
  if (job.full()) return 0;
  const Estimate exact = mean_of(machine.exact(digits.test));
  std::printf("all states summed up: test %.2f nats\n", exact.mean);
  const bool bounds = one.mean < many.mean && many.mean < exact.mean && exact.mean < many.mean + 1;
  return bounds && exact.mean > independent + 20 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) { return run(argc, argv, "zoo_helmholtz", program); }
