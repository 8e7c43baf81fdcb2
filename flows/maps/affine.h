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
/// The same with t = shift_limit * tanh(h / shift_limit), too.
std::shared_ptr<ElementwiseMap> bounded_affine_map(double limit, double shift_limit);

/// z = (x + t) * sigmoid(h + 2); parameters t, then h. It can only contract, and needs a scale
/// beside it. (Kingma, Dhariwal, "Glow" (2018), its code)
std::shared_ptr<ElementwiseMap> sigmoid_map();
/// z = m + g (x - m), g = sigmoid(h + 1); parameters m, then h: a step towards m, as long as the
/// gate lets it be. It can only contract. (Kingma et al., "IAF" (2016), eq. 13 and 14, with the
/// bias of 1 that its section 4 asks for)
std::shared_ptr<ElementwiseMap> gated_map();
/// z = (x + t) * exp(a tanh(h)) with one learned a, which begins as `scale`; parameters t, then h.
/// `decayed`: weight decay is for a. (RealNVP, its code)
std::shared_ptr<ElementwiseMap> tanh_map(double scale = 1, bool decayed = false);
/// z = (x - m) * exp(-s): what is Gaussian with mean m and deviation exp(s) becomes standard;
/// parameters m, then s. (the learned prior of Glow) With `limit` > 0 s is bounded as above.
std::shared_ptr<ElementwiseMap> gaussian_map(double limit = 0);
/// `map` with the parameters of a dimension side by side, (N, ..., A, parameters_per_dim()) as one
/// axis, as Glow's code has them.
std::shared_ptr<ElementwiseMap> interleaved(std::shared_ptr<ElementwiseMap> map);

}  // namespace nf::flows
