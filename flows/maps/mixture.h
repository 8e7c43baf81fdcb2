// A mixture of logistics as a map. Source: Ho et al., "Flow++" (2019), section 3.2.
#pragma once

#include <memory>

#include "flows/maps/map.h"

namespace nf::flows {

/// Log scales of the components lie within +-kMixtureScaleLimit.
constexpr double kMixtureScaleLimit = 7;

/// Parameters (.., P A) of mixture_log_odds with a place added to each mean, from -1 to 1 at equal
/// distances. Components that begin alike, as those of a network whose last layer is zeros, have
/// equal gradients, and would stay alike: K of them would be one.
Var apart(const Var& parameters, int components, std::int64_t dims);

/// z = logit(F(x)) exp(a) + b, F the distribution function of a mixture of K logistics and a fixed
/// one (mixture_log_odds), with a soft bound on a and on the log scales. Parameters of a dimension,
/// in this order: a, b, K logits of the weights, K means, which apart() moves, K log scales. With
/// one component all 0 is the identity, else nearly so. log F and log(1 - F) are kept apart, so
/// that nothing saturates far from the data, and there the slope is at most exp(a). The inverse is
/// Newton's method between bounds that are halved where it leaves them, to the last bits of the
/// type; one more step carries the gradient. Throws Error unless 1 <= components <= 256 and
/// limit > 0.
std::shared_ptr<ElementwiseMap> mixture_map(int components, double limit = 2);

}  // namespace nf::flows
