// What the factors of products are packed as.
#pragma once

#include <utility>

#include "tensor/backend.h"
#include "tensor/cpu/gemm/tile.h"
#include "tensor/dtype.h"

namespace nf::cpu {

/// body.operator()<P>() for the dtype of a product and the precision that is set.
template <class Body>
decltype(auto) visit_factors(DType dtype, Precision precision, Body&& body) {
  if (dtype == DType::F32 && precision == Precision::BF16) {
    return body.template operator()<Bf16Pair>();
  }
  return visit_float(dtype, std::forward<Body>(body));
}

}  // namespace nf::cpu
