#include "tensor/shape.h"

#include <algorithm>

namespace nf {

std::int64_t Shape::numel() const {
  std::int64_t n = 1;
  for (std::int64_t size : *this) n *= size;
  return n;
}

int Shape::axis(int i, const char* op) const {
  const int positive = i < 0 ? i + rank_ : i;
  NF_CHECK(positive >= 0 && positive < rank_, "[", op, "] axis ", i, " is not in shape ", *this,
           "; it has ", rank_, " dimensions");
  return positive;
}

void Shape::push_back(std::int64_t size) {
  NF_CHECK(rank_ < kMaxDims, "[shape] more than ", kMaxDims, " dimensions; merge some by reshape");
  NF_CHECK(size >= 0 || size == -1, "[shape] negative size ", size);
  dims_[rank_++] = size;
}

Shape Shape::without(int axis) const {
  Shape out;
  for (int d = 0; d < rank_; ++d) {
    if (d != axis) out.push_back(dims_[d]);
  }
  return out;
}

Shape Shape::with_inserted(int axis, std::int64_t size) const {
  Shape out;
  for (int d = 0; d <= rank_; ++d) {
    if (d == axis) out.push_back(size);
    if (d < rank_) out.push_back(dims_[d]);
  }
  return out;
}

bool Shape::operator==(const Shape& other) const {
  return rank_ == other.rank_ && std::equal(begin(), end(), other.begin());
}

std::ostream& operator<<(std::ostream& out, const Shape& shape) {
  out << '(';
  for (int d = 0; d < shape.rank(); ++d) out << (d ? ", " : "") << shape[d];
  return out << (shape.rank() == 1 ? ",)" : ")");
}

Shape broadcast_shapes(const char* op, const Shape& a, const Shape& b) {
  Shape out = a.rank() >= b.rank() ? a : b;
  for (int back = 1; back <= std::min(a.rank(), b.rank()); ++back) {
    const std::int64_t m = a[a.rank() - back], n = b[b.rank() - back];
    NF_CHECK(m == n || m == 1 || n == 1, "[", op, "] shapes ", a, " and ", b,
             " do not broadcast: sizes must be equal or 1, counted from the last dimension");
    out[out.rank() - back] = m == 1 ? n : m;
  }
  return out;
}

}  // namespace nf
