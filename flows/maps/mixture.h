// A mixture of logistics as a map. Source: Ho et al., "Flow++" (2019), section 3.2.
#pragma once

#include <memory>

#include "flows/maps/map.h"

namespace nf::flows {

/// z = logit(F(x)) exp(a) + b, F the distribution function of a mixture of K logistics and a fixed
/// one (mixture_log_odds), with a soft bound on a and on the log scales. Parameters of a dimension,
/// in this order: a, b, K logits of the weights, K means, K log scales; all 0 is the identity.
/// log F and log(1 - F) are kept apart, so that nothing saturates far from the data, and there the
/// slope is at most exp(a). The inverse is Newton's method between bounds that
/// are halved where it leaves them, to the last bits of the type; one more step carries the
/// gradient. Throws Error unless 1 <= components <= 256 and limit > 0.
std::shared_ptr<ElementwiseMap> mixture_map(int components, double limit = 2);

}  // namespace nf::flows
