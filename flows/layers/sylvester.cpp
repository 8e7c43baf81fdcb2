#include "flows/layers/sylvester.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "flows/layers/rows.h"
#include "flows/maps/root.h"

namespace nf::flows {

namespace {

using Basis = SylvesterOptions::Basis;

constexpr double kDiagonal = 0.9999;  // its bound: 1 + r r~ is positive in f32 too

std::int64_t triangle(std::int64_t n) { return n * (n + 1) / 2; }

// Numbers that Q is made of.
std::int64_t basis_numbers(const SylvesterOptions& options, std::int64_t rank) {
  switch (options.basis) {
    case Basis::Orthogonal:
      return options.dims * rank;
    case Basis::Householder:
      return options.reflections * options.dims;
    case Basis::Triangular:
      break;
  }
  return 0;
}

std::int64_t rank_of(const SylvesterOptions& options) {
  NF_CHECK(options.dims > 0 && options.columns > 0 && options.reflections > 0,
           "[Sylvester] needs dims, columns and reflections of at least 1, got ", options.dims,
           ", ", options.columns, " and ", options.reflections);
  return options.basis == Basis::Orthogonal ? std::min(options.dims, options.columns)
                                            : options.dims;
}

// Where the packed numbers of an upper triangle stand: M of the diagonal, then those above it row
// by row, then a 0 for all below.
Tensor packed_places(std::int64_t rank) {
  const auto zero = static_cast<std::int32_t>(triangle(rank));
  auto next = static_cast<std::int32_t>(rank);
  std::vector<std::int32_t> places;
  for (std::int64_t i = 0; i < rank; ++i) {
    for (std::int64_t j = 0; j < rank; ++j) {
      places.push_back(j == i ? static_cast<std::int32_t>(i) : j > i ? next++ : zero);
    }
  }
  return Tensor::from(places, {rank * rank});
}

// R, R~ and b small, Q at random.
Tensor initial_sylvester(const SylvesterOptions& options, std::int64_t rank, Generator& gen) {
  const double small = 0.1 / std::sqrt(static_cast<double>(rank));
  return concat(std::vector<Tensor>{normal(gen, {2 * triangle(rank) + rank}) * small,
                                    normal(gen, {basis_numbers(options, rank)})},
                0);
}

// (.., D, M) with orthonormal columns, of any matrix with independent ones.
Var orthonormal(Var q) {
  constexpr int kSteps = 100;
  const std::int64_t rank = q.dim(2);
  const Tensor one = Tensor::eye(rank, q.dtype()).to(q.device());
  const double off = q.dtype() == DType::F32 ? 1e-4 : 1e-7;
  const Tensor allowed = Tensor::full({}, off * off, q.dtype(), q.device());
  q = q * rsqrt(sum_squares(q, {1, 2}, true));  // no singular value is above 1
  Tensor finished = Tensor::zeros({q.dim(0), 1, 1}, DType::U8, q.device());
  for (int i = 0; i < kSteps; ++i) {
    const Var missing = Var(one) - matmul(transpose(q, 1, 2), q);
    const Tensor near = less_equal(sum_squares(missing.value(), {1, 2}, true), allowed);
    q = where(finished, q, q + matmul(q, missing) * 0.5);  // what is found stays, row by row
    finished = near;
    if (sum(near.to(DType::F32)).item() == static_cast<double>(near.numel())) return q;
  }
  return where(finished, q,
               Tensor::full({}, std::numeric_limits<double>::quiet_NaN(), q.dtype(), q.device()));
}

// (.., H, D) of length 1, or 0 for what has no length: no reflection.
Var unit_rows(const Var& v) {
  const Var square_length = sum_squares(v, {2}, true);
  const Tensor tiny = Tensor::full({}, 1e-30, v.dtype(), v.device());
  const Tensor none = less(square_length.value(), tiny);
  return v * where(none, tiny.zeros_like(), rsqrt(maximum(square_length, tiny)));
}

}  // namespace

Sylvester::Sylvester(const SylvesterOptions& options, Generator& gen)
    : options_(options),
      rank_(rank_of(options)),
      places_(packed_places(rank_)),
      parameters_(add_module("parameters",
                             std::make_shared<Amortised>(initial_sylvester(options, rank_, gen),
                                                         options.context, gen))) {}

// (.., M, M) of the packed numbers (.., M (M + 1) / 2), the first M being the diagonal.
Var Sylvester::upper(const Var& packed) const {
  const Var zero = Tensor::zeros({packed.dim(0), 1}, packed.dtype(), packed.device());
  const Var all = index_select(concat({packed, zero}, 1), 1, places_.to(packed.device()));
  return reshape(all, {packed.dim(0), rank_, rank_});
}

Sylvester::Numbers Sylvester::numbers(const Var& x, const Var& context) const {
  NF_CHECK(x.rank() == 2, "[Sylvester] needs rows (N, D), got ", x.shape());
  check_dims("Sylvester", x, options_.dims);
  const Var all = parameters_(context, x.dim(0));
  const std::int64_t size = triangle(rank_), above = size - rank_;
  const auto some = [&](std::int64_t first, std::int64_t count) {
    return narrow(all, 1, first, count);
  };
  const Var r = tanh(some(0, rank_)) * kDiagonal, r_tilde = tanh(some(size, rank_)) * kDiagonal;
  Numbers of = {.r = upper(concat({r, some(rank_, above)}, 1)),
                .r_tilde = upper(concat({r_tilde, some(size + rank_, above)}, 1)),
                .bias = some(2 * size, rank_),
                .slopes = r * r_tilde + 1.0,
                .q = {}};
  if (options_.basis == Basis::Triangular) return of;
  const std::int64_t d = options_.dims, count = basis_numbers(options_, rank_);
  const Var q = some(2 * size + rank_, count);
  of.q = options_.basis == Basis::Orthogonal ? orthonormal(reshape(q, {q.dim(0), d, rank_}))
                                             : unit_rows(reshape(q, {q.dim(0), count / d, d}));
  return of;
}

// Rows (N, K) beside the numbers of all (1, ..) or of each (N, ..): (1, N, K) or (N, 1, K).
Var Sylvester::lifted(const Var& x) const {
  return parameters_.given() ? reshape(x, {x.dim(0), 1, x.dim(1)})
                             : reshape(x, {1, x.dim(0), x.dim(1)});
}

namespace {

// Row vectors times I - 2 v v^T, v the i-th of (.., H, D).
Var reflected(const Var& x, const Var& units, std::int64_t i) {
  const Var v = narrow(units, 1, i, 1);
  return x - sum(x * v, {2}, true) * v * 2.0;
}

}  // namespace

// Rows z to rows Q^T z, lifted.
Var Sylvester::to_basis(Var x, const Numbers& of) const {
  if (options_.basis == Basis::Orthogonal) return matmul(x, of.q);
  if (options_.basis == Basis::Triangular) return options_.reversed ? flip(x, 2) : x;
  for (std::int64_t i = 0; i < options_.reflections; ++i) x = reflected(x, of.q, i);
  return x;
}

// Rows v to rows Q v, lifted.
Var Sylvester::from_basis(Var v, const Numbers& of) const {
  if (options_.basis == Basis::Orthogonal) return matmul(v, transpose(of.q, 1, 2));
  if (options_.basis == Basis::Triangular) return options_.reversed ? flip(v, 2) : v;
  for (std::int64_t i = options_.reflections; i-- > 0;) v = reflected(v, of.q, i);
  return v;
}

namespace {

// (N): sum of ln(1 + (1 - t^2) r r~), of t and slopes (N or 1, M), without cancellation.
Var sylvester_log_det(const Var& t, const Var& slopes) {
  const Var square_t = square(t);
  return sum(log(square_t + (1.0 - square_t) * slopes), {1});
}

}  // namespace

Mapped Sylvester::forward(const Var& z, const Var& context) {
  const FullPrecision full;
  const Numbers of = numbers(z, context);
  const Shape rows = {z.dim(0), rank_};
  const Var v = to_basis(lifted(z), of);
  const Var t = tanh(reshape(matmul(v, transpose(of.r_tilde, 1, 2)), rows) + of.bias);
  const Var step = from_basis(matmul(lifted(t), transpose(of.r, 1, 2)), of);
  return {z + reshape(step, z.shape()), sylvester_log_det(t, of.slopes)};
}

Mapped Sylvester::inverse(const Var& y, const Var& context) {
  const FullPrecision full;
  const Numbers of = numbers(y, context);
  const Var w = reshape(to_basis(lifted(y), of), {y.dim(0), rank_});
  const std::int64_t own = of.r.dim(0);
  const auto column = [&](const Var& matrix, std::int64_t i) {
    return reshape(narrow(matrix, 2, i, 1), {own, rank_});
  };
  const auto number = [](const Var& rows, std::int64_t i) { return narrow(rows, 1, i, 1); };
  // R tanh(..) and R~ v + b of what is known: v_i needs those behind it alone.
  Var step = w.value().zeros_like(), before = step + of.bias;
  std::vector<Var> ts(static_cast<std::size_t>(rank_));
  for (std::int64_t i = rank_; i-- > 0;) {
    const Var r = column(of.r, i), r_tilde = column(of.r_tilde, i);
    const Var q = number(r_tilde, i), c = number(before, i);
    const Var v = tanh_step_root(number(w, i) - number(step, i), number(r, i), q, c);
    const Var t = tanh(q * v + c);
    ts[static_cast<std::size_t>(i)] = t;
    step = step + t * r;
    before = before + v * r_tilde;
  }
  const Var back = reshape(from_basis(lifted(step), of), y.shape());
  return {y - back, -sylvester_log_det(concat(ts, 1), of.slopes)};
}

std::string Sylvester::kind() const {
  const std::string of = str("Sylvester(", options_.dims, ", ");
  switch (options_.basis) {
    case Basis::Orthogonal:
      return str(of, rank_, " orthogonal)");
    case Basis::Householder:
      return str(of, options_.reflections, " reflections)");
    case Basis::Triangular:
      break;
  }
  return str(of, options_.reversed ? "triangular, reversed)" : "triangular)");
}

double Sylvester::flops(const Shape& in) const {
  const auto rows = static_cast<double>(in.dim(0)), d = static_cast<double>(options_.dims),
             m = static_cast<double>(rank_);
  const double sets = parameters_.given() ? rows : 1;
  double basis = 0, making = 4 * m;  // Q^T z and Q v; Q, R and R~
  if (options_.basis == Basis::Orthogonal) {
    constexpr double kUsualSteps = 10;
    basis = m * (2 * d - 1) + d * (2 * m - 1);
    making += kUsualSteps * (4 * d * m * m + 2 * d * m);
  } else if (options_.basis == Basis::Householder) {
    const auto h = static_cast<double>(options_.reflections);
    basis = 2 * h * 4 * d;
    making += h * 3 * d;
  }
  return rows * (basis + 2 * m * (2 * m - 1) + 8 * m + d) + sets * making + parameters_.flops(in);
}

}  // namespace nf::flows
