#include "tensor/layout.h"

namespace nf {

Strides row_major_strides(const Shape& shape) {
  Strides strides{};
  std::int64_t step = 1;
  for (int d = shape.rank() - 1; d >= 0; --d) {
    strides[d] = step;
    step *= shape[d];
  }
  return strides;
}

bool Layout::is_contiguous() const {
  if (shape.numel() == 0) return true;
  std::int64_t step = 1;
  for (int d = shape.rank() - 1; d >= 0; --d) {
    if (shape[d] != 1 && strides[d] != step) return false;
    step *= shape[d];
  }
  return true;
}

Layout Layout::permute(std::span<const int> order) const {
  NF_CHECK(static_cast<int>(order.size()) == shape.rank(), "[permute] ", order.size(),
           " axes given for shape ", shape);
  Layout out{{}, {}, offset};
  unsigned seen = 0;
  for (int axis : order) {
    const int d = shape.axis(axis, "permute");
    NF_CHECK(!(seen >> d & 1), "[permute] axis ", axis, " given twice for shape ", shape);
    seen |= 1U << d;
    out.strides[out.shape.rank()] = strides[d];
    out.shape.push_back(shape[d]);
  }
  return out;
}

Layout Layout::slice(int axis, std::int64_t start, std::int64_t count, std::int64_t step) const {
  const int d = shape.axis(axis, "slice");
  NF_CHECK(start >= 0 && count >= 0 && step >= 1 &&
               (count == 0 ? start <= shape[d] : start + (count - 1) * step < shape[d]),
           "[slice] start ", start, ", count ", count, ", step ", step, " do not fit axis ", axis,
           " of shape ", shape);
  Layout out = *this;
  out.shape[d] = count;
  out.strides[d] = strides[d] * step;
  out.offset += start * strides[d];
  return out;
}

Layout Layout::flip(int axis) const {
  const int d = shape.axis(axis, "flip");
  Layout out = *this;
  if (shape[d] == 0) return out;
  out.offset += (shape[d] - 1) * strides[d];
  out.strides[d] = -strides[d];
  return out;
}

Layout Layout::broadcast_to(const Shape& to) const {
  const int added = to.rank() - shape.rank();
  NF_CHECK(added >= 0, "[broadcast_to] shape ", shape, " has more dimensions than ", to);
  for (std::int64_t size : to) NF_CHECK(size >= 0, "[broadcast_to] negative size in shape ", to);
  Layout out{to, {}, offset};
  for (int d = 0; d < shape.rank(); ++d) {
    NF_CHECK(shape[d] == to[added + d] || shape[d] == 1, "[broadcast_to] shape ", shape,
             " does not stretch to ", to, ": sizes must be equal or 1");
    out.strides[added + d] = shape[d] == to[added + d] ? strides[d] : 0;
  }
  return out;
}

std::optional<Layout> Layout::reshape(const Shape& to) const {
  if (is_contiguous()) return Layout{to, row_major_strides(to), offset};
  // Match groups of old and new dimensions with equal products; inside a group the old ones must
  // lie in row-major order.
  Layout out{to, {}, offset};
  int from_d = 0, to_d = 0;
  while (from_d < shape.rank() || to_d < to.rank()) {
    const int from_first = from_d, to_first = to_d;
    std::int64_t from_size = from_d < shape.rank() ? shape[from_d++] : 1;
    std::int64_t to_size = to_d < to.rank() ? to[to_d++] : 1;
    while (from_size != to_size) {
      if (from_size < to_size) {
        from_size *= shape[from_d++];
      } else {
        to_size *= to[to_d++];
      }
    }
    for (int d = from_first; d + 1 < from_d; ++d) {
      if (strides[d] != strides[d + 1] * shape[d + 1]) return std::nullopt;
    }
    std::int64_t step = from_d > from_first ? strides[from_d - 1] : 1;
    for (int d = to_d - 1; d >= to_first; --d) {
      out.strides[d] = step;
      step *= to[d];
    }
  }
  return out;
}

std::optional<MatrixOrder> matrix_order(std::int64_t rows, std::int64_t cols, std::int64_t row,
                                        std::int64_t col) {
  if ((col == 1 || cols == 1) && (row >= cols || rows == 1)) {
    return MatrixOrder{false, rows == 1 ? cols : row};
  }
  if ((row == 1 || rows == 1) && (col >= rows || cols == 1)) {
    return MatrixOrder{true, cols == 1 ? rows : col};
  }
  return std::nullopt;
}

Collapsed<1> collapse_dims(const Layout& layout, int first, int last) {
  Shape shape;
  Strides strides{};
  for (int d = first; d < last; ++d) {
    strides[d - first] = layout.strides[d];
    shape.push_back(layout.shape[d]);
  }
  return collapse<1>(shape, {&strides});
}

}  // namespace nf
