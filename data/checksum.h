// A number that tells whether data are still the same.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/tensor.h"

namespace nf::data {

/// A 64-bit hash of all that was added, in this order (FNV-1a, eight bytes at a time, with a shift
/// that carries high bits down). It finds what changed by accident; it is no protection from
/// somebody who wants to deceive. Hashes some GB/s.
class Checksum {
 public:
  void add(std::string_view bytes);
  /// Shape, type and elements. A tensor that is not defined counts for nothing.
  void add(const Tensor& values);
  std::string text() const;  ///< 16 hexadecimal digits
  /// The same, mixed so that every bit depends on every other: for orders that look random.
  std::uint64_t mixed() const;

 private:
  void mix(std::uint64_t word);

  std::uint64_t state_ = 0xCBF29CE484222325;
};

/// A number for each row of x (N, D); equal rows have equal ones, in x of equal type.
std::vector<std::uint64_t> row_checksums(const Tensor& x);

}  // namespace nf::data
