// Maps that shift and scale. Sources: Dinh, Krueger, Bengio, "NICE" (2015), section 3.2; Dinh,
// Sohl-Dickstein, Bengio, "Density estimation using Real NVP" (2017), section 3.2.
#pragma once

#include "flows/maps/map.h"

namespace nf::flows {

/// z = x + t. Keeps volume. (NICE, eq. 8)
std::shared_ptr<ElementwiseMap> additive_map();
/// z = x * exp(s), s = limit * tanh(h / limit): a soft bound keeps training from blowing up.
std::shared_ptr<ElementwiseMap> multiplicative_map(double limit = 2);
/// z = x * exp(s) + t, s bounded as above. (RealNVP, eq. 7)
std::shared_ptr<ElementwiseMap> affine_map(double limit = 2);

}  // namespace nf::flows
