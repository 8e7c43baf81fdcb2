// A generative stochastic network (Bengio, Laufer, Alain, Yosinski 2014), the denoising kind: no
// p(x) is written down. A network learns p(x | x~), data given corrupted data; then the chain
//
//   x~ ~ C(x~ | x),   x ~ p(x | x~),   again and again
//
// has the distribution of data as its limit, when p(x | x~) is right for the x~ of the chain. So
// training also begins at where the chain itself goes from data: walkback.
//
//   example_zoo_gsn path/to/mnist 10 gsn      # 1000 hidden units
//
// Published: Parzen 214 +- 1.1.
#include "nn/nets/mlp.h"
#include "zoo.h"

using namespace zoo;

namespace {

/// Salt and pepper: a share of all pixels becomes a fair coin.
Tensor corrupt(Generator& gen, const Tensor& x, double share) {
  const Tensor coins = bernoulli(gen, 0.5, x.shape());
  return where(less(uniform(gen, x.shape()), Tensor::scalar(share)), coins, x);
}

constexpr double kNoise = 0.3;
constexpr int kWalk = 4;  ///< steps of walkback

int program(const Job& job) {
  const Digits digits = load_digits(job, /*bits=*/false);
  Generator gen(/*seed=*/1);
  const auto net = nn::mlp({.in = 784,
                            .out = 784,
                            .hidden_units = job.full() ? 1000 : 200,
                            .hidden_layers = 2,
                            .activation = nn::activation_by_name("relu")},
                           gen);
  nn::Optimizer adam(*net, {.lr = 1e-3});
  double first = 0, last = 0;
  for (Progress p(job, 250); p.next();) {
    adam.set_lr(1e-3 * std::min(1.0, 2 * p.left()));
    const Tensor x = random_batch(gen, digits.train, 100);
    Tensor at = x;  // where the chain is that left x
    for (int step = 0; step < kWalk; ++step) {
      const Tensor noisy = corrupt(gen, at, kNoise);
      Tensor p_x;
      last = descend(*net, adam, [&] {
        const Var logits = net->forward(noisy);
        p_x = sigmoid(logits.value());
        return -mean(ln_bernoulli(Var(x), logits));
      });
      if (p.step() == 0 && step == 0) first = last;
      at = draw_bits(gen, p_x);
    }
  }
  std::printf("cross entropy of x given where the chain went: %.1f nats at first, %.1f at last\n",
              first, last);

  // Chains that begin at noise. What is shown is the mean of p(x | x~), as in the paper.
  // As many as judge() compares, so that these are independent.
  const std::int64_t chains = 500, keep = job.full() ? 20 : 2;
  const int begin = job.full() ? 200 : 20;
  Tensor x = draw_bits(gen, Tensor::full({chains, 784}, 0.5));
  std::vector<Tensor> samples, steps;
  for (int step = 0; step < begin + 5 * keep; ++step) {
    const Tensor p = sigmoid(net->forward(corrupt(gen, x, kNoise))).value();
    x = draw_bits(gen, p);
    if (step < 20) steps.push_back(p.narrow(0, 0, 2));
    if (step >= begin && step % 5 == 0) samples.push_back(p);
  }
  const Tensor all = concat(samples, 0);
  // Two chains from their beginning, then one sample of each of many.
  std::vector<Tensor> rows;
  for (int chain = 0; chain < 2; ++chain) {
    for (const Tensor& p : steps) rows.push_back(p.narrow(0, chain, 1));
  }
  rows.push_back(all.narrow(0, all.dim(0) - 60, 60));
  write_grid(job, concat(rows, 0), 20);
  return judge(job, all, digits) < 0.6 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) { return run(argc, argv, "zoo_gsn", program); }
