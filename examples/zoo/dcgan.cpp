// A convolutional adversarial network on digits (Radford, Metz, Chintala 2016). The generator's
// images double their sides twice, 7 -> 14 -> 28. A transposed convolution of stride 2 is a
// convolution of an image with zeros between its pixels; here pixels are repeated instead, then
// convolved, which leaves no checkerboard (Odena, Dumoulin, Olah 2016) and needs no op of its own.
//
//   example_zoo_dcgan path/to/mnist 10 dcgan    # 64 and 32 channels
#include "conv.h"
#include "gan.h"
#include "nn/layers/norm.h"

using namespace zoo;

namespace {

constexpr std::int64_t kNoise = 50;

/// Noise (N, 50) to logits (N, 784); batch norm after each layer but the last.
struct Painter : nn::Layer {
  Painter(std::int64_t channels, Generator& gen)
      : first(add_module(
            "first",
            std::make_shared<nn::Linear>(
                nn::LinearOptions{.in = kNoise, .out = 49 * channels, .activation = {}, .init = {}},
                gen))),
        second(add_module("second", conv(channels, channels / 2, 5, 1, 2, gen))),
        third(add_module("third", conv(channels / 2, 1, 5, 1, 2, gen))),
        norm1(add_module("norm1", norm(channels))),
        norm2(add_module("norm2", norm(channels / 2))) {}
  static std::shared_ptr<nn::BatchNorm> norm(std::int64_t channels) {
    return std::make_shared<nn::BatchNorm>(nn::BatchNormOptions{.channels = channels});
  }
  Var forward(const Var& z) override {
    const Var small = relu(norm1(reshape(first(z), {z.dim(0), 7, 7, -1})));
    const Var middle = relu(norm2(second(repeat_pixels(small))));
    return reshape(third(repeat_pixels(middle)), {z.dim(0), 784});
  }
  std::string kind() const override { return "Painter"; }

  nn::Linear& first;
  nn::Conv2d &second, &third;
  nn::BatchNorm &norm1, &norm2;
};

/// Images (N, 784) to scores (N, 1): two convolutions of stride 2 and a product.
struct Viewer : nn::Layer {
  Viewer(std::int64_t channels, Generator& gen)
      : first(add_module("first", conv(1, channels / 2, 4, 2, 1, gen))),
        second(add_module("second", conv(channels / 2, channels, 4, 2, 1, gen))),
        last(add_module(
            "last",
            std::make_shared<nn::Linear>(
                nn::LinearOptions{.in = 49 * channels, .out = 1, .activation = {}, .init = {}},
                gen))) {}
  Var forward(const Var& x) override {
    const Var half = leaky_relu(first(reshape(x, {x.dim(0), 28, 28, 1})), 0.2);
    return last(reshape(leaky_relu(second(half), 0.2), {x.dim(0), -1}));
  }
  std::string kind() const override { return "Viewer"; }

  nn::Conv2d &first, &second;
  nn::Linear& last;
};

int program(const Job& job) {
  const Digits digits = load_digits(job, /*bits=*/false);
  Generator gen(/*seed=*/1);
  const std::int64_t channels = job.full() ? 64 : 16, batch = 64;
  Painter g(channels, gen);
  nn::Optimizer adam(g, {.lr = 1e-3, .beta1 = 0.5});
  Critic critic(Game::NonSaturating, std::make_shared<Viewer>(channels, gen), 4e-4);
  const Tensor around = mean_logits(digits.train);  // the generator begins around the mean image
  const auto paint = [&](std::int64_t n) {
    return sigmoid(g.forward(normal(gen, {n, kNoise})) + around);
  };
  for (Progress p(job, 300); p.next();) {
    adam.set_lr(1e-3 * std::min(1.0, 2 * p.left()));
    critic.improve(random_batch(gen, digits.train, batch), paint(batch).value());
    descend(g, adam, [&] { return critic.loss_of(paint(batch)); });
  }
  g.eval();  // batch norm by its running statistics
  const Tensor samples = paint(job.full() ? 10000 : 1000).value();
  write_grid(job, samples.narrow(0, 0, 100), 20);
  return judge(job, samples, digits) < 0.6 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) { return run(argc, argv, "zoo_dcgan", program); }
