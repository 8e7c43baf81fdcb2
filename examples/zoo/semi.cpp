// Semi-supervised learning with deep generative models: 100 labels, and images without. A class y
// is a latent that is sometimes known. M2 (Kingma, Rezende, Mohamed, Welling 2014) has
//
//   p(x, y, z) = 1/10 N(z; 0, 1) p(x | y, z),   q(y, z | x) = q(y | x) q(z | x, y),
//   ln p(x, y) >= E_q(z | x, y)[ln p(x, y, z) - ln q(z | x, y)] = l(x, y)             (their eq. 6)
//   ln p(x)    >= sum over y of q(y | x) (l(x, y) - ln q(y | x)) = u(x)               (7)
//
// and goes up the means of l where labels are and of u elsewhere, with alpha ln q(y | x) of the
// labels (8, 9), because q(y | x), the classifier, is not in l. The auxiliary model, ADGM (Maaloe,
// Sonderby, Sonderby, Winther 2016), has one latent more, a ~ q(a | x), which q(y | x, a) and
// q(z | x, y, a) see and p(a | x, y, z) explains: q(y, z | x) is then a mixture, and may bend.
//
//   example_zoo_semi path/to/mnist 10 semi          # M2
//   example_zoo_semi path/to/mnist 10 semi-a adgm
//
// Published test errors with 100 labels of MNIST: M2 11.97 +- 1.71 %, behind another model's
// latents 3.33 +- 0.14 %, ADGM 0.96 +- 0.02 %.
#include "flows/layers/vae.h"
#include "nn/nets/mlp.h"
#include "zoo.h"

using namespace zoo;

namespace {

constexpr std::int64_t kLabels = 100;
constexpr double kAlpha = 50;  // 0.1 N / labels of N = 50000 (Maaloe et al.)
const double kLnTwoPi = std::log(2 * M_PI);

/// ln N(x; m, exp(s)), (N), of x (N, D) and both (N, 2 D), m and s.
Var ln_normal(const Var& x, const Var& both) {
  const std::int64_t d = x.dim(1);
  const Var s = narrow(both, 1, d, d);
  return sum(square((x - narrow(both, 1, 0, d)) * exp(-s)) * -0.5 - s - 0.5 * kLnTwoPi, {1});
}

/// A draw (N, D), and its ln density (N).
struct Draw {
  Var value, ln_q;
};
Draw draw(const Var& both, Generator& gen) {
  const std::int64_t d = both.dim(1) / 2;
  const Tensor e = normal(gen, {both.dim(0), d});
  const Var value = narrow(both, 1, 0, d) + exp(narrow(both, 1, d, d)) * e;
  return {value, ln_normal(value, both)};
}

/// A network of x (N, D) and of what stands beside it, (N k, E): row i of x goes with rows i k to
/// (i + 1) k - 1, but through its own first layer only once.
struct Net : nn::Module {
  Net(std::int64_t d, std::int64_t e, std::int64_t out, std::int64_t hidden, Generator& gen)
      : first(add_module("first", linear_layer(d, hidden, true, gen))),
        top(add_module("top", nn::mlp({.in = hidden,
                                       .out = out,
                                       .hidden_units = hidden,
                                       .hidden_layers = 1,
                                       .activation = nn::activation_by_name("relu"),
                                       .last_init = {nn::Init::Kind::Xavier, 0.1}},
                                      gen))) {
    if (e > 0) beside = &add_module("beside", linear_layer(e, hidden, false, gen));
  }
  static std::shared_ptr<nn::Linear> linear_layer(std::int64_t in, std::int64_t out, bool bias,
                                                  Generator& gen) {
    return std::make_shared<nn::Linear>(nn::LinearOptions{.in = in, .out = out, .bias = bias}, gen);
  }
  Var operator()(const Var& x, const Var& other = {}) {
    if (!other.defined()) return top(relu(first(x)));
    return top(relu(flows::repeat_rows(first(x), other.dim(0) / x.dim(0)) + (*beside)(other)));
  }
  std::string kind() const override { return "Net"; }

  nn::Linear& first;
  nn::Linear* beside = nullptr;
  nn::Sequential& top;
};

/// All ten classes, n times: (10 n, 10).
Tensor all_classes(std::int64_t n) {
  const Tensor each = Tensor::eye(10).reshape({1, 10, 10}).broadcast_to({n, 10, 10});
  return each.contiguous().reshape({10 * n, 10});
}

struct Model : nn::Module {
  Model(std::int64_t latents, std::int64_t auxiliary, std::int64_t hidden, Generator& gen)
      : latents(latents) {
    const auto net = [&](const char* name, std::int64_t d, std::int64_t e, std::int64_t out) {
      return &add_module(name, std::make_shared<Net>(d, e, out, hidden, gen));
    };
    q_y = net("q_y", 784, auxiliary, 10);
    q_z = net("q_z", 784, 10 + auxiliary, 2 * latents);
    p_x = net("p_x", latents, 10, 784);
    if (auxiliary == 0) return;
    q_a = net("q_a", 784, 0, 2 * auxiliary);
    p_a = net("p_a", 784, 10 + latents, 2 * auxiliary);
  }
  std::string kind() const override { return "Model"; }

  /// ln q(y | x, a) of every class, (N, 10).
  Var ln_classes(const Var& x, const Var& a) {
    const Var logits = (*q_y)(x, a);
    return logits - logsumexp(logits, {1}, true);
  }
  Draw draw_a(const Var& x, Generator& gen) { return q_a ? draw((*q_a)(x), gen) : Draw{}; }

  /// l(x, y) for y (N k, 10), one-hot, k of them for each row of x and a: (N k).
  Var labelled(const Var& x, const Draw& a, const Var& y, Generator& gen) {
    const std::int64_t k = y.dim(0) / x.dim(0);
    const Var a_k = flows::repeat_rows(a.value, k);
    const auto [z, ln_q] = draw((*q_z)(x, a_k.defined() ? concat({y, a_k}, 1) : y), gen);
    Var l = ln_bernoulli(flows::repeat_rows(x, k), (*p_x)(z, y)) - std::log(10.0) - ln_q +
            sum(square(z) * -0.5 - 0.5 * kLnTwoPi, {1});
    if (!q_a) return l;
    const Var ln_a = reshape(flows::repeat_rows(reshape(a.ln_q, {-1, 1}), k), {-1});
    return l + ln_normal(a_k, (*p_a)(x, concat({y, z}, 1))) - ln_a;
  }
  /// u(x), (N).
  Var unlabelled(const Var& x, Generator& gen) {
    const Draw a = draw_a(x, gen);
    const Var ln_y = ln_classes(x, a.value);
    const Var l = labelled(x, a, all_classes(x.dim(0)), gen);
    return sum(exp(ln_y) * (reshape(l, {-1, 10}) - ln_y), {1});
  }

  std::int64_t latents;
  Net *q_a = nullptr, *q_y, *q_z, *p_x, *p_a = nullptr;
};

/// Rows of training images whose labels are given away: as many of each class, the first ones.
Tensor rows_with_labels(const Tensor& labels) {
  std::vector<std::int32_t> rows, found(10, 0);
  const std::vector<std::int32_t> all = labels.to_vector<std::int32_t>();
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (found[all[i]]++ < kLabels / 10) rows.push_back(static_cast<std::int32_t>(i));
  }
  NF_CHECK(rows.size() == kLabels, "[zoo] needs ", kLabels / 10, " labelled digits of each class");
  return Tensor::from(rows, {kLabels});
}

/// The share of wrong classes, where a is the mean of q(a | x).
double error_of(Model& model, const Tensor& x, const Tensor& labels) {
  Var a;
  if (model.q_a) a = (*model.q_a)(x), a = narrow(a, 1, 0, a.dim(1) / 2);
  const Tensor found = argmax(model.ln_classes(x, a).value(), 1);
  return mean(not_equal(found, labels).to(DType::F32)).item();
}

/// Trained with 100 labels; by the labels alone if `alone`.
void fit(const Job& job, Model& model, const Digits& digits, bool alone, Generator& gen) {
  const Tensor rows = rows_with_labels(digits.labels);
  const Tensor x = index_select(digits.train, 0, rows), y = index_select(digits.labels, 0, rows);
  const double lr = 3e-3;
  nn::Optimizer adam(model, {.lr = lr});
  for (Progress p(alone ? Job{} : job, 600); p.next();) {
    adam.set_lr(lr * std::min(1.0, 2 * p.left()));
    const Tensor some = random_rows(gen, kLabels, 50), known = index_select(x, 0, some);
    const Tensor one_hot = index_select(Tensor::eye(10), 0, index_select(y, 0, some));
    const Tensor unknown = random_batch(gen, digits.train, 50);
    descend(model, adam, [&] {
      const Draw a = model.draw_a(known, gen);
      const Var right = mean(sum(model.ln_classes(known, a.value) * Var(one_hot), {1}));
      if (alone) return -right;
      return -kAlpha * right - mean(model.labelled(known, a, one_hot, gen)) -
             mean(model.unlabelled(unknown, gen));
    });
  }
}

/// Whether what is claimed of a model holds.
bool show(const Job& job, const Digits& digits, bool auxiliary) {
  Generator gen(/*seed=*/1);
  const std::int64_t hidden = job.full() ? 300 : 128, latents = job.full() ? 10 : 5;
  const auto made = [&] { return Model(latents, auxiliary ? latents : 0, hidden, gen); };
  Model by_labels = made(), model = made();
  fit(job, by_labels, digits, true, gen);
  fit(job, model, digits, false, gen);
  const double alone = error_of(by_labels, digits.test, digits.test_labels),
               error = error_of(model, digits.test, digits.test_labels),
               valid = error_of(model, digits.valid, digits.valid_labels);
  std::vector<Tensor> bounds;
  for (std::int64_t i = 0; i + 500 <= digits.test.dim(0); i += 500) {
    bounds.push_back(model.unlabelled(digits.test.narrow(0, i, 500), gen).value());
  }
  const Estimate bound = mean_of(concat(bounds, 0));
  const double independent = independent_nats(digits);
  std::printf("%s: test error %.2f %% (validation, by which to choose sizes and rates: %.2f %%)\n",
              auxiliary ? "ADGM" : "M2", 100 * error, 100 * valid);
  std::printf("by the labels alone: test error %.2f %%\n", 100 * alone);
  std::printf("test at least %.2f +- %.2f nats; independent %.2f\n", bound.mean, bound.se,
              independent);
  // A row of the picture for each style z, a column for each class.
  const Tensor z = flows::repeat_rows(Var(normal(gen, {10, latents})), 10).value();
  const Tensor y = all_classes(10), samples = sigmoid((*model.p_x)(z, y)).value();
  write_grid(job, samples, 10);
  const double as_asked = nearest_mean(samples, argmax(y, 1), digits);
  std::printf("by the nearest mean image: %.0f %% of samples as asked\n", 100 * as_asked);
  return error < 0.8 * alone && as_asked > 0.5 && bound.mean > independent + 20;
}

int program(const Job& job) {
  const Digits digits = load_digits(job, /*bits=*/true);
  check_labels(digits);
  const bool auxiliary = job.word(0, {"m2", "adgm"}) == "adgm";
  if (job.full()) return show(job, digits, auxiliary), 0;
  Job other = job;
  other.picture += "-adgm";
  const bool m2 = show(job, digits, false), adgm = show(other, digits, true);
  return m2 && adgm ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) { return run(argc, argv, "zoo_semi", program, {.full = 1}); }
