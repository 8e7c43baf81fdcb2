// A deep belief network: a machine on the hidden units of a machine. The second learns what the
// first makes of data, and its p(h1) takes the place of the first's (Hinton, Osindero, Teh 2006):
//
//   p(v) = sum over h1 of p(v | h1) p2(h1),   ln p(v) >= E_q[ln p(v | h1) + ln p2(h1) - ln q(h1 |
//   v)],
//
// q at first the first machine's p(h1 | v). Then all is tuned by wake-sleep: q gets weights of its
// own. Awake, h1 is drawn from q at data: p(v | h1) and p2 learn it; asleep, h1 and v are dreamt by
// the model, and q learns which h1 made v. ln p2 needs ln Z2 alone (Salakhutdinov, Murray 2008).
// With 12 units in h1 all their states can be summed up: the exact likelihood, to check bound and
// estimate.
//
//   example_zoo_dbn path/to/mnist 10 dbn    # 500 and 2000 hidden units
//
// Published: a bound of 86.2 nats; 84.55, in later lists, is an estimate by other means (Murray,
// Salakhutdinov 2009).
#include "rbm.h"

using namespace zoo;

namespace {

struct Dbn {
  Rbm first, second;  ///< of v (D) and h1 (H1); of h1 and h2 (H2)
  Var up_w, up_c;     ///< of q(h1 | v): (H1, D), (H1)

  Tensor pixels(const Tensor& h1) const {  ///< logits of p(v | h1)
    return matmul(h1, first.w.value()) + first.b.value();
  }
  Tensor up(const Tensor& v) const {  ///< logits of q(h1 | v)
    return matmul(v, up_w.value().t()) + up_c.value();
  }
  /// The bound of each row, with one draw of h1.
  Tensor bound(const Tensor& v, double ln_z2, Generator& gen) const {
    const Tensor q = up(v);
    const Tensor h1 = draw_bits(gen, sigmoid(q));
    return ln_bernoulli(v, pixels(h1)) - second.free_energy(h1).value() - ln_z2 -
           ln_bernoulli(h1, q);
  }
  /// ln p(v) of each row, by all states of h1.
  Tensor exact(const Tensor& v, double ln_z2) const {
    const Tensor states = all_bits(first.w.dim(0)), logits = pixels(states);
    const Tensor ln_prior = -second.free_energy(states).value() - ln_z2;  // (2^H1)
    const Tensor joint = matmul(v, logits.t()) - sum(softplus(logits), {1}) + ln_prior;
    return logsumexp(joint, {1});
  }
};

/// Wake-sleep, as the "up-down" algorithm of Hinton, Osindero and Teh has it, with persistent
/// chains above. The modules have the weights down, above, and up.
void wake_sleep(const Dbn& dbn, Weights& lower, Weights& upper, Weights& recognition,
                const Tensor& x, Progress progress, Generator& gen) {
  const double rate = 0.003;
  nn::Optimizer down(lower, {.rule = UpdateRule::Sgd, .lr = rate}),
      above(upper, {.rule = UpdateRule::Sgd, .lr = rate}),
      up(recognition, {.rule = UpdateRule::Sgd, .lr = rate});
  Tensor dreams = draw_bits(gen, sigmoid(dbn.up(random_batch(gen, x, 100))));
  while (progress.next()) {
    for (nn::Optimizer* sgd : {&down, &above, &up}) sgd->set_lr(rate * progress.left());
    const Tensor v = random_batch(gen, x, 100), h1 = draw_bits(gen, sigmoid(dbn.up(v)));
    descend(lower, down, [&] {
      return -mean(ln_bernoulli(Var(v), linear(h1, transpose(dbn.first.w, 0, 1), dbn.first.b)));
    });
    dreams = dbn.second.gibbs(gen, dreams, 1);
    descend(upper, above, [&] {
      return mean(dbn.second.free_energy(h1)) - mean(dbn.second.free_energy(dreams));
    });
    const Tensor seen = draw_bits(gen, sigmoid(dbn.pixels(dreams)));
    descend(recognition, up,
            [&] { return -mean(ln_bernoulli(Var(dreams), linear(seen, dbn.up_w, dbn.up_c))); });
  }
}

/// ln Z of the upper machine by AIS, and the bound of the test set that it gives.
struct Told {
  Estimate ln_z2, bound;
};

int program(const Job& job) {
  const Digits digits = load_digits(job, /*bits=*/true);
  Generator gen(/*seed=*/1);
  Weights lower, upper, recognition;
  const RbmTraining how{.lr = job.full() ? 0.03 : 0.01};

  // Greedily: the first machine on data, then the second on draws of its hidden units.
  Dbn dbn;
  dbn.first = Rbm::make(lower, "first", job.full() ? 500 : 12, digits.train, gen);
  const Tensor base1 = dbn.first.b.value().clone();
  train_rbm(dbn.first, lower, digits.train, Progress(job, 1000, 0.35), gen, how);
  const Tensor h1 = draw_bits(gen, dbn.first.hidden(digits.train));
  dbn.second = Rbm::make(upper, "second", job.full() ? 2000 : 40, h1, gen);
  const Tensor base2 = dbn.second.b.value().clone();
  train_rbm(dbn.second, upper, h1, Progress(job, 2000, 0.35), gen, how);
  dbn.up_w = recognition.add("weight", dbn.first.w.value().clone());
  dbn.up_c = recognition.add("c", dbn.first.c.value().clone());

  const int temperatures = job.full() ? 5000 : 1000;
  const Estimate ln_z1 = job.full() ? ais(dbn.first, base1, gen, 100, temperatures)
                                    : Estimate{exact_ln_z(dbn.first), 0};
  const Estimate alone = log_likelihood(dbn.first, digits.test, ln_z1.mean);
  std::printf("first machine alone: test %.2f +- %.2f nats (ln Z +- %.2f)\n", alone.mean, alone.se,
              ln_z1.se);
  const auto told = [&](const char* when) {
    Told now{ais(dbn.second, base2, gen, 100, temperatures), {}};
    now.bound = mean_of(dbn.bound(digits.test, now.ln_z2.mean, gen));
    std::printf("%s: test, a bound of %.2f +- %.2f nats, if ln Z2 is %.3f +- %.2f, by AIS\n", when,
                now.bound.mean, now.bound.se, now.ln_z2.mean, now.ln_z2.se);
    return now;
  };
  const Told greedy = told("both, greedily");
  wake_sleep(dbn, lower, upper, recognition, digits.train, Progress(job, 2000, 0.3), gen);
  const Told tuned = told("after wake-sleep");

  // New digits: a chain of the upper machine, then down. It starts at data's codes.
  const Tensor top = dbn.second.gibbs(gen, h1.narrow(0, 0, 50), 1000);
  write_grid(
      job, concat(std::vector<Tensor>{digits.train.narrow(0, 0, 50), sigmoid(dbn.pixels(top))}, 0),
      10);
  if (job.full()) return 0;
  const double z2 = exact_ln_z(dbn.second.flipped());  // h1 has few units, so sum over them
  const Estimate exact = mean_of(dbn.exact(digits.test, z2));
  std::printf("both, all states of h1 summed up: test %.2f nats, ln Z2 %.3f\n", exact.mean, z2);
  const bool agrees = std::abs(z2 - tuned.ln_z2.mean) < std::max(0.2, 4 * tuned.ln_z2.se);
  return agrees && tuned.bound.mean < exact.mean + 0.2 && greedy.bound.mean > alone.mean &&
                 tuned.bound.mean > greedy.bound.mean
             ? 0
             : 1;
}

}  // namespace

int main(int argc, char** argv) { return run(argc, argv, "zoo_dbn", program); }
