#include "flows/layers/planar.h"

#include <cmath>

#include "flows/layers/rows.h"
#include "flows/maps/root.h"

namespace nf::flows {

namespace {

constexpr double kLeastSlope = 1e-4;  // of both layers: an inverse has digits left in f32
const double kSoftplusOne = std::log(std::expm1(1.0));  // softplus of it is 1

Var at_least(const Var& x, double least) {
  return maximum(x, Tensor::full({}, least, x.dtype(), x.device()));
}

Var positive(const Var& x) { return at_least(softplus(x), kLeastSlope); }

Var dot(const Var& a, const Var& b) { return sum(a * b, {1}, true); }  // (N, 1)

Var per_row(const Var& column) { return reshape(column, {column.dim(0)}); }

void check_planar_rows(const char* layer, const Var& x, std::int64_t dims) {
  NF_CHECK(x.rank() == 2, "[", layer, "] needs rows (N, D), got ", x.shape());
  check_dims(layer, x, dims);
}

// w of length 1 in any direction, u along it such that m(w.u) = 0, and a little beside that.
Tensor initial_planar(std::int64_t dims, Generator& gen) {
  const Tensor direction = normal(gen, {dims}), w = direction * rsqrt(sum_squares(direction));
  const Tensor u = w * kSoftplusOne + normal(gen, {dims}) * 0.1;
  return concat(std::vector<Tensor>{u, w, normal(gen, {1})}, 0);
}

// A center near the origin, alpha = 1 and beta' near 0.
Tensor initial_radial(std::int64_t dims, Generator& gen) {
  const Tensor center = normal(gen, {dims}) * 0.5,
               rest = normal(gen, {2}) * 0.1 + Tensor::full({2}, kSoftplusOne);
  return concat(std::vector<Tensor>{center, rest}, 0);
}

}  // namespace

// --- Planar -------------------------------------------------------------------------------------

Planar::Planar(std::int64_t dims, Generator& gen, std::int64_t context)
    : dims_(dims),
      parameters_(add_module(
          "parameters", std::make_shared<Amortised>(initial_planar(dims, gen), context, gen))) {}

Planar::Numbers Planar::numbers(const Var& x, const Var& context) const {
  check_planar_rows("Planar", x, dims_);
  const Var all = parameters_(context, x.dim(0));
  const Var u = narrow(all, 1, 0, dims_), w = narrow(all, 1, dims_, dims_);
  constexpr double kShortest = 1e-8;  // |w|^2
  const Var square_length = dot(w, w), a = dot(w, u);
  const Tensor none =
      less(square_length.value(), Tensor::full({}, kShortest, w.dtype(), w.device()));
  const auto unless = [&](const Var& then, const Var& otherwise) {
    return where(none, then, otherwise);
  };
  const Var zero = a.value().zeros_like(), one = a.value().zeros_like() + 1.0;
  const Var slope = positive(a);
  // m(a) - a = slope - 1 - a, where for large a one would be taken from the other.
  const Var more = maximum(softplus(-a), kLeastSlope - a) - 1.0;
  const Var added = more / at_least(square_length, kShortest);
  return {.w = unless(broadcast_to(zero, w.shape()), w),
          .b = narrow(all, 1, 2 * dims_, 1),
          .u = u + unless(zero, added) * w,
          .along = unless(zero, slope - 1.0),
          .slope = unless(one, slope)};
}

namespace {

// ln|1 + (1 - t^2) w.u'|
Var planar_log_det(const Var& t, const Var& slope) {
  const Var square_t = square(t);
  return per_row(log(square_t + (1.0 - square_t) * slope));
}

}  // namespace

Mapped Planar::forward(const Var& z, const Var& context) {
  const Numbers of = numbers(z, context);
  const Var t = tanh(dot(of.w, z) + of.b);
  return {z + of.u * t, planar_log_det(t, of.slope)};
}

Mapped Planar::inverse(const Var& y, const Var& context) {
  const Numbers of = numbers(y, context);
  const Var one = of.along.value().zeros_like() + 1.0, none = of.along.value().zeros_like();
  const Var t = tanh(tanh_step_root(dot(of.w, y) + of.b, of.along, one, none));
  return {y - of.u * t, -planar_log_det(t, of.slope)};
}

double Planar::flops(const Shape& in) const {
  const auto rows = static_cast<double>(in.dim(0)), d = static_cast<double>(dims_);
  // w.z + b, tanh, z + u' t, log_det; |w|^2, w.u, softplus twice, u'.
  return rows * (4 * d + 6) + (parameters_.given() ? rows : 1) * (6 * d + 8) +
         parameters_.flops(in);
}

// --- Radial -------------------------------------------------------------------------------------

Radial::Radial(std::int64_t dims, Generator& gen, std::int64_t context)
    : dims_(dims),
      parameters_(add_module(
          "parameters", std::make_shared<Amortised>(initial_radial(dims, gen), context, gen))) {}

Radial::Numbers Radial::numbers(const Var& x, const Var& context) const {
  check_planar_rows("Radial", x, dims_);
  const Var all = parameters_(context, x.dim(0));
  return {.center = narrow(all, 1, 0, dims_),
          .alpha = positive(narrow(all, 1, dims_, 1)),
          .reach = positive(narrow(all, 1, dims_ + 1, 1))};
}

namespace {

// |x|, (N, 1); at the origin its gradient is 0, which lies between those of its sides.
Var length(const Var& x) { return sqrt(at_least(dot(x, x), 1e-30)); }

}  // namespace

// 1 + beta' h = (r + reach) / (r + alpha), 1 + beta' alpha h^2 = (r^2 + 2 alpha r + alpha reach) /
// (r + alpha)^2: sums of what is positive.
Var Radial::log_det(const Var& r, const Numbers& of) const {
  const Var outer = log(r + of.alpha);
  const Var around = (log(r + of.reach) - outer) * static_cast<double>(dims_ - 1);
  const Var along = log(r * (r + of.alpha * 2.0) + of.alpha * of.reach) - outer * 2.0;
  return per_row(around + along);
}

Mapped Radial::forward(const Var& z, const Var& context) {
  const Numbers of = numbers(z, context);
  const Var from = z - of.center, r = length(from);
  return {z + from * ((of.reach - of.alpha) / (r + of.alpha)), log_det(r, of)};
}

Mapped Radial::inverse(const Var& y, const Var& context) {
  const Numbers of = numbers(y, context);
  const Var from = y - of.center, far = length(from);
  // r^2 + (reach - far) r - far alpha = 0, its positive root without cancellation.
  const Var d = far - of.reach;
  const Tensor outside = greater_equal(d.value(), d.value().zeros_like());
  const Var half = (where(outside, d, -d) + sqrt(square(d) + far * of.alpha * 4.0)) * 0.5;
  const Var r = where(outside, half, far * of.alpha / half);
  return {of.center + from * ((r + of.alpha) / (r + of.reach)), -log_det(r, of)};
}

double Radial::flops(const Shape& in) const {
  const auto rows = static_cast<double>(in.dim(0)), d = static_cast<double>(dims_);
  // z - c, r, the move, log_det; softplus twice, what only alpha and beta are in.
  return rows * (5 * d + 16) + (parameters_.given() ? rows : 1) * 7 + parameters_.flops(in);
}

}  // namespace nf::flows
