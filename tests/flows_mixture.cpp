// Mixtures of logistics are inverted by a search: between plateaus, and each number by itself.
#include "flows/maps/mixture.h"

#include <boost/test/unit_test.hpp>

#include "tensor/ops.h"
#include "tests/devices.h"

BOOST_AUTO_TEST_SUITE(flows_mixture)

using namespace nf;
using namespace nf::flows;

// The search for one number ends when that one is found, whatever is searched beside it.
BOOST_AUTO_TEST_CASE(a_number_is_found_alone_as_among_others) {
  const auto map = mixture_map(10);
  for (const DType dtype : test::kFloats) {
    const Tensor parameters =
        (test::draw({200, map->parameters_per_dim()}, DType::F64, 5) * 1.5).to(dtype);
    const Tensor z = (test::draw({200, 1}, DType::F64, 6) * 2.0).to(dtype);
    const Tensor together = map->inverse(z, parameters).value.value();
    for (std::int64_t i = 0; i < 200; ++i) {
      const Tensor alone =
          map->inverse(z.narrow(0, i, 1), parameters.narrow(0, i, 1)).value.value();
      BOOST_TEST(alone.item() == together.narrow(0, i, 1).item(), "row " << i);
    }
  }
}

// Many narrow components leave plateaus between them, where a step of Newton's is any number.
BOOST_AUTO_TEST_CASE(mixtures_are_inverted_between_their_components) {
  struct Row {
    int components;
    double spread;  ///< of the parameters
  };
  constexpr std::int64_t kPoints = 3000;
  for (const DType dtype : test::kFloats) {
    for (const Row& row : {Row{4, 1}, Row{8, 1.5}, Row{32, 3}}) {
      const auto map = mixture_map(row.components);
      const Tensor parameters =
          (test::draw({kPoints, map->parameters_per_dim()}, DType::F64, 5) * row.spread).to(dtype);
      const Tensor z = (test::draw({kPoints, 1}, DType::F64, 6) * 2.0).to(dtype);
      const Tensor x = map->inverse(z, parameters).value.value();
      // Where the map is steep, neighbouring numbers x are far apart in z.
      const Mapped again = map->forward(x, parameters);
      const Tensor spacing = exp(again.log_det.value().reshape({kPoints, 1})) * (abs(x) + 1e-3) *
                             (dtype == DType::F32 ? 0x1p-20 : 0x1p-48);
      const Tensor off =
          abs(again.value.value() - z) / (spacing + (dtype == DType::F32 ? 1e-3 : 1e-9));
      BOOST_CHECK_MESSAGE(max(off).item() <= 1, row.components << ": " << max(off).item());
    }
    const auto map = mixture_map(2);
    Tensor parameters = Tensor::zeros({1, 8}, DType::F64);
    parameters.narrow(1, 4, 1).fill_(5);
    parameters.narrow(1, 5, 1).fill_(-5);
    parameters.narrow(1, 6, 2).fill_(-6);
    const Tensor z = Tensor::zeros({1, 1}, dtype);
    const auto [x, log_det] = map->inverse(z, parameters.to(dtype));
    BOOST_CHECK_SMALL(x.value().item(), 4.9);  // anywhere between the two
    BOOST_CHECK(all_finite(log_det.value()));
  }
}

// A network that is fed with latents far from all data says anything.
BOOST_AUTO_TEST_CASE(of_parameters_beyond_all_measure_it_is_a_number) {
  constexpr std::int64_t kPoints = 3000;
  const auto map = mixture_map(4);
  for (const DType dtype : test::kFloats) {
    const Tensor parameters =
        (test::draw({kPoints, map->parameters_per_dim()}, DType::F64, 5) * 1e20).to(dtype);
    const Tensor z = (test::draw({kPoints, 1}, DType::F64, 6) * 1e15).to(dtype);
    const auto [x, log_det] = map->inverse(z, parameters);
    BOOST_CHECK(all_finite(x.value()));
    BOOST_CHECK(all_finite(log_det.value()));
  }
}

BOOST_AUTO_TEST_SUITE_END()
