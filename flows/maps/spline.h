// A rational-quadratic spline as a map. Source: Durkan, Bekasov, Murray, Papamakarios, "Neural
// Spline Flows" (2019), section 3.1; Gregory and Delbourgo (1982).
#pragma once

#include <memory>

#include "flows/maps/map.h"

namespace nf::flows {

/// On [-bound, bound] a monotonic spline through K + 1 knots, a quotient of two quadratics in each
/// bin; outside the identity, which it joins with slope 1. Parameters of a dimension, in this
/// order: K logits of the widths, K of the heights, K - 1 of the slopes at inner knots; all 0 is
/// the identity. Widths and heights are at least 1e-3 of the interval, slopes at least 1e-3. The
/// inverse is the root of a quadratic, and exact. Throws Error unless 2 <= bins <= 256 and
/// bound > 0.
std::shared_ptr<ElementwiseMap> spline_map(int bins, double bound = 3);

}  // namespace nf::flows
