#include "flows/layers/permute.h"

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
  return {index_select(x, 1, order_), zero_log_det(x)};
}

Mapped Permute::inverse(const Var& z, const Var&) {
  check_dims("Permute", z, order_.numel());
  // Computed anew because loading a checkpoint may have changed the order.
  const std::vector<std::int32_t> order = order_.to_vector<std::int32_t>();
  std::vector<std::int32_t> back(order.size());
  for (std::size_t i = 0; i < order.size(); ++i) back[order[i]] = static_cast<std::int32_t>(i);
  const Tensor index = Tensor::from(back, order_.shape()).to(z.device());
  return {index_select(z, 1, index), zero_log_det(z)};
}

// --- InvertibleLinear
// -----------------------------------------------------------------------------

InvertibleLinear::InvertibleLinear(std::int64_t dims, Generator& gen)
    : matrix_(add_parameter(
          "matrix", nn::initial_weight({nn::Init::Kind::Orthogonal, 1}, gen, dims, dims))) {}

Mapped InvertibleLinear::forward(const Var& x, const Var&) {
  check_dims("InvertibleLinear", x, matrix_.dim(0));
  return {map_events(x, matrix_), broadcast_to(slogdet(matrix_), {x.dim(0)})};
}

Mapped InvertibleLinear::inverse(const Var& z, const Var&) {
  check_dims("InvertibleLinear", z, matrix_.dim(0));
  return {map_events(z, nf::inverse(matrix_)), broadcast_to(-slogdet(matrix_), {z.dim(0)})};
}

double InvertibleLinear::flops(const Shape& in) const {
  const double n = static_cast<double>(in.dim(0)), d = static_cast<double>(in.dim(1));
  return n * d * (2 * d - 1) + 2 * d * d * d / 3;  // the product, and LU for the determinant
}

}  // namespace nf::flows
