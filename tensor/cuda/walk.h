// Where element number i of a strided view lies: index arithmetic of the kernels, in 32 bits where
// all sizes and offsets fit, since 64-bit integers cost a GPU several instructions each.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <type_traits>

#include "tensor/host_device.h"
#include "tensor/layout.h"

namespace nf::cuda {

/// Division by the same number again and again. In 32 bits by a multiplication (Granlund and
/// Montgomery 1994), right for dividends below 2^31.
template <class I>
struct Divider;

template <>
struct Divider<std::uint64_t> {
  std::uint64_t divisor = 1;

  Divider() = default;
  explicit Divider(std::int64_t d) : divisor(static_cast<std::uint64_t>(d)) {}
  NF_HD std::uint64_t divide(std::uint64_t n) const { return n / divisor; }
};

template <>
struct Divider<std::uint32_t> {
  std::uint32_t divisor = 1, magic = 1, shift = 0;

  Divider() = default;
  explicit Divider(std::int64_t d) : divisor(static_cast<std::uint32_t>(d)) {
    while ((std::uint64_t{1} << shift) < divisor) ++shift;
    // 2^32 (2^shift - d) / d + 1
    const std::uint64_t rest = (std::uint64_t{1} << shift) - divisor;
    magic = static_cast<std::uint32_t>((rest << 32) / divisor + 1);
  }
  NF_HD std::uint32_t divide(std::uint32_t n) const {
    const auto high = static_cast<std::uint32_t>(std::uint64_t{n} * magic >> 32);
    return (high + n) >> shift;
  }
};

/// A Collapsed<N> for kernels, which take it as `const __grid_constant__`: what is indexed by a
/// variable is else copied, by every thread. I is the unsigned type of indices.
template <int N, class I>
struct Walk {
  using Offset = std::make_signed_t<I>;

  int rank = 1;
  Divider<I> sizes[kMaxDims];
  Offset strides[N][kMaxDims] = {};

  explicit Walk(const Collapsed<N>& layout) : rank(layout.rank) {
    for (int d = 0; d < rank; ++d) {
      sizes[d] = Divider<I>(layout.sizes[d]);
      for (int k = 0; k < N; ++k) strides[k][d] = static_cast<Offset>(layout.strides[k][d]);
    }
  }

  /// at[k]: where element `index` of operand k is.
  NF_HD void offsets(I index, Offset (&at)[N]) const {
    for (int k = 0; k < N; ++k) at[k] = 0;
    for (int d = rank - 1; d > 0; --d) {
      const I rest = sizes[d].divide(index);
      const I i = index - rest * sizes[d].divisor;
      for (int k = 0; k < N; ++k) at[k] += static_cast<Offset>(i) * strides[k][d];
      index = rest;
    }
    for (int k = 0; k < N; ++k) at[k] += static_cast<Offset>(index) * strides[k][0];
  }
  NF_HD Offset offset(I index) const {
    static_assert(N == 1);
    Offset at[1];
    offsets(index, at);
    return at[0];
  }
};

/// May the elements be counted, and reached, in 32 bits?
template <int N>
bool fits_32_bits(const Collapsed<N>& layout) {
  constexpr std::int64_t kLimit = std::int64_t{1} << 31;
  if (layout.outer() * layout.inner() >= kLimit) return false;
  for (int k = 0; k < N; ++k) {
    std::int64_t reach = 0;
    for (int d = 0; d < layout.rank; ++d) {
      reach += (layout.sizes[d] - 1) * std::abs(layout.strides[k][d]);
    }
    if (reach >= kLimit) return false;
  }
  return true;
}

/// Calls body.template operator()<I>() with the type that indices of `layout` need.
template <int N, class Body>
void with_index_type(const Collapsed<N>& layout, Body&& body) {
  if (fits_32_bits(layout)) {
    body.template operator()<std::uint32_t>();
  } else {
    body.template operator()<std::uint64_t>();
  }
}

}  // namespace nf::cuda
