#include "flows/models/levels_density.h"

#include <algorithm>

#include "flows/initialize.h"
#include "flows/transform.h"

namespace nf::flows {

namespace {

Convention levels_convention(std::int64_t dims, int levels) {
  const std::string what =
      levels == 2 ? str(dims, " bits, 0 or 1") : str(dims, " levels, 0 to ", levels - 1);
  return {0, str("nats of ", what, "; exact; bits/dim = -nats/(", dims, " ln 2)")};
}

std::int64_t row_dims(const nn::CausalNet& net) { return net.places() * net.sizes().channels; }

}  // namespace

LevelsDensity::LevelsDensity(std::shared_ptr<nn::CausalNet> net,
                             std::shared_ptr<LevelOutputs> outputs, int levels,
                             std::shared_ptr<Condition> condition)
    : Density(row_dims(*net), levels_convention(row_dims(*net), levels), std::move(condition)),
      net_(add_module("net", std::move(net))),
      outputs_(std::move(outputs)),
      levels_(levels) {
  NF_CHECK(net_.sizes().outputs == outputs_->outputs(), "[LevelsDensity] ", net_.kind(), " gives ",
           net_.sizes().outputs, " numbers for each place; ", outputs_->kind(), " needs ",
           outputs_->outputs());
  net_.for_each_parameter([&](const std::string&, Var& p) { weight_ = &p; });
}

Var LevelsDensity::seen(const Var& levels) const {
  return levels_ == 2 ? levels : levels * (1.0 / (levels_ - 1));
}

Var LevelsDensity::log_prob(const Var& x, const Var& given) {
  NF_CHECK(x.rank() == 2 && x.dim(1) == dims(), "[LevelsDensity] expected rows (N, ", dims(),
           "), got ", x.shape());
  const std::int64_t n = x.dim(0);
  const Shape places = {n, net_.places(), net_.sizes().channels};
  const Var context = context_of(given, n);
  const Var levels(x.value().to(weight_->dtype()).reshape(places));
  return sum(outputs_->log_prob(levels, net_(seen(levels), context)), {1, 2});
}

Tensor LevelsDensity::sample(Generator& gen, std::int64_t n, double temperature, const Var& given) {
  constexpr std::int64_t kTogether = 256;  // a sweep keeps numbers of all its layers for each row
  NF_CHECK(n >= 1 && temperature >= 0, "[sample] needs n >= 1 and temperature >= 0, got ", n,
           " and ", temperature);
  const NoGrad no_grad;
  const std::int64_t each = outputs_->noise(), channels = net_.sizes().channels;
  const Var context = context_of(given, n);
  const Tensor noise = uniform(gen, {n, net_.places() * each}, weight_->dtype(), weight_->device());
  Tensor out = Tensor::empty({n, dims()}, weight_->dtype(), weight_->device());
  for (std::int64_t at = 0; at < n; at += kTogether) {
    const std::int64_t count = std::min(kTogether, n - at);
    const auto sweep = net_.sweep(context.defined() ? narrow(context, 0, at, count) : Var(), count);
    for (std::int64_t t = 0; t < net_.places(); ++t) {
      const Tensor u = noise.narrow(0, at, count).narrow(1, t * each, each);
      const Tensor x = outputs_->draw(sweep->next(), u, temperature);
      out.narrow(0, at, count).narrow(1, t * channels, channels).copy_(x);
      sweep->put(seen(x).value());
    }
  }
  return out;
}

void LevelsDensity::initialize(const Samples& rows) {
  initialize_condition(condition().get(), rows);
  if (levels_ == 2 && net_.biases_of_places()) {
    net_.biases_of_places()->mutable_value().copy_(log_odds(rows));
  }
}

std::int64_t LevelsDensity::initial_rows() const {
  const bool needed = condition() || (levels_ == 2 && net_.biases_of_places());
  return needed ? Transform::kAllRows : 0;
}

std::string LevelsDensity::kind() const {
  return str("LevelsDensity(", dims(), " levels of ", levels_, ")");
}

Shape LevelsDensity::inspect(const Shape& in, const std::string& name,
                             std::vector<nn::LayerInfo>& rows) const {
  const std::int64_t n = in.dim(0);
  const Shape places = {n, net_.places(), net_.sizes().channels};
  if (condition()) {
    condition()->inspect({n, condition()->given_dims()}, nn::join_names(name, "condition"), rows);
  }
  net_.inspect(places, nn::join_names(name, "net"), rows);
  rows.push_back({.name = nn::join_names(name, "levels"),
                  .kind = outputs_->kind(),
                  .out_shape = in,
                  .flops = outputs_->flops(places) + static_cast<double>(in.numel())});
  return in;
}

}  // namespace nf::flows
