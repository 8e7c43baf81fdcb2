// A deep Boltzmann machine (Salakhutdinov, Hinton 2009): two layers of hidden units, all edges
// undirected,
//
//   p(v, h1, h2) = exp(v b + h1 c1 + h2 c2 + h1 W1 v + h2 W2 h1) / Z.
//
// Seen from h1 it is a restricted machine whose other side is v and h2 together, so chains and
// annealed importance sampling are those of rbm.h. What is new: h1 and h2 given v are not
// independent; mean field finds the best q = prod q(h1_i) prod q(h2_j) and gives a bound.
//
//   example_zoo_dbm path/to/mnist 10 dbm    # 500 and 1000 hidden units
//
// Published: a bound of 84.62 nats.
#include "rbm.h"

using namespace zoo;

namespace {

struct Dbm {
  Var w1, w2, b, c1, c2;  ///< (H1, D), (H2, H1), (D), (H1), (H2)

  /// The same machine as one of two sides: "visible" h1, "hidden" (v, h2).
  Rbm two_sided() const { return {concat({transpose(w1, 0, 1), w2}, 0), c1, concat({b, c2}, 0)}; }
  /// Means q(h1 = 1), q(h2 = 1) given v (N, D), after so many rounds.
  std::pair<Tensor, Tensor> mean_field(const Tensor& v, int rounds) const {
    const Tensor from_v = matmul(v, w1.value().t()) + c1.value();
    Tensor q2 = Tensor::full({v.dim(0), w2.dim(0)}, 0.5), q1;
    for (int i = 0; i < rounds; ++i) {
      q1 = sigmoid(from_v + matmul(q2, w2.value()));
      q2 = sigmoid(matmul(q1, w2.value().t()) + c2.value());
    }
    return {q1, q2};
  }
  /// The exponent, (N); linear in each layer, so at means it is the mean exponent.
  Var exponent(const Var& v, const Var& h1, const Var& h2) const {
    return sum(v * b, {1}) + sum(h1 * linear(v, w1, c1), {1}) + sum(h2 * linear(h1, w2, c2), {1});
  }
  /// ln p(v) >= mean exponent + entropy of q - ln Z, (N).
  Tensor bound(const Tensor& v, double ln_z) const {
    const auto means = mean_field(v, 30);
    const auto inside = [](const Tensor& q) { return clamp(q, 1e-6, 1 - 1e-6); };
    const Tensor q1 = inside(means.first), q2 = inside(means.second);
    const auto entropy = [](const Tensor& q) {
      return -sum(q * log(q) + (-q + 1.0) * log1p(-q), {1});
    };
    return exponent(v, q1, q2).value() + entropy(q1) + entropy(q2) - ln_z;
  }
};

/// Ascends the bound's mean exponent at data less the chains' exponent, whose mean is the gradient
/// of ln Z.
void train(const Job& job, const Dbm& dbm, Weights& weights, const Tensor& x, Generator& gen) {
  const double lr = job.full() ? 0.02 : 0.01;
  nn::Optimizer sgd(weights, {.rule = UpdateRule::Sgd, .lr = lr});
  const std::int64_t d = x.dim(1), hidden = dbm.w2.dim(0);
  Tensor h1 = draw_bits(gen, Tensor::full({100, dbm.w1.dim(0)}, 0.5));
  for (Progress p(job, 1500); p.next();) {
    const Tensor v = random_batch(gen, x, 100);
    const auto q = dbm.mean_field(v, 10);
    const Rbm chain = dbm.two_sided();
    const Tensor other = draw_bits(gen, chain.hidden(h1));  // v and h2 given h1
    h1 = draw_bits(gen, chain.visible(other));
    const Tensor fantasy = other.narrow(1, 0, d), top = other.narrow(1, d, hidden);
    sgd.set_lr(lr * p.left());
    descend(weights, sgd, [&, &q1 = q.first, &q2 = q.second] {
      return mean(dbm.exponent(fantasy, h1, top)) - mean(dbm.exponent(v, q1, q2));
    });
  }
}

int program(const Job& job) {
  const Digits digits = load_digits(job, /*bits=*/true);
  Generator gen(/*seed=*/1);
  Weights weights;
  const std::int64_t h1 = job.full() ? 500 : 12, h2 = job.full() ? 1000 : 20;
  const Rbm first = Rbm::make(weights, "first", h1, digits.train, gen);
  const Dbm dbm{first.w, weights.add("second.weight", normal(gen, {h2, h1}) * 0.01), first.b,
                first.c, weights.add("second.c", Tensor::zeros({h2}))};
  train(job, dbm, weights, digits.train, gen);

  const Rbm sides = dbm.two_sided();
  const Estimate ln_z = ais(sides, Tensor::zeros({h1}), gen, 400, job.full() ? 5000 : 4000);
  const Estimate bound = mean_of(dbm.bound(digits.test, ln_z.mean));
  std::printf("test: a bound of %.2f +- %.2f nats, if ln Z is %.3f +- %.3f, by AIS\n", bound.mean,
              bound.se, ln_z.mean, ln_z.se);
  const Tensor chain =
      sides.gibbs(gen, dbm.mean_field(digits.train.narrow(0, 0, 50), 10).first, 1000);
  const Tensor drawn = sides.hidden(chain).narrow(1, 0, 784).contiguous();
  write_grid(job, concat(std::vector<Tensor>{digits.train.narrow(0, 0, 50), drawn}, 0), 10);
  if (job.full()) return 0;

  // ln p(v) exactly: all states of h1, whose other side sums itself up.
  const double exact_z = exact_ln_z(sides.flipped());
  const Tensor states = all_bits(h1);
  const Tensor of_v = matmul(digits.test, matmul(states, dbm.w1.value()).t()) +
                      sum(states * dbm.c1.value(), {1}) +
                      sum(softplus(matmul(states, dbm.w2.value().t()) + dbm.c2.value()), {1});
  const Tensor ln_p = logsumexp(of_v, {1}) + sum(digits.test * dbm.b.value(), {1}) - exact_z;
  const Estimate exact = mean_of(ln_p);
  const double independent = independent_nats(digits);
  std::printf("all states summed up: test %.2f nats, ln Z %.3f; independent pixels %.2f nats\n",
              exact.mean, exact_z, independent);
  const double above = max(dbm.bound(digits.test, exact_z) - ln_p).item();
  std::printf("the bound of no image is above its ln p(v) by more than %.4f\n", above);
  const bool agrees = std::abs(exact_z - ln_z.mean) < std::max(0.2, 4 * ln_z.se) &&
                      bound.mean > exact.mean - 2;  // nor far below
  return agrees && above < 0.01 && exact.mean > independent + 20 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) { return run(argc, argv, "zoo_dbm", program); }
