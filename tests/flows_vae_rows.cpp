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
  for (const int draws : {1, 6}) {
    const auto density = build_vae(small_vae({str("importance=", draws), "posterior=iaf"}));
    BOOST_CHECK_EQUAL(density->bound_draws(), draws);
    randomise(*density, 0.5);
    MaximumLikelihood objective(*density, data);
    const Evaluation found = objective.evaluate().value();
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

BOOST_AUTO_TEST_SUITE_END()
