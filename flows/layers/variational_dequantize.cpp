#include "flows/layers/variational_dequantize.h"

#include "flows/layers/rows.h"

namespace nf::flows {

VariationalDequantize::VariationalDequantize(const Generator& noise,
                                             std::shared_ptr<Transform> flow, const Shape& sample,
                                             int levels)
    : Dequantize(noise, levels), flow_(add_module("flow", std::move(flow))), sample_(sample) {
  NF_CHECK(flow_.exact(), "[VariationalDequantize] ", flow_.kind(),
           " is no bijection: the density ", "of the noise that it makes is not known");
  NF_CHECK(flow_.out_shape(batch_of(1)) == batch_of(1), "[VariationalDequantize] ", flow_.kind(),
           " makes ", flow_.out_shape(batch_of(1)), " of ", batch_of(1),
           "; noise must keep the shape of a sample");
}

// e of each number of x, in rows as x.
Tensor VariationalDequantize::draw_noise(const Tensor& x) {
  return logistic(noise(), x.shape(), x.dtype(), x.device());
}

// c, what the flow sees of x.
Tensor VariationalDequantize::seen(const Tensor& x) const {
  return affine(x, 2.0 / (levels() - 1), -1).reshape(batch_of(x.dim(0)));
}

std::pair<Tensor, Tensor> VariationalDequantize::draw_with_levels(const Tensor& x) {
  const Tensor levels = as_floats(x);
  return {draw_noise(levels).reshape(batch_of(x.dim(0))), seen(levels)};
}

Mapped VariationalDequantize::forward(const Var& x, const Var&) {
  check_dims("VariationalDequantize", x, sample_.numel());
  const Tensor levels = as_floats(x.value()), e = draw_noise(levels);
  const auto [image, log_det] = flow_(e.reshape(batch_of(x.dim(0))), seen(levels));
  const Var z = reshape(image, x.shape());
  // In this order equal numbers cancel: a flow that is the identity gives 0.
  return {between_levels(levels, sigmoid(z)),
          log_det + (base_.log_prob(z) - base_.log_prob(Var(e)))};
}

Mapped VariationalDequantize::forward_rows(const Tensor& data, const Tensor& rows, const Var&) {
  return forward(index_select(data, 0, rows));
}

void VariationalDequantize::initialize(const Samples& x) {
  const auto levels = [&](std::int64_t first, std::int64_t count) {
    return as_floats(x.part(first, count));
  };
  const auto noise = [&](std::int64_t first, std::int64_t count) {
    return draw_noise(levels(first, count)).reshape(batch_of(count));
  };
  const auto beside = [&](std::int64_t first, std::int64_t count) {
    return seen(levels(first, count));
  };
  const auto place = [&](std::int64_t first, std::int64_t count) { x.place(first, count); };
  flow_.initialize({x.size(), noise, place, beside});
}

double VariationalDequantize::flops(const Shape& in) const {
  // c: times, minus; the sigmoid; both densities, and their difference; x + u, below x + 1.
  return 5.0 * static_cast<double>(in.numel()) + 2 * base_.flops(in) +
         2.0 * static_cast<double>(in.dim(0));
}

Shape VariationalDequantize::inspect(const Shape& in, const std::string& name,
                                     std::vector<nn::LayerInfo>& rows) const {
  flow_.inspect(batch_of(in.dim(0)), nn::join_names(name, "flow"), rows);
  rows.push_back({name, kind(), in, 0, flops(in)});
  return in;
}

}  // namespace nf::flows
