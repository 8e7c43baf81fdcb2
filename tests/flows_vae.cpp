// Variational autoencoders: likelihoods, the stochastic layer, its bound, and what it is trained
// by.
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <functional>
#include <utility>

#include "autograd/gradcheck.h"
#include "flows/runs/in_parts.h"
#include "flows/train/mmd.h"
#include "nn/nets/gated_conv.h"
#include "tests/vaes.h"

using namespace nf;
using namespace nf::flows;
using namespace nf::test;

namespace {

/// A small VAE with random parameters, f64.
struct Vae {
  std::shared_ptr<VaeLayer> layer;
  std::shared_ptr<VaeDensity> density;

  Vae(const std::shared_ptr<Likelihood>& likelihood, std::int64_t dims, std::int64_t latents,
      const std::string& posterior = "none", const std::string& prior = "none",
      const VaeTraining& training = {}, double size = 0.5) {
    constexpr std::int64_t kHidden = 5;
    Generator gen(3);
    std::shared_ptr<Compose> flow = latent_flow(
        {.kind = posterior, .steps = 2, .dims = latents, .context = kHidden, .width = 6}, gen);
    if (flow->parts().empty()) flow = nullptr;
    layer = std::make_shared<VaeLayer>(
        Generator(7, 1),
        VaeLayer::Nets{net(dims, kHidden, gen), net(kHidden, 2 * latents, gen),
                       net(latents, dims, gen)},
        likelihood, latents, flow);
    density = std::make_shared<VaeDensity>(
        std::make_shared<Compose>(), layer,
        latent_flow({.kind = prior, .steps = 2, .dims = latents, .width = 6}, gen), dims,
        Convention{}, training);
    randomise(*density, size);
    density->to(DType::F64);
  }
};

double sum_of_exp(const std::vector<double>& logs) {
  double total = 0;
  for (const double l : logs) total += std::exp(l);
  return total;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(flows_vae)

// --- the bound ----------------------------------------------------------------------------------

namespace {

/// x = W z + b + sigma e with W of orthogonal columns, so that its posterior is diagonal: M = W'W +
/// sigma^2, mean W'(x - b) / M, variance sigma^2 / M. (Tipping, Bishop 1999)
struct Linear {
  static constexpr std::int64_t kDims = 3, kLatents = 2;
  static constexpr double kSigma = 0.7;
  Tensor w = Tensor::from(std::vector<double>{1, 2, -1, 0.5, 0, 1.5}, {3, 2});
  Tensor b = Tensor::from(std::vector<double>{0.3, -1, 2}, {3});
  std::shared_ptr<VaeDensity> density;

  /// `off`: what the posterior's means are off by, and ln of what its deviations are multiplied by.
  explicit Linear(double off = 0) {
    // The columns (1, -1, 0) and (1, 1, 1.5).
    w = Tensor::from(std::vector<double>{1, 1, -1, 1, 0, 1.5}, {3, 2});
    const Tensor eye = Tensor::from(std::vector<double>{1, 0, 0, 0, 1, 0, 0, 0, 1}, {3, 3});
    const double m[] = {2 + kSigma * kSigma, 4.25 + kSigma * kSigma};
    std::vector<double> weight(12), bias(4);
    const auto ws = w.to_vector<double>(), bs = b.to_vector<double>();
    for (std::size_t k = 0; k < 2; ++k) {
      for (std::size_t d = 0; d < 3; ++d) {
        weight[k * 3 + d] = ws[d * 2 + k] / m[k];
        bias[k] -= ws[d * 2 + k] * bs[d] / m[k];
      }
      bias[k] += off;
      bias[2 + k] = std::log(kSigma) - std::log(m[k]) / 2 + off;
    }
    const auto likelihood = gaussian_likelihood(kDims);
    likelihood->for_each_parameter([&](const std::string&, Var& p) {
      p.set_value(Tensor::full({kDims}, std::log(kSigma), DType::F64));
    });
    VaeLayer::Nets nets{linear_of(eye, Tensor::zeros({3}, DType::F64)),
                        linear_of(Tensor::from(weight, {4, 3}), Tensor::from(bias, {4})),
                        linear_of(w, b)};
    const auto layer = std::make_shared<VaeLayer>(Generator(2), nets, likelihood, kLatents);
    density = std::make_shared<VaeDensity>(std::make_shared<Compose>(), layer,
                                           std::make_shared<Compose>(), kDims, Convention{},
                                           VaeTraining{});
    density->to(DType::F64);
  }

  /// ln N(x; b, W W' + sigma^2), of each row.
  std::vector<double> exact(const Tensor& x) const {
    const Tensor eye = Tensor::from(std::vector<double>{1, 0, 0, 0, 1, 0, 0, 0, 1}, {3, 3});
    const Tensor covariance = matmul(w, w.t()) + eye * (kSigma * kSigma);
    return ln_gaussian(x, b, covariance);
  }
};

}  // namespace

BOOST_AUTO_TEST_CASE(with_the_exact_posterior_every_draw_is_the_log_probability) {
  const Linear linear;
  Generator gen(4);
  const Tensor x = normal(gen, {6, 3}, DType::F64) * 2.0;
  expect_exact_draws(*linear.density, x, linear.exact(x));
  BOOST_CHECK(linear.density->bound());
  BOOST_CHECK_EQUAL(linear.density->latent_dims(), 2);
}

BOOST_AUTO_TEST_CASE(the_bound_rises_with_the_draws_to_the_log_probability) {
  const Linear linear(0.4);
  Generator gen(4);
  const Tensor x = normal(gen, {200, 3}, DType::F64) * 2.0;
  const double exact = mean_and_error(linear.exact(x)).mean;
  double before = -INFINITY;
  for (const int draws : {1, 4, 16, 64, 1024}) {
    const auto scores = score(*linear.density, x, {.noise_draws = draws, .importance = true});
    const auto [gap, error] = paired_difference(linear.exact(x), scores);
    BOOST_TEST_MESSAGE(draws << " draws: " << exact - gap << " of " << exact);
    BOOST_CHECK_GT(exact - gap, before);
    BOOST_CHECK_GT(gap, -3 * error);
    before = exact - gap;
  }
  BOOST_CHECK_SMALL(exact - before, 2e-3);
}

// Draws of the posterior, of the prior and of their flows have the densities that are said of them:
// otherwise the probabilities of all images would not add up to 1.
BOOST_AUTO_TEST_CASE(the_probabilities_of_all_images_add_up_to_one) {
  struct Case {
    const char *posterior, *prior;
    int levels;
  };
  for (const Case& c : {Case{"none", "none", 2},
                        {"iaf", "none", 2},
                        {"nice", "maf", 2},
                        {"nsf", "nice", 2},
                        {"iaf", "nsf", 3},
                        {"planar", "none", 2},
                        {"radial", "none", 2},
                        {"sylvester", "none", 2},
                        {"sylvester-householder", "none", 2},
                        {"sylvester-triangular", "none", 2}}) {
    const std::int64_t dims = c.levels == 2 ? 4 : 2;
    const auto likelihood =
        c.levels == 2 ? bernoulli_likelihood(dims) : logistic_likelihood(dims, c.levels);
    const Vae vae(likelihood, dims, 2, c.posterior, c.prior, {}, 0.3);
    // Wide posteriors: few draws are then enough.
    vae.density->for_each_parameter([](const std::string& name, Var& p) {
      if (name == "vae.posterior.1.bias") {
        p.set_value(Tensor::from(std::vector<double>{0.1, -0.1, 0.5, 0.6}, {4}));
      }
    });
    const Tensor x = all_rows(dims, c.levels);
    const double total =
        sum_of_exp(score(*vae.density, x, {.noise_draws = 4000, .importance = true}));
    BOOST_TEST_MESSAGE(c.posterior << ", " << c.prior << ": " << total);
    BOOST_CHECK_SMALL(total - 1, 0.03);
  }
}

// --- training -----------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(what_is_trained_is_what_the_formula_says) {
  const Tensor x = all_rows(4, 2);
  const auto draws_of = [&](const Vae& vae, std::int64_t draws) {
    const Placed placed(vae.density->generators(), {}, 9);
    return vae.layer->draw_latents(x, draws);
  };
  const auto trained = [&](const Vae& vae) {
    const Placed placed(vae.density->generators(), {}, 9);
    return vae.density->training_log_prob(x).value();
  };
  const auto near = [](const Tensor& a, const Tensor& b) { return max(abs(a - b)).item() < 1e-12; };
  StandardNormal base;
  const auto vae_of = [](const VaeTraining& training) {
    return Vae(bernoulli_likelihood(4), 4, 2, "iaf", "none", training);
  };
  {
    const Vae vae = vae_of({});
    const auto [z, log_p, log_q] = draws_of(vae, 1);
    BOOST_CHECK(near(trained(vae), (log_p + base.log_prob(z) - log_q).value()));
    const Placed placed(vae.density->generators(), {}, 9);
    BOOST_CHECK(near(trained(vae), vae.density->log_prob(x).value()));  // the bound itself
  }
  {
    const Vae vae = vae_of({.kl_warmup = 100});
    BOOST_CHECK_EQUAL(vae.density->kl_weight(0), 0.01);
    BOOST_CHECK_EQUAL(vae.density->kl_weight(50), 0.51);
    BOOST_CHECK_EQUAL(vae.density->kl_weight(99), 1);
    vae.density->begin_step(24);
    const auto [z, log_p, log_q] = draws_of(vae, 1);
    const Tensor kl = (log_q - base.log_prob(z)).value();
    BOOST_CHECK_SMALL(max(abs(trained(vae) - (log_p.value() - kl * 0.25))).item(), 1e-7);  // f32
    const Placed placed(vae.density->generators(), {}, 9);  // what is evaluated has all of it
    BOOST_CHECK(near(vae.density->log_prob(x).value(), log_p.value() - kl));
  }
  for (const double free_bits : {0.001, 50.0}) {
    const Vae vae = vae_of({.free_bits = free_bits});
    const auto [z, log_p, log_q] = draws_of(vae, 1);
    const double kl = mean((log_q - base.log_prob(z)).value()).item();
    BOOST_CHECK(near(trained(vae), log_p.value() - std::max(kl, 2 * free_bits)));
  }
  {
    const Vae vae = vae_of({.beta = 0.25});
    const auto [z, log_p, log_q] = draws_of(vae, 1);
    const Tensor kl = (log_q - base.log_prob(z)).value();
    BOOST_CHECK(near(trained(vae), log_p.value() - kl * 0.25));
    const Placed placed(vae.density->generators(), {}, 9);
    BOOST_CHECK(near(vae.density->log_prob(x).value(), log_p.value() - kl));
  }
  for (const std::int64_t draws : {1, 3}) {  // the same draws of latents as without
    const Vae vae = vae_of({.importance = draws, .mmd = 7}),
              without = vae_of({.importance = draws});
    const Placed placed(vae.density->generators(), {}, 9);
    const Tensor z = vae.layer->draw_latents(x, draws).z.value();
    const Tensor e = vae.layer->draw_noise(x.dim(0), draws, DType::F64, Device::CPU);
    const Tensor lost = mmd_squared(z, e, 1).value() * 7.0;  // sqrt(2 L) / 2 of 2 latents
    BOOST_CHECK_GT(lost.item(), 0.01);
    BOOST_CHECK(near(trained(vae), trained(without) - lost));
  }
  {
    const Vae vae = vae_of({.importance = 3});
    const auto [z, log_p, log_q] = draws_of(vae, 3);
    const auto logs = (log_p + base.log_prob(z) - log_q).value().to_vector<double>();
    const auto values = trained(vae).to_vector<double>();
    for (std::size_t i = 0; i < values.size(); ++i) {
      double sum = 0;
      for (std::size_t k = 0; k < 3; ++k) sum += std::exp(logs[3 * i + k]) / 3;
      BOOST_CHECK_CLOSE(values[i], std::log(sum), 1e-9);
    }
  }
}

BOOST_AUTO_TEST_CASE(gradients_are_those_of_what_is_trained) {
  struct Case {
    const char *posterior, *prior;
    VaeTraining training;
    int levels;  // 0: reals
  };
  const Case cases[] = {{"none", "none", {}, 2},
                        {"iaf", "maf", {.importance = 3}, 4},
                        {"nice", "none", {.importance = 2, .kl_warmup = 10}, 0},
                        {"nsf", "none", {.kl_warmup = 10, .free_bits = 0.001}, 2},
                        {"none", "maf", {.importance = 2, .beta = 3, .mmd = 5}, 2}};
  for (const Case& c : cases) {
    const std::int64_t dims = 3;
    const auto likelihood = c.levels == 0   ? gaussian_likelihood(dims)
                            : c.levels == 2 ? bernoulli_likelihood(dims)
                                            : logistic_likelihood(dims, c.levels);
    const Vae vae(likelihood, dims, 2, c.posterior, c.prior, c.training);
    vae.density->begin_step(3);
    Generator gen(9);
    const Tensor x =
        c.levels == 0
            ? normal(gen, {4, dims}, DType::F64)
            : (uniform(gen, {4, dims}, DType::F64) * c.levels).to(DType::U8).to(DType::F64);
    std::vector<Var*> parameters;
    std::vector<Tensor> inputs;
    vae.density->for_each_parameter([&](const std::string&, Var& p) {
      parameters.push_back(&p);
      inputs.push_back(p.value().clone());
    });
    const auto trained = [&](const std::vector<Var>& in) -> std::vector<Var> {
      const Placed placed(vae.density->generators(), {}, 2);
      std::vector<Var> kept;
      for (std::size_t i = 0; i < in.size(); ++i) {
        kept.push_back(std::exchange(*parameters[i], in[i]));
      }
      const Var out = vae.density->training_log_prob(x);
      for (std::size_t i = 0; i < in.size(); ++i) *parameters[i] = kept[i];
      return {out};
    };
    const GradCheck result = gradcheck(trained, inputs, {.tolerance = 1e-6});
    BOOST_CHECK_MESSAGE(result.ok, c.posterior << ", " << c.prior << ": " << result.message);
  }
}

BOOST_AUTO_TEST_CASE(training_goes_on_bit_for_bit) {
  const data::Dataset data = bits_of(50, 20);  // 7 batches, the last one short
  const TempFolder folder;
  const std::string path = folder.path("state.safetensors");
  for (const std::vector<std::string>& settings :
       {std::vector<std::string>{"kl_warmup=15", "free_bits=0.01"},
        {"kl_warmup=15", "importance=3", "posterior=iaf"},
        {"beta=0.5", "mmd=10", "latents=3", "ladder=2"}}) {
    const Config config = small_vae(settings);
    const auto expected = build_vae(config);
    Trainer(*expected, data, fit_options(config)).run();
    const auto first = build_vae(config);
    {
      Trainer trainer(*first, data, fit_options(config));
      trainer.run({.on_step = [](const StepReport& report) { return report.step < 10; }});
      BOOST_CHECK_EQUAL(trainer.step(), 10);
      trainer.save(path);
    }
    const auto density = build_vae(config);
    Trainer trainer(*density, data, fit_options(config));
    trainer.load(path);
    BOOST_CHECK(trainer.run().finished);
    BOOST_CHECK(weights(*density) == weights(*expected));
    BOOST_CHECK(weights(*first) != weights(*expected));
  }
}

BOOST_AUTO_TEST_CASE(no_epoch_of_the_warm_up_is_the_best) {
  const data::Dataset data = bits_of(50, 20);  // 7 batches
  const TempFolder folder;
  const std::string path = folder.path("state.safetensors");
  Config config = small_vae({"kl_warmup=30", "lr=1e-9", "patience=3"});
  const auto bests = [&](std::int64_t steps) {
    config.training.steps = steps;
    const auto density = build_vae(config);
    Trainer trainer(*density, data, fit_options(config));
    if (std::filesystem::exists(path)) trainer.load(path);
    std::vector<std::int64_t> epochs;
    const FitResult result = trainer.run({.on_step = {}, .on_epoch = [&](const EpochReport& r) {
                                            if (r.best) epochs.push_back(r.epoch);
                                          }});
    trainer.save(path);
    BOOST_TEST(result.steps <= steps);
    return epochs;
  };
  using Epochs = std::vector<std::int64_t>;
  BOOST_CHECK(bests(10) == Epochs{2});  // it ends within
  BOOST_CHECK(bests(28) == Epochs{4});  // and once more
  const Epochs behind = bests(1000);    // ends by patience, counted from step 35 on
  BOOST_REQUIRE(!behind.empty());
  BOOST_CHECK_EQUAL(behind.front(), 5);
}

// The bound, which validates, would choose weights of another objective by another end.
BOOST_AUTO_TEST_CASE(of_another_objective_the_last_weights_are_taken) {
  const data::Dataset data = bits_of(50, 20);
  for (const char* setting : {"beta=4", "mmd=0.5"}) {
    const Config config = small_vae({setting, "lr=1e-9", "patience=1", "epochs=4"});
    const auto density = build_vae(config);
    const FitResult result = Trainer(*density, data, fit_options(config)).run();
    BOOST_CHECK_EQUAL(result.best_epoch, 4);
    BOOST_CHECK(!result.stopped_early);
  }
  const Config plain = small_vae({"beta=1", "mmd=0", "kl_warmup=7"});
  BOOST_CHECK_EQUAL(fit_options(plain).best_from, 7);
}

// --- rows, latents, draws -----------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(a_row_has_the_same_score_in_any_company) {
  const data::Dataset data = bits_of(30, 20);
  const auto density = build_vae(small_vae({"posterior=iaf"}));
  density->initialize(data.train.x);
  const auto all = score(*density, data.train.x, {.noise_draws = 5, .importance = true});
  for (const std::int64_t i : {0, 7, 29}) {
    const auto one = score(
        *density, data.train.x.narrow(0, i, 1),
        {.noise_draws = 5,
         .importance = true,
         .samples = Tensor::from(std::vector<std::int32_t>{static_cast<std::int32_t>(i)}, {1})});
    BOOST_CHECK_EQUAL(one[0], all[static_cast<std::size_t>(i)]);
  }
  const auto in_sevens =
      score(*density, data.train.x, {.batch_size = 7, .noise_draws = 5, .importance = true});
  BOOST_CHECK(in_sevens == all);
}

BOOST_AUTO_TEST_CASE(latents_are_fewer_and_do_not_say_all) {
  const auto density = build_vae(small_vae({"posterior=nice", "latents=3"}));
  density->eval();
  const Tensor x = bits_of(9, 1).train.x;
  BOOST_CHECK_EQUAL(density->latent_dims(), 3);
  BOOST_CHECK(!density->lossless());
  const Tensor z = density->encode(x), again = density->encode(x), back = density->decode(z);
  BOOST_CHECK_EQUAL(z.shape(), Shape({9, 3}));
  BOOST_CHECK_EQUAL(back.shape(), Shape({9, 6}));
  BOOST_CHECK(z.to_vector<float>() == again.to_vector<float>());
  BOOST_CHECK_GT(min(back).item(), 0);  // the probability of a 1
  BOOST_CHECK_LT(max(back).item(), 1);
  BOOST_CHECK_THROW(density->continuous(), Error);
  Generator gen(1);
  BOOST_CHECK_THROW(density->draw(gen, 3), Error);
}

BOOST_AUTO_TEST_CASE(draws_are_levels_and_belong_to_their_row) {
  const auto density = build_vae(small_vae({"prior_flow=maf", "prior_width=4"}));
  randomise(*density, 0.6);
  density->eval();
  const auto sample = [&](std::int64_t n, double temperature = 1) {
    Generator gen(5);
    return density->sample(gen, n, temperature).to_vector<float>();
  };
  const std::vector<float> ten = sample(10), five = sample(5);
  for (const float v : ten) BOOST_CHECK(v == 0 || v == 1);
  BOOST_CHECK(std::equal(five.begin(), five.end(), ten.begin()));
  InParts parts(*density);
  parts.decoded = 4;
  Generator gen(5);
  const Tensor in_parts = sample_in_parts("test", parts, 10, 1, gen);
  BOOST_CHECK(in_parts.to_vector<float>() == ten);
  BOOST_CHECK(sample_in_parts("test", parts, 10, 1, gen).to_vector<float>() != ten);  // goes on
  BOOST_CHECK(sample(10, 0) != ten);
}

BOOST_AUTO_TEST_CASE(gated_convolutions_encode_and_decode_images) {
  const DataShape data{
      .dims = 64, .discrete = true, .levels = 2, .channels = 2, .height = 8, .width = 4};
  Config config = preset("vae", data);
  for (const char* setting : {"net=conv", "maps=2", "hidden_units=5", "latents=3", "bits=1"}) {
    set(config, setting);
  }
  const auto density = make_flow(config, data);
  BOOST_CHECK_EQUAL(parameter_count(resolved(config, data), data),
                    static_cast<double>(density->parameter_count()));
  Generator gen(2);
  const Tensor x = bernoulli(gen, 0.5, {6, 64});
  const auto scores = score(*density, x);
  BOOST_CHECK_EQUAL(score(*density, x.narrow(0, 0, 1))[0], scores[0]);
  BOOST_CHECK_EQUAL(density->encode(x).shape(), Shape({6, 3}));
  BOOST_CHECK_EQUAL(density->sample(gen, 4).shape(), Shape({4, 64}));
  std::vector<nn::LayerInfo> rows;
  BOOST_CHECK_EQUAL(density->inspect({2, 64}, "", rows), Shape({2, 3}));
  const auto encoder =
      nn::gated_encoder({.height = 4, .width = 4, .channels = 1, .maps = 1}, 2, gen);
  const auto decoder =
      nn::gated_decoder({.height = 4, .width = 4, .channels = 1, .maps = 1}, 2, {}, gen);
  for (const auto& layer : {encoder, decoder}) layer->to(DType::F64);
  const auto both = [&](const std::vector<Var>& in) -> std::vector<Var> {
    return {(*decoder)((*encoder)(in[0]))};
  };
  const GradCheck result = gradcheck(both, {normal(gen, {2, 16}, DType::F64)});
  BOOST_CHECK_MESSAGE(result.ok, result.message);
  for (const auto& sides : {std::pair{6, 4}, {4, 10}}) {
    BOOST_CHECK_THROW(
        nn::gated_encoder({.height = sides.first, .width = sides.second, .channels = 1}, 2, gen),
        Error);
  }
}

BOOST_AUTO_TEST_CASE(what_does_not_go_together_is_refused) {
  const auto refused = [](const DataShape& data, const std::vector<std::string>& settings) {
    Config config = preset("vae", data);
    if (data.levels == 2) set(config, "bits=1");
    BOOST_CHECK_NO_THROW(check_settings(config, data));
    for (const std::string& setting : settings) set(config, setting);
    check_error([&] { check_settings(config, data); },
                {"[" + settings.back().substr(0, settings.back().find('=')) + "]"});
  };
  const DataShape bits{.dims = 6, .discrete = true, .levels = 2};
  const DataShape reals{.dims = 6};
  refused({.dims = 6, .discrete = true}, {"likelihood=bernoulli"});
  refused(reals, {"likelihood=logistic"});
  refused(bits, {"likelihood=gaussian"});
  refused(bits, {"net=conv"});  // no images
  refused(bits, {"latents=1", "posterior=nice"});
  refused(bits, {"latents=1", "prior_flow=nice"});
  refused(bits, {"importance=5", "free_bits=0.1"});
  refused(bits, {"latents=6", "ladder=3"});
  refused(bits, {"ladder=2", "posterior=iaf"});
  Generator gen(1);
  const auto drawing = std::make_shared<VaeLayer>(
      Generator(2), VaeLayer::Nets{net(3, 5, gen), net(5, 4, gen), net(2, 3, gen)},
      bernoulli_likelihood(3), 2);
  BOOST_CHECK_THROW(
      VaeLayer(Generator(3), VaeLayer::Nets{net(3, 5, gen), net(5, 4, gen), net(2, 3, gen)},
               bernoulli_likelihood(3), 2, drawing),
      Error);
}

BOOST_AUTO_TEST_SUITE_END()
