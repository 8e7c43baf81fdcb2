#include "flows/layers/coupling.h"

namespace nf::flows {

Coupling::Coupling(Partition partition, std::shared_ptr<ElementwiseMap> map,
                   std::shared_ptr<nn::Layer> net)
    : partition_(std::move(partition)),
      map_(add_module("map", std::move(map))),
      net_(add_module("net", std::move(net))) {}

Var Coupling::parameters_for(const Var& passive, const Var& context) {
  Var parameters = net_(context.defined() ? concat({passive, context}, 1) : passive);
  const std::int64_t expected = partition_.active() * map_.parameters_per_dim();
  NF_CHECK(parameters.rank() == 2 && parameters.dim(1) == expected, "[Coupling] the conditioner ",
           net_.kind(), " gives ", parameters.shape(), ", ", map_.kind(), " needs (N, ", expected,
           ")");
  return parameters;
}

Mapped Coupling::forward(const Var& x, const Var& context) {
  const auto [passive, active] = partition_.split(x);
  const auto [value, log_det] = map_.forward(active, parameters_for(passive, context));
  return {partition_.join(passive, value), log_det};
}

Mapped Coupling::inverse(const Var& z, const Var& context) {
  const auto [passive, active] = partition_.split(z);
  const auto [value, log_det] = map_.inverse(active, parameters_for(passive, context));
  return {partition_.join(passive, value), log_det};
}

std::string Coupling::kind() const {
  return str("Coupling(", map_.kind(), ", ", partition_.text(), ")");
}

Shape Coupling::inspect(const Shape& in, const std::string& name,
                        std::vector<nn::LayerInfo>& rows) const {
  net_.inspect({in.dim(0), partition_.passive()}, nn::join_names(name, "net"), rows);
  const double changed = static_cast<double>(in.dim(0) * partition_.active());
  rows.push_back({name, kind(), in, 0, changed * map_.flops_per_dim()});
  return in;
}

}  // namespace nf::flows
