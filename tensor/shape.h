// Shape: the sizes of a tensor's dimensions, kept inline (no allocation), row-major.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <ostream>
#include <vector>

#include "tensor/error.h"

namespace nf {

inline constexpr int kMaxDims = 6;

/// Up to kMaxDims sizes. `Shape{}` is the shape of a scalar: no dimensions, one element.
class Shape {
 public:
  Shape() = default;
  Shape(std::initializer_list<std::int64_t> dims) { assign(dims.begin(), dims.end()); }
  explicit Shape(const std::vector<std::int64_t>& dims) { assign(dims.begin(), dims.end()); }

  int rank() const { return rank_; }
  std::int64_t numel() const;

  /// Size of dimension i; negative i counts from the end. Throws when out of range.
  std::int64_t dim(int i) const { return dims_[axis(i)]; }

  std::int64_t operator[](int i) const { return dims_[i]; }
  std::int64_t& operator[](int i) { return dims_[i]; }
  const std::int64_t* begin() const { return dims_.data(); }
  const std::int64_t* end() const { return dims_.data() + rank_; }

  /// Non-negative index of dimension i, which may count from the end. Throws when out of range.
  int axis(int i, const char* op = "shape") const;

  void push_back(std::int64_t size);
  Shape without(int axis) const;                           ///< one dimension removed
  Shape with_inserted(int axis, std::int64_t size) const;  ///< one dimension added before `axis`

  bool operator==(const Shape& other) const;

 private:
  template <class It>
  void assign(It first, It last) {
    for (; first != last; ++first) push_back(*first);
  }
  std::array<std::int64_t, kMaxDims> dims_{};
  int rank_ = 0;
};

std::ostream& operator<<(std::ostream& out, const Shape& shape);  ///< "(200, 784)"

/// The common shape by the rules of NumPy: aligned at the last dimension, size 1 stretches.
/// Throws with `op` and both shapes when there is none.
Shape broadcast_shapes(const char* op, const Shape& a, const Shape& b);

}  // namespace nf
