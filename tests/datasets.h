// Small data sets for tests of training.
#pragma once

#include "data/dataset.h"
#include "tensor/ops.h"
#include "tensor/random.h"

namespace nf::test {

/// Bytes that depend on each other, so that the dequantisation noise takes part; with `side`,
/// images of side x side of them.
inline data::Dataset dependent_bytes(std::int64_t train, std::int64_t valid,
                                     std::int64_t side = 0) {
  const std::int64_t dims = side > 0 ? side * side : 6;
  Generator gen(1);
  const auto draw = [&](std::int64_t n) {
    const Tensor own = normal(gen, {n, dims}) * 8.0, shared = normal(gen, {n, 1}) * 40.0;
    return clamp(shared + own + 128.0, 0, 255).to(DType::U8);
  };
  data::Dataset data;
  data.name = "bytes";
  data.dims = dims;
  if (side > 0) {
    data.channels = 1;
    data.height = data.width = side;
  }
  data.discrete = true;
  data.train.x = draw(train);
  data.valid.x = draw(valid);
  return data;
}

}  // namespace nf::test
