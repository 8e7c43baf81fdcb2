#include "tensor/ops.h"

#include <cmath>
#include <limits>
#include <numeric>
#include <optional>
#include <type_traits>

#include "tensor/checks.h"

namespace nf {

using detail::check_float;
using detail::check_same;

// --- elementwise --------------------------------------------------------------------------------

namespace {

// Is x all of its memory, and the only one that looks at it?
bool alone(const Tensor& x) {
  return x.unique() && x.is_contiguous() &&
         x.storage()->bytes() == static_cast<std::size_t>(x.numel()) * size_of(x.dtype()) &&
         backend_of(x).may_reuse(x.storage()->data());
}

}  // namespace

Tensor reuse_or_empty(const Tensor& x) {
  return alone(x) ? x.with_layout(Layout::row_major(x.shape())) : x.empty_like();
}

Tensor unary(UnaryOp op, Tensor x, OpArgs args) {
  check_float(name_of(op), x);
  Tensor out = reuse_or_empty(x);
  if (x.numel() > 0) backend_of(x).unary(op, args, x, out);
  return out;
}

Tensor unary_backward(UnaryOp op, OpArgs args, Tensor dout, const Tensor& saved) {
  Tensor din = reuse_or_empty(dout);
  if (dout.numel() > 0) backend_of(dout).unary_backward(op, args, dout, saved, din);
  return din;
}

Tensor binary(BinaryOp op, Tensor a, Tensor b) {
  check_float(name_of(op), a);
  check_same(name_of(op), a, b);
  const Shape shape = broadcast_shapes(name_of(op), a.shape(), b.shape());
  const bool from_b = b.shape() == shape && !(a.shape() == shape && alone(a));
  Tensor out = from_b               ? reuse_or_empty(b)
               : a.shape() == shape ? reuse_or_empty(a)
                                    : Tensor::empty(shape, a.dtype(), a.device());
  if (out.numel() > 0) {
    backend_of(a).binary(op, a.broadcast_to(shape), b.broadcast_to(shape), out);
  }
  return out;
}

std::pair<Tensor, Tensor> binary_backward(BinaryOp op, Tensor dout, const Tensor& a,
                                          const Tensor& b, bool want_a, bool want_b) {
  const Shape& shape = dout.shape();
  const bool inputs = uses_inputs(op);
  Tensor da, db;  // the last to be written may be dout
  if (want_a) da = want_b ? dout.empty_like() : reuse_or_empty(dout);
  if (want_b) db = reuse_or_empty(dout);
  if (dout.numel() > 0) {
    backend_of(dout).binary_backward(op, dout, inputs ? a.broadcast_to(shape) : Tensor(),
                                     inputs ? b.broadcast_to(shape) : Tensor(),
                                     want_a ? &da : nullptr, want_b ? &db : nullptr);
  }
  return {da, db};
}

Tensor compare(CompareOp op, const Tensor& a, const Tensor& b) {
  check_same(name_of(op), a, b);
  const Shape shape = broadcast_shapes(name_of(op), a.shape(), b.shape());
  Tensor out = Tensor::empty(shape, DType::U8, a.device());
  if (out.numel() > 0) {
    backend_of(a).compare(op, a.broadcast_to(shape), b.broadcast_to(shape), out);
  }
  return out;
}

Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b) {
  check_same("where", a, b);
  NF_CHECK(
      condition.defined() && condition.dtype() == DType::U8 && condition.device() == a.device(),
      "[where] the condition must be u8 on the device of the others, got ", describe(condition));
  const Shape shape =
      broadcast_shapes("where", condition.shape(), broadcast_shapes("where", a.shape(), b.shape()));
  Tensor out = Tensor::empty(shape, a.dtype(), a.device());
  if (out.numel() > 0) {
    backend_of(a).where(condition.broadcast_to(shape), a.broadcast_to(shape), b.broadcast_to(shape),
                        out);
  }
  return out;
}

// --- reductions ---------------------------------------------------------------------------------

namespace {

bool gives_index(ReduceOp op) {
  return visit(op, []<class Op>() {
    return std::is_same_v<typename reductions::State<Op, float>::Out, std::int32_t>;
  });
}

std::optional<double> of_nothing(ReduceOp op) {
  return visit(op, []<class Op>() -> std::optional<double> {
    if constexpr (requires { Op::of_nothing; }) return Op::of_nothing;
    return std::nullopt;
  });
}

}  // namespace

Tensor reduce(ReduceOp op, const Tensor& x, const Axes& axes, bool keep_dims) {
  check_float(name_of(op), x);
  std::vector<bool> reduced(static_cast<std::size_t>(x.rank()), axes.empty());
  for (int axis : axes) {
    const int d = x.shape().axis(axis, name_of(op));
    NF_CHECK(!reduced[d], "[", name_of(op), "] axis ", axis, " given twice");
    reduced[d] = true;
  }
  std::vector<int> order, last;
  Shape kept, with_ones;
  for (int d = 0; d < x.rank(); ++d) {
    (reduced[d] ? last : order).push_back(d);
    if (!reduced[d]) kept.push_back(x.shape()[d]);
    with_ones.push_back(reduced[d] ? 1 : x.shape()[d]);
  }
  order.insert(order.end(), last.begin(), last.end());

  Tensor out = Tensor::empty(kept, gives_index(op) ? DType::I32 : x.dtype(), x.device());
  if (x.numel() == 0) {
    const std::optional<double> value = of_nothing(op);
    NF_CHECK(value || out.numel() == 0, "[", name_of(op), "] of no elements, shape ", x.shape());
    out.fill_(value.value_or(0));
  } else {
    backend_of(x).reduce(op, x.permute(order), static_cast<int>(last.size()), out);
  }
  return keep_dims ? out.reshape(with_ones) : out;
}

Tensor argmax(const Tensor& x, int axis) {
  const std::int64_t size = x.dim(axis);
  NF_CHECK(size <= std::numeric_limits<std::int32_t>::max(), "[argmax] axis of size ", size,
           " is too long for i32 indices");
  return reduce(ReduceOp::ArgMax, x, {axis});
}

Tensor sum_to(Tensor x, const Shape& shape) {
  if (x.shape() == shape) return x;
  const int added = x.rank() - shape.rank();
  Axes axes;
  for (int d = 0; d < x.rank(); ++d) {
    if (d < added || (shape[d - added] == 1 && x.shape()[d] != 1)) axes.push_back(d);
  }
  return (axes.empty() ? x : sum(x, axes)).reshape(shape);
}

bool all_finite(const Tensor& x) { return x.numel() == 0 || std::isfinite(max(abs(x)).item()); }

// --- matrix products ----------------------------------------------------------------------------

namespace {

Tensor batched(const Tensor& x,
               const Shape& batch) {  // -> (B, rows, cols) without a copy if it can
  Shape full = batch;
  full.push_back(x.dim(-2));
  full.push_back(x.dim(-1));
  return x.broadcast_to(full).reshape({batch.numel(), x.dim(-2), x.dim(-1)});
}

}  // namespace

Tensor matmul(const Tensor& a, const Tensor& b) {
  check_float("matmul", a);
  check_same("matmul", a, b);
  NF_CHECK(a.rank() >= 2 && b.rank() >= 2, "[matmul] needs matrices, got ", a.shape(), " x ",
           b.shape(), "; add a dimension with unsqueeze");
  NF_CHECK(a.dim(-1) == b.dim(-2), "[matmul] inner dimensions differ: ", a.shape(), " x ",
           b.shape(), "; a transpose may be missing (.t())");
  const Shape outer_a(std::vector<std::int64_t>(a.shape().begin(), a.shape().end() - 2));
  const Shape outer_b(std::vector<std::int64_t>(b.shape().begin(), b.shape().end() - 2));
  const Shape batch = broadcast_shapes("matmul", outer_a, outer_b);
  Shape shape = batch;
  shape.push_back(a.dim(-2));
  shape.push_back(b.dim(-1));
  Tensor out = Tensor::empty(shape, a.dtype(), a.device());
  if (out.numel() == 0) return out;
  if (a.dim(-1) == 0) return out.fill_(0);
  if (shape.rank() == 2) {
    backend_of(a).matmul(a, b, out);
  } else {
    Tensor flat = out.reshape({batch.numel(), a.dim(-2), b.dim(-1)});
    backend_of(a).matmul(batched(a, batch), batched(b, batch), flat);
  }
  return out;
}

Tensor linear(const Tensor& x, const Tensor& w, const Tensor& bias, const UnaryOp* act,
              OpArgs args) {
  check_float("linear", x);
  check_same("linear", x, w);
  NF_CHECK(x.rank() == 2 && w.rank() == 2 && x.dim(1) == w.dim(1), "[linear] x ", x.shape(),
           " and weight ", w.shape(), " do not fit: expected (N, in) and (out, in)");
  detail::check_fused("linear", w, bias, act);
  Tensor out = Tensor::empty({x.dim(0), w.dim(0)}, x.dtype(), x.device());
  if (out.numel() == 0) return out;
  const Tensor b = bias.defined() ? bias.contiguous() : bias;
  backend_of(x).linear(x, w, b, act, args, out);
  return out;
}

// --- joining, taking apart, indexing ------------------------------------------------------------

Tensor concat(std::span<const Tensor> parts, int axis) {
  NF_CHECK(!parts.empty(), "[concat] of no tensors");
  Shape shape = parts[0].shape();
  const int d = shape.axis(axis, "concat");
  std::int64_t total = 0;
  for (const Tensor& part : parts) {
    check_same("concat", parts[0], part);
    NF_CHECK(part.rank() == shape.rank(), "[concat] ", part.shape(), " beside ", shape);
    for (int i = 0; i < shape.rank(); ++i) {
      NF_CHECK(i == d || part.shape()[i] == shape[i], "[concat] ", part.shape(), " beside ",
               parts[0].shape(), ": only axis ", axis, " may differ");
    }
    total += part.shape()[d];
  }
  shape[d] = total;
  Tensor out = Tensor::empty(shape, parts[0].dtype(), parts[0].device());
  std::int64_t at = 0;
  for (const Tensor& part : parts) {
    out.narrow(d, at, part.shape()[d]).copy_(part);
    at += part.shape()[d];
  }
  return out;
}

std::vector<Tensor> split(const Tensor& x, const std::vector<std::int64_t>& sizes, int axis) {
  const int d = x.shape().axis(axis, "split");
  const std::int64_t total = std::accumulate(sizes.begin(), sizes.end(), std::int64_t{0});
  NF_CHECK(total == x.shape()[d], "[split] sizes add up to ", total, ", axis ", axis, " of shape ",
           x.shape(), " has ", x.shape()[d]);
  std::vector<Tensor> parts;
  std::int64_t at = 0;
  for (std::int64_t size : sizes) {
    parts.push_back(x.narrow(d, at, size));
    at += size;
  }
  return parts;
}

namespace {

// Looks at every index, but only once at those of another device that have not changed since: to
// look, the host has to wait for the device.
void check_index(const char* op, const Tensor& index, std::int64_t size) {
  if (index.numel() == 0) return;
  Storage& storage = *index.storage();
  Storage::IndexRange range{storage.version(), index.layout().offset, index.numel()};
  if (const auto& known = storage.known_range;
      known && known->version == range.version && known->offset <= range.offset &&
      range.offset + range.count <= known->offset + known->count && known->lowest >= 0 &&
      known->highest < size) {
    return;
  }
  backend_of(index).index_range(index, &range.lowest, &range.highest);
  if (index.device() != Device::CPU) storage.known_range = range;
  NF_CHECK(range.lowest >= 0 && range.highest < size, "[", op, "] index ",
           range.lowest < 0 ? range.lowest : range.highest, " is out of range: the axis has size ",
           size);
}

void check_index(const char* op, const Tensor& x, const Tensor& index, std::int64_t size) {
  NF_CHECK(index.defined() && index.dtype() == DType::I32 && index.device() == x.device(), "[", op,
           "] the index must be i32 on the tensor's device, got ", describe(index));
  check_index(op, index, size);
}

// index for index_select: (n); for gather: the shape of x but for `axis`.
void check_aligned(const char* op, const Shape& x, const Shape& index, int axis) {
  bool fits = x.rank() == index.rank();
  for (int d = 0; fits && d < x.rank(); ++d) fits = d == axis || x[d] == index[d];
  NF_CHECK(fits, "[", op, "] index ", index, " does not fit ", x, ": only axis ", axis,
           " may differ");
}

}  // namespace

void check_indices(const Tensor& index, std::int64_t size) {
  NF_CHECK(index.defined() && index.dtype() == DType::I32 && index.is_contiguous(),
           "[check_indices] needs a contiguous i32 tensor, got ", describe(index));
  check_index("check_indices", index, size);
}

Tensor clamped_indices(const Tensor& x, std::int64_t size) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
  check_float("clamped_indices", x);
  NF_CHECK(size >= 1 && size <= kMost, "[clamped_indices] needs a size from 1 to ", kMost, ", got ",
           size);
  Tensor out = Tensor::empty(x.shape(), DType::I32, x.device());
  if (out.numel() == 0) return out;
  const auto highest = static_cast<std::int32_t>(size - 1);
  backend_of(x).clamped_indices(x, highest, out);
  Storage& storage = *out.storage();
  if (x.device() != Device::CPU) {
    storage.known_range = Storage::IndexRange{storage.version(), 0, out.numel(), 0, highest};
  }
  return out;
}

Tensor index_select(const Tensor& x, int axis, const Tensor& index) {
  const int d = x.shape().axis(axis, "index_select");
  NF_CHECK(index.rank() == 1, "[index_select] index must have one dimension, got ", index.shape());
  const Tensor at = index.contiguous();
  check_index("index_select", x, at, x.shape()[d]);
  Shape shape = x.shape();
  shape[d] = at.numel();
  Tensor out = Tensor::empty(shape, x.dtype(), x.device());
  if (out.numel() > 0) backend_of(x).index_select(x, d, at, out);
  return out;
}

Tensor index_add(const Tensor& x, int axis, const Tensor& index, const Tensor& src) {
  check_float("index_add", x);
  check_same("index_add", x, src);
  const int d = x.shape().axis(axis, "index_add");
  const Tensor at = index.contiguous();
  check_aligned("index_add", x.shape(), src.shape(), d);
  NF_CHECK(at.rank() == 1 && at.numel() == src.shape()[d], "[index_add] index ", at.shape(),
           " for a source of shape ", src.shape());
  check_index("index_add", x, at, x.shape()[d]);
  Tensor out = x.clone();
  if (src.numel() > 0) backend_of(x).index_add(out, d, at, src);
  return out;
}

Tensor gather(const Tensor& x, int axis, const Tensor& index) {
  const int d = x.shape().axis(axis, "gather");
  check_aligned("gather", x.shape(), index.shape(), d);
  const Tensor at = index.contiguous();
  check_index("gather", x, at, x.shape()[d]);
  Tensor out = Tensor::empty(at.shape(), x.dtype(), x.device());
  if (out.numel() > 0) backend_of(x).gather(x, d, at, out);
  return out;
}

Tensor scatter_add(const Tensor& x, int axis, const Tensor& index, const Tensor& src) {
  check_float("scatter_add", x);
  check_same("scatter_add", x, src);
  const int d = x.shape().axis(axis, "scatter_add");
  const Tensor at = index.contiguous();
  check_aligned("scatter_add", x.shape(), src.shape(), d);
  NF_CHECK(at.shape() == src.shape(), "[scatter_add] index ", at.shape(), " for a source of shape ",
           src.shape());
  check_index("scatter_add", x, at, x.shape()[d]);
  Tensor out = x.clone();
  if (src.numel() > 0) backend_of(x).scatter_add(out, d, at, src);
  return out;
}

Tensor pad(const Tensor& x, int axis, std::int64_t before, std::int64_t after, double value) {
  const int d = x.shape().axis(axis, "pad");
  NF_CHECK(before >= 0 && after >= 0, "[pad] negative padding ", before, ", ", after);
  Shape shape = x.shape();
  shape[d] += before + after;
  Tensor out = Tensor::full(shape, value, x.dtype(), x.device());
  out.narrow(d, before, x.shape()[d]).copy_(x);
  return out;
}

// --- maps of numbers with parameters of their own
// -------------------------------------------------

namespace {

// Are these parameters (.., P A) of x (.., A)?
bool are_parameters(const Tensor& x, const Tensor& parameters) {
  bool fits = x.rank() > 0 && parameters.rank() == x.rank();
  for (int d = 0; fits && d + 1 < x.rank(); ++d) fits = parameters.dim(d) == x.dim(d);
  return fits && (x.dim(-1) == 0 || parameters.dim(-1) % x.dim(-1) == 0);
}

// A gradient of x's shape; undefined is zeros.
Tensor given(const Tensor& dout, const Tensor& x) {
  return dout.defined() ? dout : Tensor::zeros({}, x.dtype(), x.device()).broadcast_to(x.shape());
}

// The last 3K of all parameters of each dimension, a view.
Tensor mixture_parameters(const Tensor& x, const Tensor& parameters, int components, double limit) {
  check_float("mixture_log_odds", x);
  check_same("mixture_log_odds", x, parameters);
  NF_CHECK(components >= 1 && limit > 0,
           "[mixture_log_odds] needs components and a positive bound of log scales, got ",
           components, " and ", limit);
  const std::int64_t dims = x.rank() > 0 ? x.dim(-1) : 0, used = 3 * dims * components;
  NF_CHECK(are_parameters(x, parameters) && parameters.dim(-1) >= used,
           "[mixture_log_odds] parameters ", parameters.shape(), " for x ", x.shape(), " and ",
           components, " components: at least ", 3 * components, " for each number, last");
  return parameters.narrow(-1, parameters.dim(-1) - used, used);
}

void check_spline(const Tensor& x, const Tensor& parameters, const SplineArgs& args) {
  constexpr const char* kName = "rational_quadratic_spline";
  check_float(kName, x);
  check_same(kName, x, parameters);
  NF_CHECK(args.bins >= 2 && args.bound > 0, "[", kName,
           "] needs 2 bins and a positive bound, got ", args.bins, " and ", args.bound);
  const std::int64_t each = 3 * args.bins - 1;
  NF_CHECK(are_parameters(x, parameters) && parameters.dim(-1) == each * x.dim(-1), "[", kName,
           "] parameters ", parameters.shape(), " for x ", x.shape(), " and ", args.bins,
           " bins: ", each, " for each number");
}

}  // namespace

LogOdds<Tensor> mixture_log_odds(const Tensor& x, const Tensor& parameters, int components,
                                 double limit) {
  const Tensor used = mixture_parameters(x, parameters, components, limit);
  LogOdds<Tensor> out{x.empty_like(), x.empty_like()};
  if (x.numel() > 0) {
    backend_of(x).mixture({components, limit}, x, used, out.value, out.log_slope);
  }
  return out;
}

std::pair<Tensor, Tensor> mixture_log_odds_backward(const LogOdds<Tensor>& douts, const Tensor& x,
                                                    const Tensor& parameters, int components,
                                                    double limit) {
  const Tensor used = mixture_parameters(x, parameters, components, limit);
  Tensor dx = x.empty_like(), dparameters = parameters.empty_like();
  const std::int64_t others = parameters.dim(-1) - used.dim(-1);
  dparameters.narrow(-1, 0, others).fill_(0);
  if (x.numel() > 0) {
    Tensor dused = dparameters.narrow(-1, others, used.dim(-1));
    backend_of(x).mixture_backward({components, limit}, given(douts.value, x),
                                   given(douts.log_slope, x), x, used, dx, dused);
  }
  return {dx, dparameters};
}

Sloped<Tensor> rational_quadratic_spline(const Tensor& x, const Tensor& parameters,
                                         const SplineArgs& args) {
  check_spline(x, parameters, args);
  Sloped<Tensor> out{x.empty_like(), x.empty_like()};
  if (x.numel() > 0) backend_of(x).spline(args, x, parameters, out.value, out.log_slope);
  return out;
}

std::pair<Tensor, Tensor> rational_quadratic_spline_backward(const Sloped<Tensor>& douts,
                                                             const Tensor& x,
                                                             const Tensor& parameters,
                                                             const SplineArgs& args) {
  check_spline(x, parameters, args);
  Tensor dx = x.empty_like(), dparameters = parameters.empty_like();
  if (x.numel() > 0) {
    backend_of(x).spline_backward(args, given(douts.value, x), given(douts.log_slope, x), x,
                                  parameters, dx, dparameters);
  }
  return {dx, dparameters};
}

}  // namespace nf
