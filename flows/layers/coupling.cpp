#include "flows/layers/coupling.h"

#include <algorithm>

#include "flows/layers/rows.h"

namespace nf::flows {

Coupling::Coupling(Partition partition, std::shared_ptr<ElementwiseMap> map,
                   std::shared_ptr<nn::Layer> net)
    : partition_(std::move(partition)),
      map_(add_module("map", std::move(map))),
      net_(add_module("net", std::move(net))) {}

Var Coupling::shown(const Var& passive, const Var& context) const {
  const Var pixels = partition_.shown(passive);
  if (!context.defined()) return pixels;
  return with_context(pixels, context.rank() > 2 ? partition_.beside(context) : context);
}

Var Coupling::parameters_for(const Var& passive, const Var& context) {
  const Var answer = net_(shown(passive, context));
  const std::int64_t expected = partition_.active() * map_.parameters_per_dim();
  NF_CHECK(answer.rank() == passive.rank() && answer.dim(-1) == expected,
           "[Coupling] the conditioner ", net_.kind(), " gives ", answer.shape(), ", ", map_.kind(),
           " needs (N, ..., ", expected, ")");
  return partition_.of_active(answer);
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

void Coupling::initialize(const Samples& x) {
  const std::int64_t rows = std::min(x.size(), net_.initial_rows());
  if (rows == 0) return;
  const auto [passive, active] = partition_.split(Var(x.part(0, rows)));
  net_.initialize(shown(passive, x.context(0, rows)));
}

std::string Coupling::kind() const {
  return str("Coupling(", map_.kind(), ", ", partition_.text(), ")");
}

Shape Coupling::inspect(const Shape& in, const std::string& name,
                        std::vector<nn::LayerInfo>& rows) const {
  net_.inspect(partition_.shown_shape(in), nn::join_names(name, "net"), rows);
  const auto changed = static_cast<double>(partition_.active_shape(in).numel());
  rows.push_back({name, kind(), in, map_.parameter_count(), changed * map_.flops_per_dim()});
  return in;
}

}  // namespace nf::flows
