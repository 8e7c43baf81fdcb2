// Generative adversarial networks: a generator against a network that tells its samples from data.
// First in the plane, where a lesson on stability is quick; then on digits, with labels if wanted.
//
// The lesson (Arjovsky, Bottou 2017): a discriminator that is trained well knows all samples, then
// ln(1 - D(G(z))) is flat and the generator has no gradient left. A critic whose slope is bounded,
// by clipped weights, a penalty (both Wasserstein) or spectral norms, is a slope everywhere: the
// longer it is trained, the better for the generator.
//
//   example_zoo_gan path/to/mnist 10 gan                # spectral norms
//   example_zoo_gan path/to/mnist 10 gan-first minimax  # or: nonsaturating, wasserstein
//   example_zoo_gan path/to/mnist 10 gan-labels spectral labels
//
// Published: Parzen 225 +- 2 (Goodfellow et al. 2014).
#include "gan.h"

#include "data/svg.h"
#include "data/toy2d.h"

using namespace zoo;

namespace {

constexpr std::int64_t kNoise = 50;

Tensor points(std::int64_t n) {
  return data::sample_toy2d(*data::find_toy2d("8gaussians"), n, /*seed=*/1, /*stream=*/1);
}

std::shared_ptr<nn::Sequential> net(std::int64_t in, std::int64_t out, std::int64_t hidden,
                                    double last, Generator& gen) {
  return nn::mlp({.in = in,
                  .out = out,
                  .hidden_units = hidden,
                  .activation = nn::activation_by_name("leaky_relu"),
                  .last_init = {.scale = last}},
                 gen);
}

/// A generator whose points all lie near the middle of eight Gaussians, and stays as it is: the
/// length of its gradient while the critic learns. Spectral norms are tried in the game that is
/// lost without them, for ln D(G(z)) (NonSaturating) is steep where D is sure, whatever its slope.
data::Series lesson(const char* name, Game game, bool spectral) {
  Generator gen(/*seed=*/2);
  const Tensor x = points(20000);
  const auto g = net(2, 2, 64, 0.1, gen);
  Critic critic(game, spectral ? spectral_mlp(2, 64, 5, gen) : net(2, 1, 64, 1, gen), 1e-3);
  data::Series curve{name, {}, {}};
  for (int step = 0; step <= 600; ++step) {
    const Tensor z = normal(gen, {256, 2});
    if (step % 50 == 0) {
      g->clear_grads();
      Tape tape;
      tape.backward(critic.loss_of(g->forward(z)));
      curve.x.push_back(step);
      curve.y.push_back(std::log10(nn::gradient_norm(*g).item()));
    }
    critic.improve(random_batch(gen, x, 256), g->forward(z).value());
  }
  if (game == Game::Penalty) {
    std::printf("slope of the critic at data: %.2f\n", mean(critic.slopes(x)).item());
  }
  std::printf("%s: the generator's gradient is 10^%.1f at first, 10^%.1f in the end\n", name,
              curve.y.front(), curve.y.back());
  return curve;
}

/// A generator of these points, trained. Energy distance to data.
double plane(const Job& job) {
  Generator gen(/*seed=*/3);
  const Tensor x = points(20000);
  const auto g = net(2, 2, 64, 0.1, gen);
  nn::Optimizer adam(*g, {.lr = 1e-3, .beta1 = 0.5, .beta2 = 0.9});
  Critic critic(Game::NonSaturating, spectral_mlp(2, 64, 5, gen), 1e-3);
  for (Progress p(Job{}, 400); p.next();) {
    for (int i = 0; i < 5; ++i) {
      critic.improve(random_batch(gen, x, 256), g->forward(normal(gen, {256, 2})).value());
    }
    const Tensor z = normal(gen, {256, 2});
    descend(*g, adam, [&] { return critic.loss_of(g->forward(z)); });
  }
  const Tensor drawn = g->forward(normal(gen, {5000, 2})).value();
  data::write_scatter_png(job.picture + "-plane.png", drawn, 400, data::bounds_of(x));
  const double d = distance(drawn, x).energy_distance;
  std::printf("8gaussians with spectral norms: energy distance %.3f\n", d);
  return d;
}

/// Greys of digits; with labels, generator and critic see them beside. The share of samples that
/// look like the label that was asked for.
double images(const Job& job, const std::string& how, bool labels) {
  const Digits digits = load_digits(job, /*bits=*/false);
  check_labels(digits);
  Generator gen(/*seed=*/4);
  const std::int64_t given = labels ? 10 : 0, hidden = job.full() ? 512 : 256, count = 100;
  // One-hot labels beside x, nearly as long as an image: the slope of a critic with spectral norms
  // is bounded, and of a label of length 1 it could say little.
  const Tensor codes = Tensor::eye(10) * 5.0;
  const auto with = [&](const Var& x, const Tensor& numbers) {
    return labels ? concat({x, Var(index_select(codes, 0, numbers))}, 1) : x;
  };
  const auto g = net(kNoise + given, 784, hidden, 1, gen);
  nn::Optimizer adam(*g, {.lr = job.full() ? 3e-4 : 1e-3, .beta1 = 0.5, .beta2 = 0.9});
  const bool spectral = how == "spectral";
  const Game game = how == "wasserstein" ? Game::Wasserstein
                    : how == "penalty"   ? Game::Penalty
                    : how == "minimax"   ? Game::Minimax
                                         : Game::NonSaturating;
  const int critic_steps = game == Game::Wasserstein || game == Game::Penalty ? 5 : 1;
  Critic critic(
      game,
      spectral ? spectral_mlp(784 + given, hidden, 20, gen) : net(784 + given, 1, hidden, 1, gen),
      1e-3);
  const Tensor around = mean_logits(digits.train);  // the generator begins around the mean image
  const auto fake = [&](const Tensor& numbers) {
    const Tensor z = normal(gen, {numbers.dim(0), kNoise});
    return with(sigmoid(g->forward(with(z, numbers)) + around), numbers);
  };
  for (Progress p(job, 500); p.next();) {
    for (int i = 0; i < critic_steps; ++i) {
      const Tensor rows = random_rows(gen, digits.train.dim(0), 64);
      const Tensor numbers = index_select(digits.labels, 0, rows);
      critic.improve(with(index_select(digits.train, 0, rows), numbers).value(),
                     fake(numbers).value());
    }
    const Tensor numbers = random_rows(gen, 10, 64);
    descend(*g, adam, [&] { return critic.loss_of(fake(numbers)); });
  }
  std::vector<std::int32_t> asked;  // a column of the picture for each digit
  for (int i = 0; i < (job.full() ? 100 : 10) * count; ++i) asked.push_back(i % 10);
  const Tensor numbers = Tensor::from(asked, {static_cast<std::int64_t>(asked.size())});
  const Tensor samples = fake(numbers).value().narrow(1, 0, 784).contiguous();
  write_grid(job, samples.narrow(0, 0, count), 10);
  judge(job, samples, digits);
  const double as_asked = nearest_mean(samples, numbers, digits);
  if (labels) {
    std::printf("by the nearest mean image: %.1f %% of samples as asked, %.1f %% of test images\n",
                100 * as_asked, 100 * nearest_mean(digits.test, digits.test_labels, digits));
  }
  return as_asked;
}

int program(const Job& job) {
  if (job.full()) {
    const std::string how =
        job.word(0, {"spectral", "nonsaturating", "minimax", "wasserstein", "penalty"});
    const bool labels = job.word(1, {"", "labels"}) == "labels";
    NF_CHECK(!labels || how != "penalty",
             "the penalty is of slopes along images alone, and here labels are beside them: leave "
             "one of 'penalty' and 'labels' out");
    images(job, how, labels);
    return 0;
  }
  const auto first = lesson("first GAN", Game::Minimax, false),
             clipped = lesson("clipped weights", Game::Wasserstein, false),
             spectral = lesson("spectral norms", Game::Minimax, true),
             penalty = lesson("gradient penalty", Game::Penalty, false);
  data::write_curve_svg(
      job.picture + ".svg",
      {"", "step of the critic", "log10 of the generator's gradient", /*whole_range=*/true},
      {first, clipped, spectral, penalty});
  const double d = plane(job);
  bool lost = first.y.back() < first.y.front() - 2;
  for (const data::Series* kept : {&clipped, &spectral, &penalty}) {
    lost = lost && kept->y.back() > kept->y.front() - 1;
  }
  Generator gen(/*seed=*/5);
  const double error = penalty_error(*net(3, 1, 8, 1, gen), normal(gen, {20, 3}, DType::F64));
  std::printf("gradient of the penalty, less that by differences: %.1g\n", error);
  const double as_asked = images(job, "spectral", true);
  return lost && d < 0.2 && error < 1e-6 && as_asked > 0.8 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) { return run(argc, argv, "zoo_gan", program, {.full = 2}); }
