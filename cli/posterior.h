// What draws of parameters say of each: mean, deviation, quantiles.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "cli/cli.h"
#include "tensor/tensor.h"

namespace nf::cli {

struct Posterior {
  Json json = Json::array();  ///< an entry for each observed row
  std::string text = {};      ///< tables for people, of the first rows
};

/// Of draws (K n, P), n for each of K observed rows. `whole`: which parameters are whole numbers;
/// `at`: quantiles, with their names.
Posterior posterior_of(const Tensor& draws, std::int64_t observed,
                       const std::vector<std::string>& parameters, const std::vector<bool>& whole,
                       const std::vector<std::pair<std::string, double>>& at);

}  // namespace nf::cli
