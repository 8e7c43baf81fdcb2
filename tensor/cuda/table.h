// Numbers with many parameters each: how those of a number lie.
#pragma once

#include <cstdint>

#include "tensor/tensor.h"

namespace nf::cuda {

/// The parameters of a number, `step` from one to the next.
template <class T>
struct Table {
  T* first;
  std::int64_t step;

  __device__ Table behind(std::int64_t offset) const { return {first + offset, step}; }
  __device__ T& operator[](std::int64_t j) const { return first[j * step]; }
};

/// The first parameters of all numbers (.., A), as a walk sees them.
inline Tensor first_of(const Tensor& parameters, std::int64_t dims) {
  return parameters.narrow(-1, 0, dims);
}

/// Those of the first number of all.
template <class T>
Table<T> table_of(T* first, const Tensor& t, std::int64_t dims) {
  return {first, dims * t.strides()[t.rank() - 1]};
}

}  // namespace nf::cuda
