#include "flows/layers/factor_out.h"

#include "flows/layers/rows.h"

namespace nf::flows {

FactorOut::FactorOut(const Shape& image, std::shared_ptr<Transform> rest,
                     std::shared_ptr<ElementwiseMap> map, std::shared_ptr<nn::Layer> prior)
    : image_(image), rest_(add_module("rest", std::move(rest))) {
  NF_CHECK(image.rank() == 3 && image.dim(2) >= 2,
           "[FactorOut] needs images (H, W, C) of at least 2 channels, got ", image);
  NF_CHECK(rest_.exact(), "[FactorOut] ", rest_.kind(), " is no bijection");
  NF_CHECK((map == nullptr) == (prior == nullptr),
           "[FactorOut] a map needs a network for its parameters, and the network a map");
  leaving_ = {image.dim(0), image.dim(1), image.dim(2) / 2};
  stay_ = image.dim(2) - leaving_.dim(2);
  if (map) {
    map_ = &add_module("map", std::move(map));
    prior_ = &add_module("prior", std::move(prior));
  }
}

Var FactorOut::parameters_for(const Var& stays, const Var& context) {
  const Var parameters = (*prior_)(context.defined() ? with_context(stays, context) : stays);
  const Shape expected = {stays.dim(0), leaving_.dim(0), leaving_.dim(1),
                          leaving_.dim(2) * map_->parameters_per_dim()};
  NF_CHECK(parameters.shape() == expected, "[FactorOut] ", prior_->kind(), " gives ",
           parameters.shape(), ", ", map_->kind(), " needs ", expected);
  return parameters;
}

Mapped FactorOut::forward(const Var& x, const Var& context) {
  NF_CHECK(x.shape() == image_.with_inserted(0, x.dim(0)), "[FactorOut] expected images ", image_,
           ", got ", x.shape());
  const Var stays = narrow(x, 3, 0, stay_);
  Mapped left{narrow(x, 3, stay_, leaving_.dim(2)), {}};
  if (map_) left = map_->forward(left.value, parameters_for(stays, context));
  const Mapped rest = rest_(stays, context);
  const Var row = reshape(left.value, {x.dim(0), leaving_.numel()});
  return {concat({rest.value, row}, 1), map_ ? rest.log_det + left.log_det : rest.log_det};
}

Mapped FactorOut::inverse(const Var& z, const Var& context) {
  check_dims("FactorOut", z, image_.numel());
  const std::int64_t n = z.dim(0), left_dims = leaving_.numel(), dims = image_.numel() - left_dims;
  const Mapped rest = rest_.inverse(narrow(z, 1, 0, dims), context);
  Mapped left{reshape(narrow(z, 1, dims, left_dims), leaving_.with_inserted(0, n)), {}};
  if (map_) left = map_->inverse(left.value, parameters_for(rest.value, context));
  return {concat({rest.value, left.value}, 3), map_ ? rest.log_det + left.log_det : rest.log_det};
}

// Of what left: its latents (N, H, W, C/2) to its values; the gradient of `stays`, a leaf, grows.
Walked FactorOut::left_back(const Walked& at, const Tensor& dlog_det, const Var& stays,
                            const Var& context) {
  if (!map_) return at;
  const nn::Call call(*this);
  Var value;
  {
    const NoGrad no_grad;
    value = map_->inverse(Var(at.value), parameters_for(stays, context)).value;
  }
  const Var left = Var::leaf(value.value());
  Tape tape;
  run_back(tape, map_->forward(left, parameters_for(stays, context)), at.dvalue, dlog_det);
  return {left.value(), left.grad()};
}

Walked FactorOut::walk_back(const Walked& at, const Tensor& dlog_det, const Var& context) {
  const std::int64_t n = at.value.dim(0), left_dims = leaving_.numel();
  const std::int64_t dims = image_.numel() - left_dims;
  const Tensor dz = at.dvalue.defined() ? at.dvalue : at.value.zeros_like();
  const Walked rest =
      rest_.walk_back({at.value.narrow(1, 0, dims), dz.narrow(1, 0, dims)}, dlog_det, context);
  const Shape leaving = leaving_.with_inserted(0, n);
  const auto latents = [&](const Tensor& row) {
    return row.narrow(1, dims, left_dims).contiguous().reshape(leaving);
  };
  const Var stays = Var::leaf(rest.value);
  const Walked left = left_back({latents(at.value), latents(dz)}, dlog_det, stays, context);
  const Tensor more = stays.grad();
  const Tensor dstays = more.defined() ? rest.dvalue + more : rest.dvalue;
  return {concat(std::vector<Tensor>{rest.value, left.value}, 3),
          concat(std::vector<Tensor>{dstays, left.dvalue}, 3)};
}

void FactorOut::initialize(const Samples& x) {
  const auto staying = [&](std::int64_t first, std::int64_t count) {
    return x.part(first, count).narrow(3, 0, stay_).contiguous();
  };
  const auto place = [&](std::int64_t first, std::int64_t count) { x.place(first, count); };
  Samples::Part context;
  if (x.has_context()) {
    context = [&](std::int64_t first, std::int64_t count) { return x.context(first, count); };
  }
  rest_.initialize({x.size(), staying, place, context});
}

std::string FactorOut::kind() const {
  return str("FactorOut(", leaving_.dim(2), " of ", image_.dim(2), " channels leave",
             map_ ? str(", ", map_->kind()) : "", ")");
}

Shape FactorOut::inspect(const Shape& in, const std::string& name,
                         std::vector<nn::LayerInfo>& rows) const {
  const Shape stays = {in.dim(0), in.dim(1), in.dim(2), stay_};
  double flops = 0;
  if (map_) {
    prior_->inspect(stays, nn::join_names(name, "prior"), rows);
    flops = map_->flops_per_dim() * static_cast<double>(in.dim(0) * leaving_.numel());
  }
  rows.push_back({name, kind(), out_shape(in), 0, flops});
  rest_.inspect(stays, nn::join_names(name, "rest"), rows);
  return out_shape(in);
}

std::vector<std::int64_t> latents_from_scale(const nn::Module& flow, std::int64_t dims) {
  std::vector<std::int64_t> counts = {dims};
  flow.for_each_module([&](const std::string&, const nn::Module& module) {
    const auto* layer = dynamic_cast<const FactorOut*>(&module);
    if (layer) counts.push_back(counts.back() - layer->leaving());
  });
  return counts;
}

}  // namespace nf::flows
