#include "flows/layers/elementwise.h"

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

}  // namespace nf::flows
