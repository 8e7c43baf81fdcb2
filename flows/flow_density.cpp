#include "flows/flow_density.h"

#include "flows/compose.h"
#include "flows/initialize.h"
#include "tensor/philox.h"
#include "tensor/text.h"

namespace nf::flows {

FlowDensity::FlowDensity(std::shared_ptr<Transform> transform, std::shared_ptr<Base> base,
                         std::int64_t dims, Convention convention,
                         std::shared_ptr<Condition> condition)
    : Density(dims, std::move(convention), std::move(condition)),
      transform_(std::move(transform)),
      base_(std::move(base)) {
  add_module("", transform_);
  add_module("base", base_);
  std::map<std::uint64_t, std::string> streams;
  for_each_generator([&](const std::string& name, const Generator& gen) {
    const auto [other, added] = streams.emplace(gen.stream(), name);
    NF_CHECK(added, "[Density] the generators ", other->second, " and ", name,
             " have the same stream, ", gen.stream(),
             ": they would draw the same numbers; make them as Generator(seed, 1), (seed, 2), ..");
  });
}

DType FlowDensity::parameter_type() {
  DType dtype = DType::F64;
  for_each_parameter([&](const std::string&, Var& p) { dtype = p.dtype(); });
  return dtype;
}

Var FlowDensity::entering(const Var& x) {
  if (x.dtype() != DType::F64 || transform_->takes_f64()) return x;
  return cast(x, parameter_type());
}

void FlowDensity::check_rows(const Tensor& x) const {
  NF_CHECK(x.rank() == 2 && x.dim(1) == dims(), "[log_prob] the model is for data of shape (N, ",
           dims(), "), got ", x.shape());
}

Var FlowDensity::base_log_prob(const Var& z) {
  const nn::Call call(*base_);
  return base_->log_prob(z);
}

Var FlowDensity::log_prob(const Var& x, const Var& given) {
  check_rows(x.value());
  const auto [z, log_det] = (*transform_)(entering(x), context_of(given, x.dim(0)));
  return base_log_prob(z) + log_det;
}

Var FlowDensity::log_prob_rows(const Tensor& data, const Tensor& rows, const Tensor& given) {
  check_rows(data);
  if (data.dtype() == DType::F64) return Density::log_prob_rows(data, rows, given);
  const Var context = context_of(given_rows(given, rows), rows.dim(0));
  const auto [z, log_det] = transform_->call_rows(data, rows, context);
  return base_log_prob(z) + log_det;
}

Tensor FlowDensity::sample(Generator& gen, std::int64_t n, double temperature, const Var& given) {
  NF_CHECK(n >= 1 && temperature >= 0, "[sample] needs n >= 1 and temperature >= 0, got ", n,
           " and ", temperature);
  Generator noise = data_noise(gen);
  if (!lossless()) noise.place({}, gen.offset());
  return draw_data(base_->sample(gen, n, latent_dims(), temperature).to(device()), noise, given);
}

Density::Drawn FlowDensity::draw(Generator& gen, std::int64_t n, const Var& given) {
  NF_CHECK(transform_->exact(), "[draw] a layer of the model draws noise, which has no inverse ",
           "with a density");
  const Var z = base_->sample(gen, n, latent_dims(), 1, device()).to(parameter_type());
  const auto [x, log_det] = transform_->inverse(z, context_of(given, n));
  return {x, base_log_prob(z) - log_det};
}

void FlowDensity::initialize(const Samples& rows) {
  const NoGrad no_grad;
  initialize_condition(condition().get(), rows);
  const auto part = [&](std::int64_t first, std::int64_t count) {
    return entering(rows.part(first, count)).value();
  };
  const auto place = [&](std::int64_t first, std::int64_t count) { rows.place(first, count); };
  const auto context = [&](std::int64_t first, std::int64_t count) {
    return context_of(rows.context(first, count), count).value();
  };
  transform_->initialize(
      {rows.size(), part, place, rows.has_context() ? Samples::Part(context) : Samples::Part()});
}

std::int64_t FlowDensity::initial_rows() const {
  return condition() ? Transform::kAllRows : transform_->initial_rows();
}

Tensor FlowDensity::encode(const Tensor& x, const Var& given) {
  const NoGrad no_grad;
  return transform_->encode(entering(x), context_of(given, x.dim(0))).value();
}

Tensor FlowDensity::decode(const Tensor& z, const Var& given) {
  const NoGrad no_grad;
  return transform_->inverse(Var(z), context_of(given, z.dim(0))).value.value();
}

Var FlowDensity::context(const Tensor& given, std::int64_t n) {
  const NoGrad no_grad;
  return context_of(given.defined() ? Var(given.to(device())) : Var(), n);
}

// What is new is in train mode, and an Examination of it would leave the shared layers in that.
std::shared_ptr<FlowDensity> FlowDensity::in_the_same_mode(
    std::shared_ptr<FlowDensity> other) const {
  other->train(training());
  return other;
}

std::int64_t FlowDensity::latent_dims() const {
  return lossless() ? dims() : transform_->out_shape({1, dims()}).dim(1);
}

Tensor FlowDensity::draw_data(const Tensor& z, Generator& gen, const Var& given) {
  const NoGrad no_grad;
  return transform_->draw(Var(z), gen, context_of(given, z.dim(0))).value();
}

Generator FlowDensity::data_noise(const Generator& gen) {
  constexpr std::uint64_t kStream = 0x64617461;  // "data"
  return Generator(gen.seed(), round_stream(kStream, gen.stream()));
}

std::shared_ptr<FlowDensity> FlowDensity::continuous() const {
  NF_CHECK(lossless(), "[continuous] the model draws data given latents: there is no ",
           "density of reals that could be had exactly");
  std::shared_ptr<Transform> transform = transform_;
  if (const auto* flow = dynamic_cast<const Compose*>(transform_.get())) {
    auto rest = std::make_shared<Compose>();
    for (const auto& [name, part] : flow->parts()) {
      if (part->exact() || !rest->parts().empty()) rest->add(name, part);
    }
    transform = rest;
  }
  return in_the_same_mode(
      std::make_shared<FlowDensity>(transform, base_, dims(), convention(), condition()));
}

std::shared_ptr<FlowDensity> FlowDensity::conditioned_on(const Tensor& given) const {
  NF_CHECK(condition(), "[density] the model is not conditional: nothing can be given");
  NF_CHECK(given.shape() == Shape({1, condition()->given_dims()}),
           "[density] one row is given, (1, ", condition()->given_dims(), "), got ", given.shape());
  return in_the_same_mode(
      std::make_shared<FlowDensity>(transform_, base_, dims(), convention(),
                                    std::make_shared<FixedCondition>(condition(), given)));
}

namespace {

bool finite(const Mapped& m) {
  return all_finite(m.value.value()) && all_finite(m.log_det.value());
}

}  // namespace

std::optional<std::string> FlowDensity::find_nonfinite_inverse(const Tensor& z,
                                                               const Tensor& given) {
  const NoGrad no_grad;
  if (!all_finite(z)) return "the latents";
  if (const auto where = nonfinite_input(given)) return where;
  Var value = z.to(device());
  const Var beside = context(given, z.dim(0));
  const auto* parts = dynamic_cast<Compose*>(transform_.get());
  if (!parts) {
    if (finite(transform_->inverse(value, beside))) return std::nullopt;
    return str("the inverse of layer ", transform_->kind());
  }
  const std::vector<Compose::Named> layers = parts->layers();
  for (auto part = layers.rbegin(); part != layers.rend(); ++part) {
    const auto& [name, layer] = *part;
    const Mapped mapped = layer->inverse(value, beside);
    if (!finite(mapped)) return str("the inverse of layer ", name, " (", layer->kind(), ")");
    value = mapped.value;
  }
  return std::nullopt;
}

std::optional<std::string> FlowDensity::find_nonfinite(const Tensor& x, const Tensor& given) {
  const NoGrad no_grad;
  if (const auto where = nonfinite_input(given)) return where;
  Var value = entering(x.to(device()));
  const Var beside = context(given, x.dim(0));
  if (const auto* parts = dynamic_cast<Compose*>(transform_.get())) {
    for (const auto& [name, part] : parts->layers()) {
      const Mapped mapped = part->forward(value, beside);
      if (!finite(mapped)) return str("layer ", name, " (", part->kind(), ")");
      value = mapped.value;
    }
  } else {
    const Mapped mapped = transform_->forward(value, beside);
    if (!finite(mapped)) return str("layer ", transform_->kind());
    value = mapped.value;
  }
  if (!all_finite(base_->log_prob(value).value())) return str("base distribution ", base_->kind());
  return std::nullopt;
}

Shape FlowDensity::inspect(const Shape& in, const std::string& name,
                           std::vector<nn::LayerInfo>& rows) const {
  if (condition()) {
    const Shape given = {in.dim(0), condition()->given_dims()};
    condition()->inspect(given, nn::join_names(name, "condition"), rows);
  }
  const Shape out = transform_->inspect(in, name, rows);
  return base_->inspect(out, nn::join_names(name, "base"), rows);
}

FlowDensity& as_flow(Density& density, const char* what) {
  auto* const flow = dynamic_cast<FlowDensity*>(&density);
  NF_CHECK(flow, "[", what, "] ", density.kind(), " has no latents: its models can be evaluated ",
           "and sampled from, but not encoded, decoded or inverted");
  return *flow;
}

}  // namespace nf::flows
