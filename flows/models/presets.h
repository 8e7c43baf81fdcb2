// Published models by name, as settings.
#pragma once

#include <string>
#include <vector>

#include "flows/models/config.h"

namespace nf::flows {

/// Names that preset() knows.
std::vector<std::string> preset_names();

/// The settings of a published model:
///   nice         additive couplings, ReLU networks, logistic prior (Dinh, Krueger, Bengio 2015)
///   nice-plus    our own dense flow for images: levels through their distribution functions,
///                affine couplings, a learned triangular whitening
///   realnvp-2d   affine couplings for 2-D densities (Dinh et al. 2017, figure 1), and for tables
/// nice depends on the data: it has the paper's settings for MNIST, TFD, SVHN and CIFAR-10, told by
/// the number of dimensions, and MNIST's for all others. `recipe` "code" gives those of the
/// authors' program (github.com/laurent-dinh/nice, exp/*.yaml) where they differ. realnvp-2d takes
/// 7000 steps for built-in densities; for other data its batches and epochs follow the number of
/// rows, and it has patience.
/// Throws Error for other names, listing these.
Config preset(const std::string& name, const DataShape& data = {},
              const std::string& recipe = "paper");

}  // namespace nf::flows
