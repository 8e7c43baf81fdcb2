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

std::pair<Var, Var> Partition::split(const Var& x) const {
  NF_CHECK(x.rank() == 2 && x.dim(1) == dims(), "[Partition] expected (N, ", dims(), "), got ",
           x.shape());
  const std::int64_t first = swap_ ? active_ : passive_, second = dims() - first;
  Var a, b;
  switch (kind_) {
    case Kind::Halves:
      a = narrow(x, 1, 0, first);
      b = narrow(x, 1, first, second);
      break;
    case Kind::OddEven:
      a = slice(x, 1, 0, first, 2);
      b = slice(x, 1, 1, second, 2);
      break;
    case Kind::Indices: {
      const Var ordered = index_select(x, 1, moved_to(x.device(), order_));
      a = narrow(ordered, 1, 0, first);
      b = narrow(ordered, 1, first, second);
      break;
    }
  }
  return swap_ ? std::pair{b, a} : std::pair{a, b};
}

Var Partition::join(const Var& passive, const Var& active) const {
  const Var& a = swap_ ? active : passive;
  const Var& b = swap_ ? passive : active;
  const std::int64_t n = a.dim(0), pairs = b.dim(1);
  switch (kind_) {
    case Kind::Halves:
      return concat({a, b}, 1);
    case Kind::Indices:
      return index_select(concat({a, b}, 1), 1, moved_to(a.device(), inverse_));
    case Kind::OddEven:
      break;
  }
  // (n, pairs, 2): the two parts alternate. With an odd D the last even dimension stands alone.
  const Var even = reshape(narrow(a, 1, 0, pairs), {n, pairs, 1});
  const Var both = reshape(concat({even, reshape(b, {n, pairs, 1})}, 2), {n, 2 * pairs});
  if (a.dim(1) == pairs) return both;
  return concat({both, narrow(a, 1, pairs, 1)}, 1);
}

}  // namespace nf::flows
