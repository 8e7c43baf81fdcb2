// Generative moment matching networks (Li, Swersky, Zemel 2015): a generator without an adversary.
// It goes down the maximum mean discrepancy of batches,
//
//   MMD^2 = E k(x, x') + E k(y, y') - 2 E k(x, y),   k a sum of Gaussian kernels,
//
// which is 0 for equal distributions only. In the space of pixels, and of an autoencoder's codes.
//
//   example_zoo_gmmn path/to/mnist 10 gmmn            # in codes: GMMN+AE
//   example_zoo_gmmn path/to/mnist 10 gmmn-x pixels   # in pixels
//
// Published Parzen numbers: 147 +- 2, with the autoencoder 282 +- 2.
#include "flows/train/mmd.h"
#include "nn/nets/mlp.h"
#include "zoo.h"

using namespace zoo;

namespace {

/// The root of MMD^2, whose gradient does not fade near 0 (their section 3).
Var mmd(const Var& x, const Var& y, double scale) { return sqrt(flows::mmd_squared(x, y, scale)); }

std::shared_ptr<nn::Sequential> net(std::int64_t in, std::int64_t out, std::int64_t hidden,
                                    Generator& gen) {
  return nn::mlp(
      {.in = in, .out = out, .hidden_units = hidden, .activation = nn::activation_by_name("relu")},
      gen);
}

/// A typical distance of rows: the root of the mean square.
double size_of(const Tensor& x) {
  const Tensor some = x.narrow(0, 0, std::min<std::int64_t>(1000, x.dim(0)));
  return std::sqrt(2 * sum(variance(some, {0})).item());
}

/// A net from 10 uniform numbers to rows like x (N, D) with values in [0, 1].
std::shared_ptr<nn::Sequential> match(const Job& job, const Tensor& x, double share,
                                      Generator& gen) {
  const auto g = net(10, x.dim(1), job.full() ? 512 : 128, gen);
  nn::Optimizer adam(*g, {.lr = 1e-3});
  const double scale = size_of(x) / 2;
  const std::int64_t batch = job.full() ? 1000 : 200;
  for (Progress p(job, 500, share); p.next();) {
    adam.set_lr(2e-3 * p.left());
    const Tensor data = random_batch(gen, x, batch), z = uniform(gen, {batch, 10}) * 2.0 - 1.0;
    const double loss = descend(*g, adam, [&] { return mmd(sigmoid(g->forward(z)), data, scale); });
    if (p.step() % 100 == 0) std::printf("step %5d  MMD %.4f\n", static_cast<int>(p.step()), loss);
  }
  return g;
}

Tensor draws(nn::Sequential& g, Generator& gen, std::int64_t n) {
  return sigmoid(g.forward(uniform(gen, {n, 10}) * 2.0 - 1.0)).value();
}

struct Autoencoder : nn::Module {
  Autoencoder(std::int64_t code, std::int64_t hidden, Generator& gen)
      : encoder(add_module("encoder", net(784, code, hidden, gen))),
        decoder(add_module("decoder", net(code, 784, hidden, gen))) {}
  std::string kind() const override { return "Autoencoder"; }
  Var code(const Var& x) { return sigmoid(encoder.forward(x)); }
  Var logits(const Var& code) { return decoder.forward(code); }

  nn::Sequential &encoder, &decoder;
};

void train(const Job& job, Autoencoder& ae, const Tensor& x, double share, Generator& gen) {
  nn::Optimizer adam(ae, {.lr = 1e-3});
  for (Progress p(job, 500, share); p.next();) {
    adam.set_lr(2e-3 * p.left());
    const Tensor v = random_batch(gen, x, 100);
    descend(ae, adam, [&] {  // cross entropy of greys, for each image
      const Var logits = ae.logits(ae.code(v));
      return mean(sum(softplus(logits) - logits * v, {1}));
    });
  }
}

int program(const Job& job) {
  const Digits digits = load_digits(job, /*bits=*/false);
  Generator gen(/*seed=*/1);
  const std::int64_t count = job.full() ? 10000 : 1000;
  double pixels = 0, codes = 0;
  Tensor picture;
  const std::string where = job.word(0, {"codes", "pixels"});
  if (!job.full() || where == "pixels") {
    std::printf("in pixels\n");
    const Tensor samples = draws(*match(job, digits.train, 1, gen), gen, count);
    picture = samples.narrow(0, 0, 50);
    pixels = judge(job, samples, digits);
  }
  if (!job.full() || where == "codes") {
    std::printf("in codes of an autoencoder\n");
    Autoencoder ae(16, job.full() ? 512 : 128, gen);
    train(job, ae, digits.train, 0.5, gen);
    const auto g = match(job, ae.code(digits.train).value(), 0.5, gen);
    const Tensor samples = sigmoid(ae.logits(draws(*g, gen, count))).value();
    const Tensor some = samples.narrow(0, 0, 50);
    picture = picture.defined() ? concat(std::vector<Tensor>{picture, some}, 0) : some;
    codes = judge(job, samples, digits);
  }
  write_grid(job, picture, 10);
  return pixels < 0.5 && codes < 0.5 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) { return run(argc, argv, "zoo_gmmn", program, {.full = 1}); }
