// Maps of an event itself stay f32 when products are bf16: what the log-determinant is of.
#include <boost/test/unit_test.hpp>
#include <memory>
#include <vector>

#include "flows/layers/permute.h"
#include "flows/layers/whitening.h"
#include "tests/data_util.h"
#include "tests/devices.h"

BOOST_AUTO_TEST_SUITE(flows_bf16)

using namespace nf;
using namespace nf::test;

BOOST_AUTO_TEST_CASE(latents_stay_f32) {
  Backend& cpu = cpu_backend();
  if (!cpu.has_precision(Precision::BF16)) {
    BOOST_TEST_MESSAGE("skipped: no AVX512_BF16");
    return;
  }
  const Tensor x = draw({50, 6}, DType::F32, 3);
  Generator gen(1);
  std::vector<std::shared_ptr<flows::Transform>> layers = {
      std::make_shared<flows::InvertibleLinear>(6, gen), std::make_shared<flows::ZcaWhitening>(6),
      std::make_shared<flows::TriangularWhitening>(6, 1.0)};
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const auto& layer = layers[i];
    layer->initialize(flows::Samples(x));
    const Tensor z = layer->forward(x, {}).value.value();
    const Tensor back = layer->inverse(z, {}).value.value();
    cpu.set_precision(Precision::BF16);
    const Tensor half = layer->forward(x, {}).value.value();
    const Tensor half_back = layer->inverse(z, {}).value.value();
    BOOST_CHECK(cpu.precision() == Precision::BF16);
    cpu.set_precision(Precision::F32);
    BOOST_CHECK_MESSAGE(values(half) == values(z), "layer " << i);
    BOOST_CHECK_MESSAGE(values(half_back) == values(back), "layer " << i);
  }
}

BOOST_AUTO_TEST_SUITE_END()
