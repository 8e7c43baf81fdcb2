#include "flows/layers/partition.h"

namespace nf::flows {

namespace {

void check_splittable(std::int64_t dims) {
  NF_CHECK(dims >= 2, "[coupling] splits the dimensions of a row, so it needs at least 2, got ",
           dims, "; model another column too, or give one with --given");
}

const Tensor& moved_to(Device device, Tensor& index) {
  if (index.device() != device) index = index.to(device);
  return index;
}

}  // namespace

Partition Partition::halves(std::int64_t dims, bool swap) {
  check_splittable(dims);
  const std::int64_t first = (dims + 1) / 2;
  return {Kind::Halves, swap ? "1st given 2nd" : "2nd given 1st", swap ? dims - first : first,
          swap ? first : dims - first, swap};
}

Partition Partition::odd_even(std::int64_t dims, bool swap) {
  check_splittable(dims);
  const std::int64_t even = (dims + 1) / 2;
  return {Kind::OddEven, swap ? "even given odd" : "odd given even", swap ? dims - even : even,
          swap ? even : dims - even, swap};
}

Partition Partition::all(std::int64_t dims) {
  NF_CHECK(dims > 0, "[Partition] needs dimensions, got ", dims);
  return {Kind::All, "all", 0, dims, false};
}

Partition Partition::indices(std::int64_t dims, const std::vector<std::int64_t>& active) {
  check_splittable(dims);
  std::vector<bool> is_active(static_cast<std::size_t>(dims), false);
  for (std::int64_t i : active) {
    NF_CHECK(i >= 0 && i < dims && !is_active[i], "[Partition] active dimension ", i,
             " is out of range or repeated; there are ", dims);
    is_active[i] = true;
  }
  std::vector<std::int32_t> order, inverse(static_cast<std::size_t>(dims));
  for (std::int64_t i = 0; i < dims; ++i) {
    if (!is_active[i]) order.push_back(static_cast<std::int32_t>(i));
  }
  for (std::int64_t i : active) order.push_back(static_cast<std::int32_t>(i));
  for (std::size_t i = 0; i < order.size(); ++i) inverse[order[i]] = static_cast<std::int32_t>(i);
  const std::int64_t n = static_cast<std::int64_t>(active.size());
  NF_CHECK(n > 0 && n < dims, "[Partition] both parts must be non-empty, ", n, " of ", dims,
           " dimensions are active");
  Partition out(Kind::Indices, str(n, " listed given ", dims - n, " others"), dims - n, n, false);
  out.order_ = Tensor::from(order, {dims});
  out.inverse_ = Tensor::from(inverse, {dims});
  return out;
}

// --- a checkerboard
// -------------------------------------------------------------------------------

namespace {

// (N, H/2, 2, W/2, 2, C) of images (N, H, W, C): squares of 2 x 2 pixels, seen in place.
Var squares_of(const Var& x) {
  const std::int64_t n = x.dim(0), h = x.dim(1), w = x.dim(2), c = x.dim(3);
  return reshape(x, {n, h / 2, 2, w / 2, 2, c});
}

// The pixels with (row + column) % 2 == parity, (N, H, W/2, C).
Var pixels_of(const Var& x, std::int64_t parity) {
  const Var squares = squares_of(x);
  const Var even_rows = narrow(narrow(squares, 2, 0, 1), 4, parity, 1);
  const Var odd_rows = narrow(narrow(squares, 2, 1, 1), 4, 1 - parity, 1);
  return reshape(concat({even_rows, odd_rows}, 2), {x.dim(0), x.dim(1), x.dim(2) / 2, x.dim(3)});
}

// (N, H, W, C) of the pixels with an even and those with an odd sum of row and column.
Var board_of(const Var& even, const Var& odd) {
  const std::int64_t n = even.dim(0), h = even.dim(1), w = even.dim(2), c = even.dim(3);
  const Shape halves = {n, h / 2, 2, w, 1, c};
  const Var a = reshape(even, halves), b = reshape(odd, halves);
  const Var even_rows = concat({narrow(a, 2, 0, 1), narrow(b, 2, 0, 1)}, 4);
  const Var odd_rows = concat({narrow(b, 2, 1, 1), narrow(a, 2, 1, 1)}, 4);
  return reshape(concat({even_rows, odd_rows}, 2), {n, h, 2 * w, c});
}

}  // namespace

Partition Partition::checkerboard(std::int64_t channels, bool swap, bool masked) {
  NF_CHECK(channels > 0, "[Partition] a checkerboard needs channels, got ", channels);
  const std::string text = str(masked ? "masked checkerboard" : "checkerboard",
                               swap ? ", even given odd" : ", odd given even");
  return {masked ? Kind::MaskedCheckerboard : Kind::Checkerboard, text, channels, channels, swap};
}

Var Partition::shown(const Var& passive) const {
  if (kind_ != Kind::MaskedCheckerboard) return passive;
  const Var nothing = Tensor::zeros(passive.shape(), passive.dtype(), passive.device());
  return join(passive, nothing);
}

Var Partition::of_active(const Var& answer) const {
  return kind_ == Kind::MaskedCheckerboard ? pixels_of(answer, swap_ ? 0 : 1) : answer;
}

Var Partition::beside(const Var& image) const {
  if (kind_ != Kind::Checkerboard) return image;
  return concat({pixels_of(image, swap_ ? 1 : 0), pixels_of(image, swap_ ? 0 : 1)}, 3);
}

// --- all of them
// ----------------------------------------------------------------------------------

void Partition::check(const Shape& x) const {
  NF_CHECK(x.rank() >= 2 && x.dim(-1) == dims(), "[Partition] expected (N, ..., ", dims(),
           "), got ", x);
  NF_CHECK(!board() || (x.rank() == 4 && x.dim(1) % 2 == 0 && x.dim(2) % 2 == 0),
           "[Partition] a checkerboard needs images (N, H, W, C) with even H and W, got ", x);
}

Shape Partition::active_shape(const Shape& x) const {
  check(x);
  if (board()) return {x.dim(0), x.dim(1), x.dim(2) / 2, active_};
  return x.without(x.rank() - 1).with_inserted(x.rank() - 1, active_);
}

Shape Partition::shown_shape(const Shape& x) const {
  check(x);
  if (kind_ == Kind::MaskedCheckerboard) return x;
  if (board()) return active_shape(x);
  return x.without(x.rank() - 1).with_inserted(x.rank() - 1, passive_);
}

std::pair<Var, Var> Partition::split(const Var& x) const {
  check(x.shape());
  const int axis = x.rank() - 1;
  const std::int64_t first = swap_ ? active_ : passive_, second = dims() - first;
  Var a, b;
  switch (kind_) {
    case Kind::All:
    case Kind::Halves:
      a = narrow(x, axis, 0, first);
      b = narrow(x, axis, first, second);
      break;
    case Kind::OddEven:
      a = slice(x, axis, 0, first, 2);
      b = slice(x, axis, 1, second, 2);
      break;
    case Kind::Indices: {
      const Var ordered = index_select(x, axis, moved_to(x.device(), order_));
      a = narrow(ordered, axis, 0, first);
      b = narrow(ordered, axis, first, second);
      break;
    }
    case Kind::Checkerboard:
    case Kind::MaskedCheckerboard:
      a = pixels_of(x, 0);
      b = pixels_of(x, 1);
      break;
  }
  return swap_ ? std::pair{b, a} : std::pair{a, b};
}

Var Partition::join(const Var& passive, const Var& active) const {
  const Var& a = swap_ ? active : passive;
  const Var& b = swap_ ? passive : active;
  const int axis = a.rank() - 1;
  switch (kind_) {
    case Kind::All:
      return active;
    case Kind::Halves:
      return concat({a, b}, axis);
    case Kind::Indices:
      return index_select(concat({a, b}, axis), axis, moved_to(a.device(), inverse_));
    case Kind::Checkerboard:
    case Kind::MaskedCheckerboard:
      return board_of(a, b);
    case Kind::OddEven:
      break;
  }
  // (..., pairs, 2): the two parts alternate. With an odd D the last even dimension stands alone.
  const std::int64_t pairs = b.dim(axis);
  const Shape column = b.shape().with_inserted(axis + 1, 1);
  const Var even = reshape(narrow(a, axis, 0, pairs), column);
  const Shape interleaved = b.shape().without(axis).with_inserted(axis, 2 * pairs);
  const Var both = reshape(concat({even, reshape(b, column)}, axis + 1), interleaved);
  if (a.dim(axis) == pairs) return both;
  return concat({both, narrow(a, axis, pairs, 1)}, axis);
}

}  // namespace nf::flows
