#include "flows/layers/bounded.h"

#include <cmath>

#include "flows/layers/rows.h"

namespace nf::flows {

namespace {

/// Scalars and zeros beside x.
Var number(double value, const Var& x) { return Tensor::full({}, value, x.dtype(), x.device()); }

/// The buffers are f32 or f64, and hold `value` as a sum of three f32 in a column.
void put(Tensor& parts, std::int64_t column, double value) {
  for (std::int64_t i = 0; i < 3; ++i) {
    const double part = static_cast<float>(value);
    parts.narrow(0, i, 1).narrow(1, column, 1).fill_(part);
    value -= part;
  }
}

}  // namespace

Bounded::Bounded(const std::vector<std::pair<double, double>>& bounds)
    : low_(add_buffer("low", Tensor::zeros({3, std::ssize(bounds)}))),
      high_(add_buffer("high", Tensor::zeros({3, std::ssize(bounds)}))),
      ends_(add_buffer("ends", Tensor::zeros({2, std::ssize(bounds)}))) {
  for (std::int64_t j = 0; j < std::ssize(bounds); ++j) {
    const auto [low, high] = bounds[static_cast<std::size_t>(j)];
    NF_CHECK(low < high, "[Bounded] column ", j, ": between ", low, " and ", high,
             " there is nothing");
    if (std::isfinite(low)) put(low_, j, low);
    if (std::isfinite(high)) put(high_, j, high);
    ends_.narrow(0, 0, 1).narrow(1, j, 1).fill_(std::isfinite(low) ? 1 : 0);
    ends_.narrow(0, 1, 1).narrow(1, j, 1).fill_(std::isfinite(high) ? 1 : 0);
  }
}

Tensor Bounded::whole(const Tensor& parts) { return sum(parts.to(DType::F64), {0}); }

Bounded::Ends Bounded::ends() const {
  const auto end = [&](int i) {
    return ends_.narrow(0, i, 1).reshape({ends_.dim(1)}).to(DType::F64);
  };
  const Tensor low = end(0), high = end(1);
  const Tensor both = low * high;
  const auto condition = [](const Tensor& x) { return x.to(DType::U8); };
  return {condition(low), condition(high), condition(both), condition(low + high - 2 * both),
          condition(low + high - both)};
}

Mapped Bounded::forward(const Var& x, const Var&) {
  const auto [value, log_slope] = columns(x);
  return {value, cast(sum_event(log_slope), ends_.dtype())};
}

Var Bounded::encode(const Var& x, const Var&) {
  const auto [value, log_slope] = columns(x);
  const Tensor nowhere =
      equal(log_slope.value(), number(-INFINITY, value).value().broadcast_to(value.shape()));
  return where(nowhere, number(std::nan(""), value), value);
}

Bounded::Columns Bounded::columns(const Var& given) const {
  check_dims("Bounded", given, ends_.dim(1));
  const Var x = cast(given, DType::F64);
  const Var one = number(1, x), zero = number(0, x);
  const Tensor low = whole(low_), high = whole(high_);
  const auto [has_low, has_high, both, one_end, any] = ends();
  const Var above = where(has_low, x - Var(low), one);  // x - l
  const Var below = where(has_high, Var(high) - x, one);
  // NaN is not outside: it stays what it is.
  const Tensor outside = less_equal(minimum(above.value(), below.value()), zero.value());
  const Var log_above = log(where(outside, one, above)),
            log_below = log(where(outside, one, below));
  const Var log_width = where(both, log(where(both, Var(high - low), one)), zero);
  const Var log_slope = where(outside, number(-INFINITY, x), log_width - log_above - log_below);
  return {where(any, log_above - log_below, x), log_slope};
}

Mapped Bounded::inverse(const Var& given, const Var&) {
  check_dims("Bounded", given, ends_.dim(1));
  constexpr double kLargest = 700;  // exp of more is infinite
  const Var z = cast(given, DType::F64);
  const Var zero = number(0, z);
  const Tensor low = whole(low_), high = whole(high_);
  const auto [has_low, has_high, both, one_end, any] = ends();
  const Var width = where(both, Var(high - low), number(1, z));
  const Var sign = where(has_low, number(1, z), number(-1, z));
  const Var far = exp(where(one_end, clamp(z * sign, -kLargest, kLargest), zero));
  const Var of_two = Var(low) + width * sigmoid(z);
  const Var of_one = where(has_low, Var(low) + far, Var(high) - far);
  // Rounding must not reach a bound: the next number beside it.
  constexpr double kNext = 0x1p-52, kTiny = 0x1p-1000;
  const Var first = Var(low + (abs(low) + kTiny) * kNext);
  const Var last = Var(high - (abs(high) + kTiny) * kNext);
  Var x = where(any, where(both, of_two, of_one), z);
  x = where(has_low, maximum(x, first), x);
  x = where(has_high, minimum(x, last), x);
  const Var log_slope =
      where(both, log(width) - softplus(z) - softplus(-z), where(one_end, z * sign, zero));
  return {x, cast(sum_event(log_slope), ends_.dtype())};
}

double Bounded::flops(const Shape& in) const {
  return 7.0 * static_cast<double>(in.numel());  // two differences, two logs, three sums
}

std::string Bounded::kind() const {
  const Tensor any = maximum(ends_.narrow(0, 0, 1), ends_.narrow(0, 1, 1));
  return str("Bounded(", sum(any).item(), " of ", ends_.dim(1), ")");
}

}  // namespace nf::flows
