// Ladders of latents: their rows of the flow table, the product of two Gaussians, the bound of a
// linear ladder against its exact log-probability, and vae with them.
#include <boost/test/unit_test.hpp>
#include <cmath>

#include "flows/layers/ladder.h"
#include "tests/flows_rows.h"
#include "tests/vaes.h"

namespace nf::test {

using namespace flows;

namespace {

/// Layers of 1, 2 and 3 latents, the top one first.
Ladder small_ladder(Generator& gen) {
  return {.dims = {1, 2, 3}, .nets = {net(1, 4, gen), net(2, 6, gen)}};
}

}  // namespace

std::vector<FlowRow> ladder_rows() {
  const auto input = [](Generator& gen) { return normal(gen, {4, 6}, DType::F64); };
  const Tensor far = concat(std::vector<Tensor>{Tensor::full({1, 6}, 1e3, DType::F64),
                                                Tensor::full({1, 6}, -1e3, DType::F64)},
                            0);
  return {
      {"LadderPrior",
       {.name = "LadderPrior",
        .make = [](Generator& gen) { return std::make_shared<LadderPrior>(small_ladder(gen)); },
        .input = input,
        .extremes = far}},
      {"LadderPosterior",
       {.name = "LadderPosterior",
        .make = [](Generator& gen) { return std::make_shared<LadderPosterior>(small_ladder(gen)); },
        .input = input,
        .context = 12,
        .extremes = far}}};
}

BOOST_AUTO_TEST_SUITE(flows_ladder)

BOOST_AUTO_TEST_CASE(every_row_keeps_its_promises) {
  for (const FlowRow& row : ladder_rows()) {
    std::string all;
    for (const std::string& line : check_bijection(row.test)) all += "\n  " + line;
    BOOST_CHECK_MESSAGE(all.empty(), all);
  }
}

BOOST_AUTO_TEST_CASE(latents_are_dealt_out_by_halves) {
  using Dims = std::vector<std::int64_t>;
  BOOST_CHECK(ladder_dims(124, 5) == (Dims{4, 8, 16, 32, 64}));  // as in the paper
  BOOST_CHECK(ladder_dims(40, 2) == (Dims{13, 27}));
  BOOST_CHECK(ladder_dims(3, 2) == (Dims{1, 2}));
  BOOST_CHECK(ladder_dims(5, 1) == Dims{5});
  check_error([] { ladder_dims(6, 3); }, {"[ladder]", "need 7 latents or more, got 6"});
}

BOOST_AUTO_TEST_CASE(the_product_of_two_gaussians_is_drawn) {
  Generator gen(4);
  Ladder ladder{.dims = {1, 2}, .nets = {net(1, 4, gen)}};
  LadderPosterior posterior(ladder);
  LadderPrior prior(ladder);
  randomise(posterior, 1.0);
  posterior.to(DType::F64);
  const Tensor known = normal(gen, {5, 6}, DType::F64), e = normal(gen, {5, 3}, DType::F64);
  const Tensor a = known.narrow(1, 0, 3), b = known.narrow(1, 3, 3);
  const Mapped drawn = posterior.forward(a + exp(b) * e, Var(known));
  const Tensor z = drawn.value.value();
  // From u = (z - m) exp(-s) at two points follow m and s.
  const auto prior_at = [&](double lower) {
    const Tensor at =
        concat(std::vector<Tensor>{z.narrow(1, 0, 1), Tensor::full({5, 2}, lower, DType::F64)}, 1);
    return prior.forward(at).value.value().narrow(1, 1, 2);
  };
  const Tensor slope = prior_at(1) - prior_at(0), mean = -prior_at(0) / slope;
  const Tensor data = a.narrow(1, 1, 2), of_data = exp(b.narrow(1, 1, 2) * -2.0);  // precisions
  const Tensor of_prior = square(slope), precision = of_prior + of_data;
  const Tensor expected =
      (mean * of_prior + data * of_data) / precision + e.narrow(1, 1, 2) / sqrt(precision);
  BOOST_CHECK_SMALL(max(abs(z.narrow(1, 1, 2) - expected)).item(), 1e-10);
  const Tensor top = a.narrow(1, 0, 1) + exp(b.narrow(1, 0, 1)) * e.narrow(1, 0, 1);
  BOOST_CHECK_SMALL(max(abs(z.narrow(1, 0, 1) - top)).item(), 1e-10);
  const Tensor shrunk = sum(log(of_data / precision) * 0.5, {1});
  BOOST_CHECK_SMALL(max(abs(drawn.log_det.value() - shrunk)).item(), 1e-10);
}

// --- a linear ladder ----------------------------------------------------------------------------

namespace {

std::shared_ptr<nn::Layer> linear(std::int64_t in, std::int64_t out,
                                  const std::vector<double>& weight,
                                  const std::vector<double>& bias) {
  return linear_of(Tensor::from(weight, {out, in}), Tensor::from(bias, {out}));
}

/// z_1 ~ N(0, 1), z_2 = A z_1 + c + t e, x = W z_2 + b + sigma e, of 1, 2 and 3 numbers. The
/// columns of W are orthogonal, so what x alone says of z_2 is a Gaussian with independent numbers,
/// and a ladder can have the exact posterior.
struct LinearLadder {
  static constexpr double kSigma = 0.7;
  const std::vector<double> w = {1, 1, -1, 1, 0, 1.5}, b = {0.3, -1, 2}, a = {0.8, -1.3},
                            c = {0.5, 0.2}, t = {0.6, 1.4};
  std::shared_ptr<VaeDensity> density;

  /// `off`: what the top layer's mean is off by.
  explicit LinearLadder(double off = 0) {
    const double lengths[] = {2, 4.25};  // of W's columns, squared
    std::vector<double> low(12), low_bias(4), top(6), top_bias(2);
    double precision = 1;
    for (std::size_t j = 0; j < 2; ++j) {
      precision += a[j] * a[j] / (t[j] * t[j] + kSigma * kSigma / lengths[j]);
      low_bias[2 + j] = std::log(kSigma) - std::log(lengths[j]) / 2;
    }
    for (std::size_t j = 0; j < 2; ++j) {
      const double share = a[j] / (t[j] * t[j] + kSigma * kSigma / lengths[j]) / precision;
      top_bias[0] -= share * c[j];
      for (std::size_t d = 0; d < 3; ++d) {
        const double estimate = w[d * 2 + j] / lengths[j];  // least squares
        low[j * 3 + d] = estimate;
        low_bias[j] -= estimate * b[d];
        top[d] += share * estimate;
        top_bias[0] -= share * estimate * b[d];
      }
    }
    top_bias[0] += off;
    top_bias[1] = -std::log(precision) / 2;
    const std::vector<double> eye = {1, 0, 0, 0, 1, 0, 0, 0, 1}, zeros(3);
    const auto bounded = [](double s) { return 5 * std::atanh(s / 5); };
    const Ladder ladder{
        .dims = {1, 2},
        .nets = {linear(1, 4, {a[0], a[1], 0, 0},
                        {c[0], c[1], bounded(std::log(t[0])), bounded(std::log(t[1]))})}};
    const auto heads = std::make_shared<LadderHeads>(
        ladder.dims, std::vector{linear(3, 2, top, top_bias), linear(3, 4, low, low_bias)},
        std::vector{linear(3, 3, eye, zeros)});
    const auto decoder = std::make_shared<nn::Sequential>(std::vector<std::shared_ptr<nn::Layer>>{
        std::make_shared<SkipColumns>(1), linear(2, 3, w, b)});
    const auto likelihood = gaussian_likelihood(3);
    likelihood->for_each_parameter([](const std::string&, Var& p) {
      p.set_value(Tensor::full({3}, std::log(kSigma), DType::F64));
    });
    const auto layer =
        std::make_shared<VaeLayer>(Generator(2),
                                   VaeLayer::Nets{.encoder = linear(3, 3, eye, zeros),
                                                  .posterior = heads,
                                                  .decoder = decoder,
                                                  .flow_takes_gaussian = true},
                                   likelihood, 3, std::make_shared<LadderPosterior>(ladder));
    const auto prior = std::make_shared<Compose>();
    prior->add("ladder", std::make_shared<LadderPrior>(ladder));
    density = std::make_shared<VaeDensity>(std::make_shared<Compose>(), layer, prior, 3,
                                           Convention{}, VaeTraining{});
    density->to(DType::F64);
  }

  /// ln N(x; W c + b, W (A A' + t^2) W' + sigma^2), of each row.
  std::vector<double> exact(const Tensor& x) const {
    const Tensor loads = Tensor::from(w, {3, 2}), up = Tensor::from(a, {2, 1});
    const Tensor inner = matmul(up, up.t()) +
                         Tensor::from(std::vector<double>{t[0] * t[0], 0, 0, t[1] * t[1]}, {2, 2});
    const Tensor covariance =
        matmul(matmul(loads, inner), loads.t()) + Tensor::eye(3, DType::F64) * (kSigma * kSigma);
    const Tensor mean = matmul(loads, Tensor::from(c, {2, 1})).reshape({3}) + Tensor::from(b, {3});
    return ln_gaussian(x, mean, covariance);
  }
};

}  // namespace

BOOST_AUTO_TEST_CASE(with_the_exact_posterior_every_draw_is_the_log_probability) {
  const LinearLadder linear;
  Generator gen(4);
  const Tensor x = normal(gen, {6, 3}, DType::F64) * 2.0;
  const std::vector<double> exact = linear.exact(x);
  expect_exact_draws(*linear.density, x, exact);
  // Below it with another posterior.
  const auto [gap, error] =
      paired_difference(exact, score(*LinearLadder(0.8).density, x, {.noise_draws = 200}));
  BOOST_CHECK_GT(gap, 5 * error);
  // Samples are of the same distribution: their mean log-probability is that of its entropy.
  linear.density->to(DType::F32);
  const Tensor drawn = linear.density->sample(gen, 20000).to(DType::F64);
  linear.density->to(DType::F64);
  const auto [mean, se] = mean_and_error(linear.exact(drawn));
  const auto [of_model, se_of_model] = mean_and_error(score(*linear.density, drawn));
  BOOST_CHECK_CLOSE(mean, of_model, 1e-6);
  const Tensor centre = nf::mean(drawn, {0});
  const double expected[] = {0.5 + 0.2 + 0.3, -0.5 + 0.2 - 1, 1.5 * 0.2 + 2};
  for (std::size_t d = 0; d < 3; ++d) {
    BOOST_CHECK_SMALL(centre.to_vector<double>()[d] - expected[d], 0.1);
  }
}

// --- vae ----------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(the_probabilities_of_all_images_add_up_to_one) {
  const DataShape shape{.dims = 4, .discrete = true, .levels = 2};
  for (const char* prior : {"none", "maf"}) {
    const auto density = make_flow(
        small_vae({"latents=3", "ladder=2", str("prior_flow=", prior), "prior_width=4"}), shape);
    randomise(*density, 0.3);
    // Wide posteriors: few draws are then enough. They are no wider than the ladder, so the flow
    // behind it may not widen it much.
    density->for_each_parameter([](const std::string& name, Var& p) {
      if (name.starts_with("prior.steps")) p.set_value(p.value() * 0.3F);
      if (name == "vae.posterior.heads.0.bias") p.set_value(Tensor::from<float>({0.1F, 0.4F}, {2}));
      if (name == "vae.posterior.heads.1.bias") {
        p.set_value(Tensor::from<float>({0.1F, -0.1F, 0.9F, 0.8F}, {4}));
      }
    });
    double total = 0;
    for (const double log :
         score(*density, all_rows(4, 2).to(DType::U8), {.noise_draws = 4000, .importance = true})) {
      total += std::exp(log);
    }
    BOOST_TEST_MESSAGE(prior << ": " << total);
    BOOST_CHECK_SMALL(total - 1, 0.03);
  }
}

BOOST_AUTO_TEST_CASE(ladders_have_the_parameters_that_are_counted) {
  DataShape labelled = {
      .dims = 6, .discrete = true, .levels = 2, .given = {"label"}, .given_classes = 3};
  DataShape images = labelled;
  images.dims = 64;
  images.channels = 1;
  images.height = images.width = 8;
  struct Case {
    DataShape shape;
    std::vector<std::string> settings;
  };
  for (const Case& c :
       {Case{labelled, {"latents=3", "ladder=2"}},
        {labelled, {"latents=9", "ladder=3", "hidden_layers=2", "conditional_prior=false"}},
        {images, {"latents=5", "ladder=2", "net=conv", "maps=2"}}}) {
    const Config config = resolved(small_vae(c.settings), c.shape);
    const auto density = make_flow(config, c.shape);
    BOOST_CHECK_EQUAL(static_cast<double>(density->parameter_count()),
                      parameter_count(config, c.shape));
    std::vector<nn::LayerInfo> rows;
    density->inspect({2, c.shape.dims}, "", rows);
    std::int64_t listed = 0;
    for (const nn::LayerInfo& row : rows) listed += row.parameters;
    BOOST_CHECK_EQUAL(listed, density->parameter_count());  // shared networks once
    // What is given is seen by both networks.
    randomise(*density, 0.5);
    const Tensor x = Tensor::zeros({1, c.shape.dims}, DType::U8);
    const auto label = [](std::int32_t i) { return Tensor::from<std::int32_t>({i}, {1, 1}); };
    const Tensor z = density->encode(x, label(0));
    BOOST_CHECK_GT(max(abs(z - density->encode(x, label(1)))).item(), 1e-3);
    BOOST_CHECK_GT(max(abs(density->decode(z, label(0)) - density->decode(z, label(1)))).item(),
                   1e-4);
  }
}

BOOST_AUTO_TEST_CASE(a_ladder_trains_and_a_row_has_the_same_score_in_any_company) {
  const data::Dataset data = bits_of(200, 50);
  Config config = small_vae({"latents=3", "ladder=2", "epochs=20", "lr=0.01"});
  const auto density = build_vae(config);
  const auto bound = [&] { return evaluate(*density, data.valid.x, {.noise_draws = 20}).nats; };
  density->initialize(data.train.x);
  const double before = bound();
  Trainer(*density, data, fit_options(config)).run();
  BOOST_CHECK_GT(bound(), before + 0.2);
  const auto all = score(*density, data.valid.x, {.noise_draws = 3});
  BOOST_CHECK(score(*density, data.valid.x, {.batch_size = 7, .noise_draws = 3}) == all);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nf::test
