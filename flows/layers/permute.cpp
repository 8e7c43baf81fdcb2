#include "flows/layers/permute.h"

#include <cmath>
#include <utility>

#include "flows/layers/rows.h"
#include "nn/init.h"

namespace nf::flows {

// --- Permute
// --------------------------------------------------------------------------------------

Permute::Permute(const std::vector<std::int32_t>& order)
    : order_(add_buffer("order", Tensor::from(order, {static_cast<std::int64_t>(order.size())}))) {
  std::vector<bool> seen(order.size(), false);
  for (std::int32_t i : order) {
    NF_CHECK(i >= 0 && i < static_cast<std::int32_t>(order.size()) && !seen[i],
             "[Permute] the order must hold each of 0..", order.size() - 1, " once; ", i,
             " is out of range or repeated");
    seen[i] = true;
  }
}

std::shared_ptr<Permute> Permute::reverse(std::int64_t dims) {
  std::vector<std::int32_t> order;
  for (std::int64_t i = dims; i-- > 0;) order.push_back(static_cast<std::int32_t>(i));
  return std::make_shared<Permute>(order);
}

std::shared_ptr<Permute> Permute::random(std::int64_t dims, Generator& gen) {
  return std::make_shared<Permute>(permutation(gen, dims).to_vector<std::int32_t>());
}

Mapped Permute::forward(const Var& x, const Var&) {
  check_dims("Permute", x, order_.numel());
  return {index_select(x, x.rank() - 1, order_), zero_log_det(x)};
}

Mapped Permute::inverse(const Var& z, const Var&) {
  check_dims("Permute", z, order_.numel());
  // Computed anew because loading a checkpoint may have changed the order.
  const std::vector<std::int32_t> order = order_.to_vector<std::int32_t>();
  std::vector<std::int32_t> back(order.size());
  for (std::size_t i = 0; i < order.size(); ++i) back[order[i]] = static_cast<std::int32_t>(i);
  const Tensor index = Tensor::from(back, order_.shape()).to(z.device());
  return {index_select(z, z.rank() - 1, index), zero_log_det(z)};
}

// --- InvertibleLinear
// -----------------------------------------------------------------------------

namespace {

double events_of(const Shape& in) {
  return static_cast<double>(in.numel()) / static_cast<double>(in.dim(-1));
}

}  // namespace

InvertibleLinear::InvertibleLinear(std::int64_t dims, Generator& gen)
    : matrix_(add_parameter(
          "matrix", nn::initial_weight({nn::Init::Kind::Orthogonal, 1}, gen, dims, dims))) {}

Mapped InvertibleLinear::forward(const Var& x, const Var&) {
  check_dims("InvertibleLinear", x, matrix_.dim(0));
  return {map_events(x, matrix_), log_det_of_pixels(slogdet(matrix_), x)};
}

Mapped InvertibleLinear::inverse(const Var& z, const Var&) {
  check_dims("InvertibleLinear", z, matrix_.dim(0));
  return {map_events(z, nf::inverse(matrix_)), log_det_of_pixels(-slogdet(matrix_), z)};
}

double InvertibleLinear::flops(const Shape& in) const {
  const auto d = static_cast<double>(in.dim(-1));
  // The product, and LU for the determinant.
  return events_of(in) * d * (2 * d - 1) + 2 * d * d * d / 3;
}

// --- InvertibleLu
// ---------------------------------------------------------------------------------

namespace {

// 1 on the diagonal, or below it.
Tensor diagonal(std::int64_t dims) {
  const Tensor row = Tensor::arange(dims);
  return equal(row.reshape({dims, 1}), row.reshape({1, dims})).to(DType::F32);
}
Tensor below_diagonal(std::int64_t dims) {
  const Tensor row = Tensor::arange(dims);
  return greater(row.reshape({dims, 1}), row.reshape({1, dims})).to(DType::F32);
}

// P, L, U with P L U = a, by rows of partial pivoting in f64.
struct Factors {
  std::vector<double> p, l, u;
};
Factors factors_of(const Tensor& a) {
  const std::int64_t d = a.dim(0);
  std::vector<double> u = a.to(DType::F64).to_vector<double>();
  std::vector<double> l(static_cast<std::size_t>(d * d), 0), p = l;
  std::vector<std::int64_t> order(static_cast<std::size_t>(d));
  for (std::int64_t i = 0; i < d; ++i) order[i] = i;
  for (std::int64_t k = 0; k < d; ++k) {
    std::int64_t best = k;
    for (std::int64_t i = k + 1; i < d; ++i) {
      if (std::abs(u[i * d + k]) > std::abs(u[best * d + k])) best = i;
    }
    for (std::int64_t j = 0; j < d; ++j) {
      std::swap(u[k * d + j], u[best * d + j]);
      std::swap(l[k * d + j], l[best * d + j]);
    }
    std::swap(order[k], order[best]);
    for (std::int64_t i = k + 1; i < d; ++i) {
      const double factor = u[i * d + k] / u[k * d + k];
      l[i * d + k] = factor;
      for (std::int64_t j = k; j < d; ++j) u[i * d + j] -= factor * u[k * d + j];
    }
  }
  for (std::int64_t i = 0; i < d; ++i) p[order[i] * d + i] = 1;
  return {p, l, u};
}

}  // namespace

InvertibleLu::InvertibleLu(std::int64_t dims, Generator& gen)
    : permutation_(add_buffer("permutation", Tensor::zeros({dims, dims}))),
      sign_(add_buffer("sign", Tensor::zeros({dims}))),
      below_(add_buffer("below", below_diagonal(dims))),
      lower_(add_parameter("lower", Tensor::zeros({dims, dims}))),
      upper_(add_parameter("upper", Tensor::zeros({dims, dims}))),
      log_scale_(add_parameter("log_scale", Tensor::zeros({dims}))) {
  const Factors found =
      factors_of(nn::initial_weight({nn::Init::Kind::Orthogonal, 1}, gen, dims, dims));
  const Tensor l = Tensor::from(found.l, {dims, dims}), u = Tensor::from(found.u, {dims, dims});
  const Tensor on_diagonal = sum(u * diagonal(dims).to(DType::F64), {1});
  permutation_.copy_(Tensor::from(found.p, {dims, dims}).to(DType::F32));
  sign_.copy_(sign(on_diagonal).to(DType::F32));
  lower_.mutable_value().copy_(l.to(DType::F32));
  upper_.mutable_value().copy_((u.to(DType::F32) * below_.transpose(0, 1)).contiguous());
  log_scale_.mutable_value().copy_(log(abs(on_diagonal)).to(DType::F32));
}

Var InvertibleLu::matrix() const {
  const std::int64_t dims = sign_.numel();
  const Var one = diagonal(dims).to(sign_.device()).to(sign_.dtype());
  const Var above = below_.transpose(0, 1).contiguous();
  const Var l = lower_ * Var(below_) + one;
  const Var u = upper_ * above + one * (exp(log_scale_) * Var(sign_));
  const FullPrecision full(sign_.device());
  return matmul(Var(permutation_), matmul(l, u));
}

Mapped InvertibleLu::forward(const Var& x, const Var&) {
  check_dims("InvertibleLu", x, sign_.numel());
  return {map_events(x, matrix()), log_det_of_pixels(sum(log_scale_), x)};
}

Mapped InvertibleLu::inverse(const Var& z, const Var&) {
  check_dims("InvertibleLu", z, sign_.numel());
  return {map_events(z, nf::inverse(matrix())), log_det_of_pixels(-sum(log_scale_), z)};
}

double InvertibleLu::flops(const Shape& in) const {
  const auto d = static_cast<double>(in.dim(-1));
  // The product with x; two for the matrix, with its masks; exp and the sum of the diagonal.
  return events_of(in) * d * (2 * d - 1) + 2 * d * d * (2 * d - 1) + 5 * d * d + 3 * d;
}

}  // namespace nf::flows
