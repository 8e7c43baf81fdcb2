// A trained density of images, for images of another size.
#pragma once

#include <memory>
#include <string>

#include "flows/models/model.h"

namespace nf::flows {

/// The first layer of `density` that has numbers of its own for each pixel, as "layer NAME (KIND)":
/// then the model knows images of one size alone. Empty: none has. `config` and `data` made it; the
/// model is built anew for small images, and shapes are compared.
std::string layer_of_one_size(const Config& config, const DataShape& data, Density& density);

/// The model of `config`, which made `density` for images of the shape `data`, for images of height
/// x width, with the same numbers: weights, and statistics of batch norm. It is in evaluation mode,
/// on the same device. Convolutions, ActNorms and mixings of channels, squeezes, checkerboards and
/// what is factored out are of any size. (Dinh, Sohl-Dickstein, Bengio, "Real NVP" (2017), appendix
/// on extrapolation) Throws Error as load_state does where there is a layer_of_one_size, and for a
/// model that does not fit into memory, data::SettingError for sides that are no multiples of
/// Model::side_step.
std::shared_ptr<Density> resized(const Config& config, const DataShape& data, Density& density,
                                 std::int64_t height, std::int64_t width);

}  // namespace nf::flows
