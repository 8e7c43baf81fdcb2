#include "flows/layers/permute.h"

#include <numeric>
#include <utility>

#include "flows/layers/rows.h"
#include "nn/init.h"
#include "tensor/linalg.h"

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

Tensor below_diagonal(std::int64_t dims) {
  const Tensor row = Tensor::arange(dims);
  return greater(row.reshape({dims, 1}), row.reshape({1, dims})).to(DType::F32);
}

// P with P L U = A, of the swaps that lu() made.
Tensor permutation_of(const Tensor& pivots) {
  const std::vector<std::int32_t> swaps = pivots.to_vector<std::int32_t>();
  const std::size_t dims = swaps.size();
  std::vector<std::size_t> order(dims);
  std::iota(order.begin(), order.end(), 0);
  for (std::size_t i = 0; i < dims; ++i) std::swap(order[i], order[swaps[i]]);
  std::vector<float> p(dims * dims, 0);
  for (std::size_t i = 0; i < dims; ++i) p[order[i] * dims + i] = 1;
  return Tensor::from(p, {std::ssize(swaps), std::ssize(swaps)});
}

}  // namespace

InvertibleLu::InvertibleLu(std::int64_t dims, Generator& gen)
    : permutation_(add_buffer("permutation", Tensor::zeros({dims, dims}))),
      sign_(add_buffer("sign", Tensor::zeros({dims}))),
      below_(add_buffer("below", below_diagonal(dims))),
      lower_(add_parameter("lower", Tensor::zeros({dims, dims}))),
      upper_(add_parameter("upper", Tensor::zeros({dims, dims}))),
      log_scale_(add_parameter("log_scale", Tensor::zeros({dims}))) {
  const Tensor rotation =
      nn::initial_weight({nn::Init::Kind::Orthogonal, 1}, gen, dims, dims).to(DType::F64);
  const auto [packed, pivots] = lu(rotation);
  const Tensor on_diagonal = sum(packed * Tensor::eye(dims, DType::F64), {1});
  permutation_.copy_(permutation_of(pivots));
  sign_.copy_(sign(on_diagonal).to(DType::F32));
  lower_.mutable_value().copy_(packed.to(DType::F32) * below_);
  upper_.mutable_value().copy_(packed.to(DType::F32) * below_.t());
  log_scale_.mutable_value().copy_(log(abs(on_diagonal)).to(DType::F32));
}

Var InvertibleLu::matrix() const {
  const std::int64_t dims = sign_.numel();
  const Var one = Tensor::eye(dims, sign_.dtype()).to(sign_.device());
  const Var above = below_.transpose(0, 1).contiguous();
  const Var l = lower_ * Var(below_) + one;
  const Var u = upper_ * above + one * (exp(log_scale_) * Var(sign_));
  const FullPrecision full;
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
