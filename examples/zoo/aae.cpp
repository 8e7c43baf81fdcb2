// An adversarial autoencoder (Makhzani, Shlens, Jaitly, Goodfellow, Frey 2016): an autoencoder
// whose codes an adversary cannot tell from draws of a Gaussian,
//
//   min over Q, P of E_data[-ln p(x | Q(x))] + 10 times the game of Q against D on codes.
//
// Where a VAE has a KL of q(z | x) in closed form, here only draws of q(z) and of p(z) are needed.
//
//   example_zoo_aae path/to/mnist 10 aae      # 1000 hidden units, 8 numbers in a code
//
// Published: Parzen 340 +- 2.
#include "gan.h"

using namespace zoo;

namespace {

struct Autoencoder : nn::Module {
  Autoencoder(std::int64_t code, std::int64_t hidden, Generator& gen)
      : encoder(add_module("encoder", net(784, code, hidden, gen))),
        decoder(add_module("decoder", net(code, 784, hidden, gen))) {}
  std::string kind() const override { return "Autoencoder"; }
  static std::shared_ptr<nn::Sequential> net(std::int64_t in, std::int64_t out, std::int64_t hidden,
                                             Generator& gen) {
    return nn::mlp({.in = in,
                    .out = out,
                    .hidden_units = hidden,
                    .activation = nn::activation_by_name("relu")},
                   gen);
  }
  nn::Sequential &encoder, &decoder;
};

int program(const Job& job) {
  const Digits digits = load_digits(job, /*bits=*/false);
  Generator gen(/*seed=*/1);
  const std::int64_t code = job.full() ? 8 : 4, hidden = job.full() ? 1000 : 200;
  Autoencoder ae(code, hidden, gen);
  Critic critic(Game::NonSaturating, spectral_mlp(code, hidden, 5, gen), 1e-3);
  nn::Optimizer adam(ae, {.lr = 1e-3});
  for (Progress p(job, 400); p.next();) {
    adam.set_lr(1e-3 * std::min(1.0, 2 * p.left()));
    const Tensor x = random_batch(gen, digits.train, 100);
    critic.improve(normal(gen, {100, code}), ae.encoder.forward(x).value());
    descend(ae, adam, [&] {  // both at once: images again, and codes like draws of the Gaussian
      const Var z = ae.encoder.forward(x);
      return 10 * critic.loss_of(z) - mean(ln_bernoulli(Var(x), ae.decoder.forward(z)));
    });
  }

  const auto decoded = [&](const Tensor& z) { return sigmoid(ae.decoder.forward(z)).value(); };
  const Tensor z = ae.encoder.forward(digits.test).value();
  const auto codes = distance(z, normal(gen, {500, code}));
  std::printf("codes of test: mean square %.2f of 1; energy distance to the Gaussian %.4f\n",
              mean(square(z)).item(), codes.energy_distance);
  // Test images and what comes back, then new ones.
  const Tensor seen = digits.test.narrow(0, 0, 20);
  const Tensor samples = decoded(normal(gen, {job.full() ? 10000 : 1000, code}));
  write_grid(
      job,
      concat(std::vector<Tensor>{seen, decoded(z.narrow(0, 0, 20)), samples.narrow(0, 0, 80)}, 0),
      20);
  const double left = judge(job, samples, digits);
  return left < 0.5 && codes.energy_distance < 0.2 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) { return run(argc, argv, "zoo_aae", program); }
