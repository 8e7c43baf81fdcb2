// The data of chapter 6, and what is trained on them.
#pragma once

#include <memory>

#include "flows/compose.h"
#include "flows/flow_density.h"
#include "flows/layers/scaling.h"
#include "flows/train/fit.h"

namespace nf {

/// Rows of one number x = 10 sinh(1.5 n), n normal: the largest of 20000 are some thousands.
inline data::Dataset heavy_tails() {
  Generator gen;
  const Tensor n = 1.5 * normal(gen, {20000, 1}), x = 5 * (exp(n) - exp(-n));
  data::Dataset data;
  data.dims = 1;
  data.train.x = x.narrow(0, 0, 18000);
  data.test.x = x.narrow(0, 18000, 2000);
  return data;
}

/// A Gaussian of its own width, behind the layer `first` or alone (null).
inline std::shared_ptr<flows::Density> trained(const data::Dataset& data,
                                               std::shared_ptr<flows::Bijection> first,
                                               int epochs = 4) {
  auto flow = std::make_shared<flows::Compose>();
  if (first) flow->add("first", std::move(first));
  flow->add("scaling", std::make_shared<flows::Scaling>(data.dims));
  auto density = std::make_shared<flows::FlowDensity>(
      flow, std::make_shared<flows::StandardNormal>(), data.dims);
  fit(*density, data, {.epochs = epochs, .optimizer = {.lr = 3e-2}, .schedule = {.warmup = 20}});
  return density;
}

}  // namespace nf
