// Variational autoencoders as a training and commands see them: what is validated, where a row is
// encoded, what is given.
#include <boost/test/unit_test.hpp>
#include <cmath>

#include "tests/vaes.h"

using namespace nf;
using namespace nf::flows;
using namespace nf::test;

BOOST_AUTO_TEST_SUITE(flows_vae_rows)

// IWAE: what is brought up is what weights are chosen by.
BOOST_AUTO_TEST_CASE(a_bound_of_many_draws_is_validated_by_as_many) {
  const data::Dataset data = bits_of(50, 40);
  const auto alone = comm::alone();
  for (const int draws : {1, 6}) {
    const auto density = build_vae(small_vae({str("importance=", draws), "posterior=iaf"}));
    BOOST_CHECK_EQUAL(density->bound_draws(), draws);
    randomise(*density, 0.5);
    MaximumLikelihood objective(*density, data);
    const Evaluation found = objective.evaluate(comm::Shards(*alone, 1)).value();
    BOOST_CHECK_EQUAL(found.noise_draws, draws);
    const double one = evaluate(*density, data.valid.x).nats;
    const double many =
        evaluate(*density, data.valid.x, {.noise_draws = draws, .importance = true}).nats;
    BOOST_CHECK_EQUAL(found.nats, many);
    BOOST_CHECK((draws == 1) == (one == many));
    BOOST_CHECK(many >= one);
  }
}

// What a draw is when the Gaussian has no width.
BOOST_AUTO_TEST_CASE(a_row_is_encoded_as_the_mean_passed_through_the_flow) {
  constexpr std::int64_t kLatents = 2, kHidden = 5;
  for (const char* kind : {"none", "iaf", "planar"}) {
    Generator gen(3);
    const auto posterior = net(kHidden, 2 * kLatents, gen);
    std::shared_ptr<Compose> flow = latent_flow(
        {.kind = kind, .steps = 2, .dims = kLatents, .context = kHidden, .width = 6}, gen);
    if (flow->parts().empty()) flow = nullptr;
    VaeLayer layer(Generator(7, 1), {net(4, kHidden, gen), posterior, net(kLatents, 4, gen)},
                   bernoulli_likelihood(4), kLatents, flow);
    randomise(layer, 0.5);
    Var* last = nullptr;
    posterior->for_each_parameter([&](const std::string&, Var& p) { last = &p; });
    BOOST_REQUIRE_EQUAL(last->shape(), Shape({2 * kLatents}));  // a bias
    last->set_value(Tensor::from(std::vector<double>{0.4, -0.7, -60, -60}, {4}).to(last->dtype()));
    layer.to(DType::F64);
    const Tensor x = all_rows(4, 2), z = layer.encode(x).value();
    BOOST_CHECK_SMALL(max(abs(z - layer.draw_latents(x, 1).z.value())).item(), 1e-12);
    BOOST_CHECK(max(abs(z)).item() > 0.1);
  }
}

// --- what is given ------------------------------------------------------------------------------

namespace {

const DataShape kLabelled = {
    .dims = 6, .discrete = true, .levels = 2, .given = {"label"}, .given_classes = 3};

Tensor labels(std::vector<std::int32_t> values) {
  const auto n = std::ssize(values);
  return Tensor::from(values, {n, 1});
}

std::shared_ptr<FlowDensity> conditional_vae(const std::vector<std::string>& settings,
                                             const DataShape& shape = kLabelled) {
  const auto density = make_flow(small_vae(settings), shape);
  randomise(*density, 0.6);
  density->eval();
  return density;
}

double largest(const Tensor& x) { return max(abs(x)).item(); }

}  // namespace

BOOST_AUTO_TEST_CASE(encoder_decoder_and_prior_see_what_is_given) {
  const Tensor x = bits_of(4, 1).train.x;
  for (const std::vector<std::string>& settings :
       {std::vector<std::string>{"posterior=iaf"},
        {"posterior=nice", "prior_flow=maf", "prior_width=4", "embedding=2"},
        {"importance=3", "conditional_prior=false"}}) {
    const auto density = conditional_vae(settings);
    const Tensor one = labels({1, 1, 1, 1}), two = labels({2, 2, 2, 2});
    const Tensor z = density->encode(x, one);
    BOOST_CHECK_GT(largest(z - density->encode(x, two)), 1e-3);
    BOOST_CHECK_GT(largest(density->decode(z, one) - density->decode(z, two)), 1e-3);
    BOOST_CHECK_THROW(density->encode(x), Error);
    // A row is scored by its own label, as if it were the only one that can be given.
    const auto scored = score(*density, x, {.given = labels({1, 2, 1, 2})});
    const auto alone = score(*density->conditioned_on(labels({2})), x);
    BOOST_CHECK_EQUAL(scored[1], alone[1]);
    BOOST_CHECK_EQUAL(scored[3], alone[3]);
    BOOST_CHECK(scored[0] != alone[0]);
    // And trained by it.
    const auto trained = [&](const Tensor& given) {
      const Placed placed(density->generators(), {}, 9);
      return density->training_log_prob(x, given).value();
    };
    BOOST_CHECK_GT(largest(trained(one) - trained(two)), 1e-3);
    BOOST_CHECK(trained(one).narrow(0, 0, 1).item() ==
                trained(labels({1, 2, 2, 2})).narrow(0, 0, 1).item());
  }
  // Of the prior alone: the same decoder of latents that the prior gives.
  const auto with = conditional_vae({}), without = conditional_vae({"conditional_prior=false"});
  const auto has_prior = [](FlowDensity& density) {
    const auto state = density.state();
    return std::any_of(state.begin(), state.end(), [](const auto& named) {
      return named.first.starts_with("prior.conditional_prior");
    });
  };
  BOOST_CHECK(has_prior(*with) && !has_prior(*without));
}

BOOST_AUTO_TEST_CASE(given_a_label_the_probabilities_of_all_images_add_up_to_one) {
  const DataShape shape = {
      .dims = 3, .discrete = true, .levels = 2, .given = {"label"}, .given_classes = 2};
  const auto density = conditional_vae({}, shape);
  randomise(*density, 0.3);
  // Wide posteriors: few draws are then enough.
  density->for_each_parameter([](const std::string& name, Var& p) {
    if (name == "vae.posterior.bias") {
      p.set_value(Tensor::from(std::vector<double>{0.1, -0.1, 0.5, 0.6}, {4}).to(p.dtype()));
    }
  });
  const Tensor x = all_rows(3, 2).to(DType::U8);
  std::vector<double> first;
  for (const std::int32_t label : {0, 1}) {
    const Tensor given = labels(std::vector<std::int32_t>(8, label));
    const auto logs = score(*density, x, {.noise_draws = 4000, .importance = true, .given = given});
    double sum = 0;
    for (const double log : logs) sum += std::exp(log);
    BOOST_CHECK_SMALL(sum - 1, 0.03);
    if (label == 0) first = logs;
    if (label == 1) BOOST_CHECK(std::abs(first[0] - logs[0]) > 0.02);
  }
}

BOOST_AUTO_TEST_CASE(columns_and_labels_have_the_parameters_that_are_counted) {
  const DataShape table = {.dims = 3, .given = {"a", "b"}};
  DataShape images = kLabelled;
  images.dims = 64;
  images.channels = 1;
  images.height = images.width = 8;
  const auto counted = [](const Config& config, const DataShape& shape) {
    const auto density = make_flow(resolved(config, shape), shape);
    BOOST_CHECK_EQUAL(static_cast<double>(density->parameter_count()),
                      parameter_count(resolved(config, shape), shape));
    std::vector<nn::LayerInfo> rows;
    density->inspect({2, shape.dims}, "", rows);
  };
  Config of_table = preset("vae", table);
  set(of_table, "hidden_units=6");
  counted(of_table, table);
  counted(small_vae({"embedding=4", "latents=3"}), kLabelled);
  counted(small_vae({"conditional_prior=false", "hidden_layers=2"}), kLabelled);
  counted(small_vae({"net=conv", "maps=2", "posterior=planar"}), images);
}

BOOST_AUTO_TEST_SUITE_END()
