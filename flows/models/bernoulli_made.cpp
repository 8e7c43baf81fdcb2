#include "flows/models/bernoulli_made.h"

#include "flows/initialize.h"
#include "flows/layers/level_outputs.h"
#include "flows/layers/rows.h"
#include "flows/transform.h"

namespace nf::flows {

BernoulliMade::BernoulliMade(std::shared_ptr<nn::Made> net, std::shared_ptr<Condition> condition)
    : Density(net->options().dims,
              {0, str("nats of ", net->options().dims, " bits, 0 or 1; exact; bits/dim = -nats/(",
                      net->options().dims, " ln 2)")},
              std::move(condition)),
      net_(add_module("net", std::move(net))) {
  NF_CHECK(net_.options().outputs_per_dim == 1, "[BernoulliMade] ", net_.kind(), " gives ",
           net_.options().outputs_per_dim, " numbers for each bit; it needs one, the logit");
  net_.for_each_parameter([&](const std::string&, Var& p) { weight_ = &p; });
}

Var BernoulliMade::log_prob(const Var& x, const Var& given) {
  NF_CHECK(x.rank() == 2 && x.dim(1) == dims(), "[BernoulliMade] expected rows (N, ", dims(),
           "), got ", x.shape());
  const Var context = context_of(given, x.dim(0));
  const Var bits(x.value().to(weight_->dtype()));
  const Var logits = net_(net_.options().context > 0 ? with_context(bits, context) : bits);
  return sum(bernoulli_log_prob(bits, logits), {1});
}

// A bit is 1 where its logit and logistic noise L are above 0 together: P(L > -l) = sigmoid(l).
Tensor BernoulliMade::sample(Generator& gen, std::int64_t n, double temperature, const Var& given) {
  NF_CHECK(n >= 1 && temperature >= 0, "[sample] needs n >= 1 and temperature >= 0, got ", n,
           " and ", temperature);
  const NoGrad no_grad;
  const Tensor noise =
      logistic(gen, {n, dims()}, weight_->dtype(), weight_->device()) * temperature;
  nn::MadeSweep sweep(net_, context_of(given, n), n);
  for (const std::int32_t d : net_.order()) {
    const Tensor logit = sweep.next().value() + noise.narrow(1, d, 1);
    sweep.put(greater(logit, logit.zeros_like()).to(logit.dtype()));
  }
  return sweep.inputs().value();
}

void BernoulliMade::initialize(const Samples& rows) {
  initialize_condition(condition().get(), rows);
  net_.last_bias().mutable_value().copy_(log_odds(rows));
}

std::int64_t BernoulliMade::initial_rows() const { return Transform::kAllRows; }

std::string BernoulliMade::kind() const { return str("BernoulliMade(", dims(), " bits)"); }

Shape BernoulliMade::inspect(const Shape& in, const std::string& name,
                             std::vector<nn::LayerInfo>& rows) const {
  const std::int64_t n = in.dim(0);
  if (condition()) {
    condition()->inspect({n, condition()->given_dims()}, nn::join_names(name, "condition"), rows);
  }
  net_.inspect({n, dims() + net_.options().context}, nn::join_names(name, "net"), rows);
  rows.push_back(
      {nn::join_names(name, "bits"), kind(), in, 0, 4.0 * static_cast<double>(in.numel())});
  return in;
}

}  // namespace nf::flows
