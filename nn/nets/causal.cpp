#include "nn/nets/causal.h"

namespace nf::nn {

CausalNet::CausalNet(const CausalSizes& sizes) : sizes_(sizes) {
  NF_CHECK(sizes.places > 0 && sizes.channels > 0 && sizes.outputs > 0 && sizes.context >= 0,
           "[CausalNet] sizes must be positive, got ", sizes.places, " places of ", sizes.channels,
           " numbers, ", sizes.outputs, " outputs and ", sizes.context, " numbers of a context");
}

Var gated_tanh(const Var& both) {
  const std::int64_t half = both.dim(-1) / 2;
  return tanh(narrow(both, -1, 0, half)) * sigmoid(narrow(both, -1, half, half));
}

}  // namespace nf::nn
