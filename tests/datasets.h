// Small data sets for tests of training.
#pragma once

#include "data/dataset.h"
#include "tensor/ops.h"
#include "tensor/random.h"

namespace nf::test {

/// Six bytes that depend on each other, so that the dequantisation noise takes part.
inline data::Dataset dependent_bytes(std::int64_t train, std::int64_t valid) {
  Generator gen(1);
  const auto draw = [&](std::int64_t n) {
    const Tensor own = normal(gen, {n, 6}) * 8.0, shared = normal(gen, {n, 1}) * 40.0;
    return clamp(shared + own + 128.0, 0, 255).to(DType::U8);
  };
  data::Dataset data;
  data.name = "bytes";
  data.dims = 6;
  data.discrete = true;
  data.train.x = draw(train);
  data.valid.x = draw(valid);
  return data;
}

}  // namespace nf::test
