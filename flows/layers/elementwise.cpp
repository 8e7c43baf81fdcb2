#include "flows/layers/elementwise.h"

#include "flows/layers/rows.h"

namespace nf::flows {

Elementwise::Elementwise(std::shared_ptr<ElementwiseMap> map, std::shared_ptr<nn::Layer> net)
    : map_(add_module("map", std::move(map))), net_(add_module("net", std::move(net))) {}

Var Elementwise::parameters_for(const Var& x, const Var& context) {
  NF_CHECK(x.rank() == 2 && context.defined(), "[Elementwise] needs rows (N, D) and a context");
  Var parameters = net_(context);
  const Shape expected = {x.dim(0), x.dim(1) * map_.parameters_per_dim()};
  NF_CHECK(parameters.shape() == expected, "[Elementwise] ", net_.kind(), " gives ",
           parameters.shape(), ", ", map_.kind(), " needs ", expected);
  return parameters;
}

Mapped Elementwise::forward(const Var& x, const Var& context) {
  return map_.forward(x, parameters_for(x, context));
}

Mapped Elementwise::inverse(const Var& z, const Var& context) {
  return map_.inverse(z, parameters_for(z, context));
}

Shape Elementwise::inspect(const Shape& in, const std::string& name,
                           std::vector<nn::LayerInfo>& rows) const {
  net_.inspect({in.dim(0), 0}, nn::join_names(name, "net"), rows);  // it knows its inputs
  rows.push_back({name, kind(), in, 0, map_.flops_per_dim() * static_cast<double>(in.numel())});
  return in;
}

// --- LearnedPrior -------------------------------------------------------------------------------

LearnedPrior::LearnedPrior(std::int64_t inputs, std::shared_ptr<ElementwiseMap> map,
                           std::shared_ptr<nn::Layer> net, bool given)
    : inputs_(inputs),
      given_(given),
      map_(add_module("map", std::move(map))),
      net_(add_module("net", std::move(net))) {}

Var LearnedPrior::parameters_for(const Var& x, const Var& context) {
  NF_CHECK(x.rank() == 4, "[LearnedPrior] needs images (N, H, W, C), got ", x.shape());
  NF_CHECK(!given_ || context.defined(), "[LearnedPrior] needs a context");
  const Shape expected = {x.dim(0), x.dim(1), x.dim(2), x.dim(3) * map_.parameters_per_dim()};
  const Shape pixels = {given_ ? x.dim(0) : 1, x.dim(1), x.dim(2), given_ ? 0 : inputs_};
  const Var zeros = Tensor::zeros(pixels, x.dtype(), x.device());
  const Var parameters = net_(given_ ? with_context(zeros, context) : zeros);
  NF_CHECK(parameters.rank() == 4 && parameters.dim(3) == expected.dim(3), "[LearnedPrior] ",
           net_.kind(), " gives ", parameters.shape(), ", ", map_.kind(), " needs ", expected);
  return broadcast_to(parameters, expected);
}

Mapped LearnedPrior::forward(const Var& x, const Var& context) {
  return map_.forward(x, parameters_for(x, context));
}

Mapped LearnedPrior::inverse(const Var& z, const Var& context) {
  return map_.inverse(z, parameters_for(z, context));
}

Shape LearnedPrior::inspect(const Shape& in, const std::string& name,
                            std::vector<nn::LayerInfo>& rows) const {
  net_.inspect({1, in.dim(1), in.dim(2), inputs_}, nn::join_names(name, "net"), rows);
  rows.push_back({name, kind(), in, 0, map_.flops_per_dim() * static_cast<double>(in.numel())});
  return in;
}

}  // namespace nf::flows
