#include "flows/layers/autoregressive.h"

#include "flows/layers/rows.h"

namespace nf::flows {

Autoregressive::Autoregressive(std::shared_ptr<ElementwiseMap> map, std::shared_ptr<nn::Made> net)
    : map_(add_module("map", std::move(map))), net_(add_module("net", std::move(net))) {
  NF_CHECK(net_.options().outputs_per_dim == map_.parameters_per_dim(), "[Autoregressive] ",
           net_.kind(), " gives ", net_.options().outputs_per_dim, " numbers for each dimension, ",
           map_.kind(), " needs ", map_.parameters_per_dim());
}

void Autoregressive::check(const Var& x, const Var& context) const {
  const nn::MadeOptions& net = net_.options();
  NF_CHECK(x.rank() == 2 && x.dim(1) == net.dims, "[Autoregressive] expected rows (N, ", net.dims,
           "), got ", x.shape());
  if (net.context == 0) return;
  NF_CHECK(context.defined() && context.shape() == Shape({x.dim(0), net.context}),
           "[Autoregressive] needs a context (", x.dim(0), ", ", net.context, "), got ",
           context.defined() ? str(context.shape()) : "none");
}

Mapped Autoregressive::forward(const Var& x, const Var& context) {
  check(x, context);
  return map_.forward(x, net_(net_.options().context > 0 ? with_context(x, context) : x));
}

Mapped Autoregressive::inverse(const Var& z, const Var& context) {
  check(z, context);
  nn::MadeSweep sweep(net_, context, z.dim(0));
  Var log_det = zero_log_det(z);
  for (const std::int32_t d : net_.order()) {
    const auto [x, more] = map_.inverse(narrow(z, 1, d, 1), sweep.next());
    sweep.put(x);
    log_det = log_det + more;
  }
  return {sweep.inputs(), log_det};
}

std::string Autoregressive::kind() const {
  return str("Autoregressive(", map_.kind(), ", ", net_.options().dims, ")");
}

Shape Autoregressive::inspect(const Shape& in, const std::string& name,
                              std::vector<nn::LayerInfo>& rows) const {
  const nn::MadeOptions& net = net_.options();
  net_.inspect({in.dim(0), net.dims + net.context}, nn::join_names(name, "net"), rows);
  rows.push_back({name, kind(), in, map_.parameter_count(),
                  static_cast<double>(in.numel()) * map_.flops_per_dim()});
  return in;
}

}  // namespace nf::flows
