// Columns between bounds: the Jacobian as close to them as data may be.
#include "flows/layers/bounded.h"

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <set>

#include "flows/base.h"
#include "flows/compose.h"
#include "flows/examine/diagnose.h"
#include "flows/flow_density.h"

BOOST_AUTO_TEST_SUITE(flows_bounded)

using namespace nf;
using namespace nf::flows;

// Steps of the difference quotients are small against x, and here larger than the way to a bound.
BOOST_AUTO_TEST_CASE(bounds_may_be_near) {
  const Tensor rows[] = {Tensor::from<double>({99.99, 99.9999}, {2, 1}),
                         Tensor::from<double>({1.7e9 + 0.25, 1.7e9 + 0.75}, {2, 1})};
  const std::pair<double, double> bounds[] = {{0, 100}, {1.7e9, 1.7e9 + 1}};
  for (std::size_t i = 0; i < 2; ++i) {
    const auto flow = std::make_shared<Compose>();
    flow->add("bounds", std::make_shared<Bounded>(std::vector{bounds[i]}));
    FlowDensity density(flow, std::make_shared<StandardNormal>(), 1);
    density.to(DType::F64);
    BOOST_TEST(diagnose_layers(density, rows[i], {.jacobians = 2}).back().jacobian_gap < 1e-3);
  }
}

// A number that cannot be has no density, and no latents that would look like others'.
BOOST_AUTO_TEST_CASE(what_lies_beyond_has_no_latents) {
  Bounded layer({{0, 1}, {-INFINITY, INFINITY}, {0, INFINITY}});
  const Tensor x = Tensor::from<double>({0.5, -7, 3, 1, -7, 3, 0.5, -7, -1e-9}, {3, 3});
  const std::vector<double> z = layer.encode(x).value().to_vector<double>(),
                            forward = layer.forward(x).value.value().to_vector<double>();
  const std::set<std::size_t> beyond = {3, 8};
  for (std::size_t i = 0; i < z.size(); ++i) {
    BOOST_TEST(std::isnan(z[i]) == (beyond.count(i) > 0), "element " << i);
    if (beyond.count(i) == 0) BOOST_TEST(z[i] == forward[i]);
  }
}

BOOST_AUTO_TEST_SUITE_END()
