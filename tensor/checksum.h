// A number that tells whether data and files are still the same.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/tensor.h"

namespace nf {

/// A 64-bit hash of all that was added, in this order (FNV-1a, eight bytes at a time, with a shift
/// that carries high bits down). It finds what changed by accident; it is no protection from
/// somebody who wants to deceive. A step is one-to-one in the word and in the state, so a single
/// word that changed always changes the number. Hashes some GB/s.
class Checksum {
 public:
  void add(std::string_view bytes);
  /// Shape, type and elements. A tensor that is not defined counts for nothing.
  void add(const Tensor& values);
  void add(std::uint64_t word) { state_ = step(state_, word); }
  std::string text() const;  ///< 16 hexadecimal digits
  /// The same, mixed so that every bit depends on every other: for orders that look random.
  std::uint64_t mixed() const;

 private:
  friend std::uint64_t fast_checksum(std::string_view bytes);

  static std::uint64_t step(std::uint64_t state, std::uint64_t word) {
    state = (state ^ word) * 0x100000001B3;
    return state ^ state >> 32;
  }

  static constexpr std::uint64_t kStart = 0xCBF29CE484222325;
  std::uint64_t state_ = kStart;
};

/// A number for a piece of a file, several times as fast: in lanes that do not wait for each other.
/// Another one than a Checksum's, and as good.
std::uint64_t fast_checksum(std::string_view bytes);

/// A number for each row of x (N, D); equal rows have equal ones, in x of equal type.
std::vector<std::uint64_t> row_checksums(const Tensor& x);

}  // namespace nf
