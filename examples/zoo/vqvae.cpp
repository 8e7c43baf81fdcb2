// A vector-quantised autoencoder and its prior (van den Oord, Vinyals, Kavukcuoglu 2017). An image
// becomes 7x7 codes, each one of K vectors e_1, .., e_K: the one nearest to what the encoder says,
//
//   k = argmin |E(x) - e_k|,   down -ln p(x | e_k) + 1/4 |E(x) - e_k|^2.
//
// Which one is nearest has no derivative: the gradient at e_k is taken for that at E(x), straight
// through. The vectors are the running means of what was near to them (the paper's appendix), and
// those near to nothing begin anew. Then a PixelCNN learns p(k) of the codes. Both together have a
// code length, which is a bound, for p(x) is a sum over all k and this is one term of it:
//
//   -ln p(x) <= -ln p(x | e_k) - ln p(k).
//
//   example_zoo_vqvae path/to/mnist 10 vqvae 32   # 32 vectors
#include "conv.h"
#include "flows/layers/level_outputs.h"
#include "nn/nets/pixel_cnn.h"
#include "zoo.h"

using namespace zoo;

namespace {

constexpr std::int64_t kSide = 7, kPlaces = kSide * kSide, kNumbers = 16;  // of a vector
constexpr std::int64_t kBatch = 64;

/// f of 500 rows at a time: what is on the way to it takes less memory.
template <class F>
Tensor in_parts(const Tensor& x, const F& f) {
  std::vector<Tensor> parts;
  for (std::int64_t at = 0; at < x.dim(0); at += 500) {
    parts.push_back(f(x.narrow(0, at, std::min<std::int64_t>(500, x.dim(0) - at))));
  }
  return concat(parts, 0);
}

struct Autoencoder : nn::Module {
  Autoencoder(std::int64_t c, Generator& gen)
      : half(add_module("half", conv(1, c / 2, 4, 2, 1, gen))),
        quarter(add_module("quarter", conv(c / 2, c, 4, 2, 1, gen))),
        say(add_module("say", conv(c, kNumbers, 1, 1, 0, gen))),
        hear(add_module("hear", conv(kNumbers, c, 3, 1, 1, gen))),
        twice(add_module("twice", conv(c, c / 2, 5, 1, 2, gen))),
        whole(add_module("whole", conv(c / 2, 1, 5, 1, 2, gen))) {}
  std::string kind() const override { return "Autoencoder"; }
  /// Images (N, 784) to (N 49, 16).
  Var encode(const Var& x) {
    const Var image = reshape(x, {x.dim(0), 28, 28, 1});
    return reshape(say(relu(quarter(relu(half(image))))), {-1, kNumbers});
  }
  /// Back to logits (N, 784).
  Var decode(const Var& e) {
    const Var small = relu(hear(reshape(e, {-1, kSide, kSide, kNumbers})));
    const Var image = whole(repeat_pixels(relu(twice(repeat_pixels(small)))));
    return reshape(image, {image.dim(0), 784});
  }

  nn::Conv2d &half, &quarter, &say, &hear, &twice, &whole;
};

/// The vectors e (K, 16): each the mean of what was nearest to it, the last steps counting most.
struct Codebook {
  /// Begins with K rows of z (M, 16).
  Codebook(Generator& gen, const Tensor& z, std::int64_t size)
      : even(Tensor::full({size, 1}, static_cast<double>(z.dim(0)) / static_cast<double>(size))),
        count(even),
        e(random_batch(gen, z, size)),
        total(e * even) {}
  /// The code of each row, i32 (M): |z - e|^2 is least where z e - |e|^2 / 2 is most.
  Tensor nearest(const Tensor& z) const {
    return argmax(matmul(z, e.t()) - sum_squares(e, {1}) * 0.5, 1);
  }
  Tensor vectors(const Tensor& codes) const { return index_select(e, 0, codes); }
  void follow(Generator& gen, const Tensor& z, const Tensor& codes) {
    constexpr double kKeep = 0.98;
    const Tensor of = index_select(Tensor::eye(e.dim(0)), 0, codes).t();  // (K, M), one-hot
    count = count * kKeep + sum(of, {1}, true) * (1 - kKeep);
    total = total * kKeep + matmul(of, z) * (1 - kKeep);
    const Tensor again = less(count, even * 0.05);  // hardly anything is near to it
    total = where(again, random_batch(gen, z, e.dim(0)) * even, total);
    count = where(again, even, count);
    e = total / count;
  }

  Tensor even, count;  ///< rows of a batch that are near to each, (K, 1): if all were equal; mean
  Tensor e, total;     ///< (K, 16), e = total / count
};

/// ln p(k) of rows of 49 codes, by a PixelCNN that sees them one-hot.
struct Prior {
  Prior(std::int64_t k, std::int64_t maps, Generator& gen)
      : size(k),
        net({kSide, kSide, /*channels=*/k, /*outputs=*/k, /*context=*/0, maps, /*layers=*/4, 64},
            gen),
        outputs(flows::softmax_outputs(static_cast<int>(k))) {}
  Tensor one_hot(const Tensor& codes) const {
    return index_select(Tensor::eye(size), 0, codes.reshape({-1}));
  }
  /// codes i32 (N, 49); (N).
  Var log_prob(const Tensor& codes) {
    const std::int64_t n = codes.dim(0);
    const Var h = net(one_hot(codes).reshape({n, kPlaces, size}));
    return sum(outputs->log_prob(codes.to(DType::F32).reshape({n, kPlaces, 1}), h), {1, 2});
  }
  /// i32 (n, 49), each layer of the net once for each code.
  Tensor sample(Generator& gen, std::int64_t n) {
    const auto sweep = net.sweep({}, n);
    std::vector<Tensor> codes;
    for (std::int64_t t = 0; t < kPlaces; ++t) {
      codes.push_back(outputs->draw(sweep->next(), uniform(gen, {n, 1}), 1).to(DType::I32));
      sweep->put(one_hot(codes.back()));
    }
    return concat(codes, 1);
  }

  std::int64_t size;
  nn::PixelCnn net;
  std::shared_ptr<flows::LevelOutputs> outputs;
};

/// Steps down loss() of random batches of rows, in a share of the minutes.
template <class Loss>
void learn(const Job& job, double share, nn::Module& module, const Tensor& rows, double lr,
           Generator& gen, const Loss& loss) {
  nn::Optimizer adam(module, {.lr = lr});
  for (Progress p(job, 300, share); p.next();) {
    adam.set_lr(lr * std::min(1.0, 2 * p.left()));
    const Tensor batch = random_batch(gen, rows, kBatch);
    descend(module, adam, [&] { return loss(batch); });
  }
}

int program(const Job& job) {
  const Digits digits = load_digits(job, /*bits=*/true);
  Generator gen(/*seed=*/1);
  const std::int64_t size = job.number(0, 32), channels = job.full() ? 64 : 16;
  NF_CHECK(size >= 2 && size <= 1024, "[zoo] needs 2 to 1024 vectors, got ", size);
  Autoencoder ae(channels, gen);
  Codebook book(gen, ae.encode(random_batch(gen, digits.train, kBatch)).value(), size);
  learn(job, 0.6, ae, digits.train, 2e-3, gen, [&](const Tensor& x) {
    const Var z = ae.encode(x);
    const Tensor codes = book.nearest(z.value()), e = book.vectors(codes);
    const Var through = z + Var(e - z.value());  // e, with the gradient of z
    book.follow(gen, z.value(), codes);
    return sum(square(z - Var(e))) * (0.25 / kBatch) -
           mean(ln_bernoulli(Var(x), ae.decode(through)));
  });
  const auto codes_of = [&](const Tensor& x) {
    return in_parts(x, [&](const Tensor& part) {
      return book.nearest(ae.encode(part).value()).reshape({-1, kPlaces});
    });
  };
  const auto logits_of = [&](const Tensor& codes) {
    return in_parts(codes, [&](const Tensor& part) {
      return ae.decode(book.vectors(part.reshape({-1}))).value();
    });
  };
  Prior prior(size, channels, gen);
  learn(job, 0.35, prior.net, codes_of(digits.train), 3e-3, gen,
        [&](const Tensor& codes) { return -mean(prior.log_prob(codes)); });

  const Tensor codes = codes_of(digits.test), drawn = prior.sample(gen, 80);
  const auto ln_prior = [&](const Tensor& of) {
    return in_parts(of, [&](const Tensor& part) { return prior.log_prob(part).value(); });
  };
  const Tensor given = ln_bernoulli(digits.test, logits_of(codes)), of_codes = ln_prior(codes);
  const Estimate bound = mean_of(given + of_codes);
  const double independent = independent_nats(digits), bit = std::log(2.0);
  const Tensor share = mean(prior.one_hot(codes), {0}) + 1e-12;
  const double each = -sum(share * log(share)).item();  // nats of a code that knows no others
  const double by_prior = -mean_of(of_codes).mean, of_drawn = -mean_of(ln_prior(drawn)).mean;
  std::printf("-ln p(x given codes) %.1f nats; perplexity of codes %.1f of %d\n",
              -mean_of(given).mean, std::exp(each), static_cast<int>(size));
  std::printf("codes of an image: %.1f bits by the prior, of samples %.1f; each alone %.1f\n",
              by_prior / bit, of_drawn / bit, kPlaces * each / bit);
  std::printf("ln p(x) >= %.1f +- %.1f nats; independent pixels %.1f\n", bound.mean, bound.se,
              independent);
  // Test images, what comes back of them, then new ones.
  const Tensor back = logits_of(concat(std::vector{codes.narrow(0, 0, 20), drawn}, 0));
  write_grid(job, concat(std::vector{digits.test.narrow(0, 0, 20), sigmoid(back)}, 0), 20);
  const bool shorter = by_prior < 0.7 * kPlaces * each && of_drawn < 1.3 * by_prior;
  return bound.mean > 0.75 * independent && shorter && std::exp(each) > 0.3 * size ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  return run(argc, argv, "zoo_vqvae", program, {.full = 1, .small = 1});
}
