#include "flows/density.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <numbers>

#include "flows/compose.h"
#include "tensor/philox.h"
#include "tensor/text.h"

namespace nf::flows {

Density::Density(std::shared_ptr<Transform> transform, std::shared_ptr<Base> base,
                 std::int64_t dims, Convention convention)
    : transform_(add_module("", std::move(transform))),
      base_(add_module("base", std::move(base))),
      dims_(dims),
      convention_(std::move(convention)) {
  std::map<std::uint64_t, std::string> streams;
  for_each_generator([&](const std::string& name, const Generator& gen) {
    const auto [other, added] = streams.emplace(gen.stream(), name);
    NF_CHECK(added, "[Density] the generators ", other->second, " and ", name,
             " have the same stream, ", gen.stream(),
             ": they would draw the same numbers; make them as Generator(seed, 1), (seed, 2), ..");
  });
}

Var Density::entering(const Var& x) {
  if (x.dtype() != DType::F64 || transform_.takes_f64()) return x;
  DType dtype = DType::F64;
  for_each_parameter([&](const std::string&, Var& p) { dtype = p.dtype(); });
  return cast(x, dtype);
}

Var Density::base_log_prob(const Var& z) {
  const nn::Call call(base_);
  return base_.log_prob(z);
}

Var Density::log_prob(const Var& x, const Var& context) {
  NF_CHECK(x.rank() == 2 && x.dim(1) == dims_, "[log_prob] the model is for data of shape (N, ",
           dims_, "), got ", x.shape());
  const auto [z, log_det] = transform_(entering(x), context);
  return base_log_prob(z) + log_det;
}

Var Density::log_prob_rows(const Tensor& data, const Tensor& rows) {
  NF_CHECK(data.rank() == 2 && data.dim(1) == dims_,
           "[log_prob] the model is for data of shape (N, ", dims_, "), got ", data.shape());
  if (data.dtype() == DType::F64) return log_prob(index_select(data, 0, rows));
  const auto [z, log_det] = transform_.call_rows(data, rows);
  return base_log_prob(z) + log_det;
}

Tensor Density::sample(Generator& gen, std::int64_t n, double temperature, const Var& context) {
  NF_CHECK(n >= 1 && temperature >= 0, "[sample] needs n >= 1 and temperature >= 0, got ", n,
           " and ", temperature);
  return decode(base_.sample(gen, n, dims_, temperature).to(device()), context);
}

Tensor Density::encode(const Tensor& x, const Var& context) {
  const NoGrad no_grad;
  return transform_.encode(entering(x), context).value();
}

Tensor Density::decode(const Tensor& z, const Var& context) {
  const NoGrad no_grad;
  return transform_.inverse(Var(z), context).value.value();
}

std::shared_ptr<Density> Density::continuous() const {
  auto transform = std::dynamic_pointer_cast<Transform>(children()[0].second);
  auto base = std::dynamic_pointer_cast<Base>(children()[1].second);
  if (const auto* flow = dynamic_cast<const Compose*>(&transform_)) {
    auto rest = std::make_shared<Compose>();
    for (const auto& [name, part] : flow->parts()) {
      if (part->exact() || !rest->parts().empty()) rest->add(name, part);
    }
    transform = rest;
  }
  return std::make_shared<Density>(transform, base, dims_, convention_);
}

void Density::check_description(const std::map<std::string, std::string>& said,
                                const std::string& file) const {
  using Json = nlohmann::json;
  const auto compare = [&](const std::string& name, const Json& theirs, const Json& ours) {
    NF_CHECK(theirs == ours, file, " is of a model with ", name, " = ", printable(theirs.dump()),
             ", not ", printable(ours.dump()), "; they do not belong together");
  };
  for (const auto& [key, ours] : description_) {
    const auto found = said.find(key);
    if (found == said.end()) continue;
    if (key != "settings") {
      compare(key, Json(printable(found->second)), Json(ours));
      continue;
    }
    const Json theirs = Json::parse(found->second, nullptr, /*allow_exceptions=*/false);
    NF_CHECK(theirs.is_object(), file, ": the settings in its metadata are damaged");
    const Json settings = Json::parse(ours);
    for (const auto& [name, value] : settings.items()) {
      if (theirs.contains(name)) compare(name, theirs[name], value);
    }
  }
}

double Density::bits_per_dim(double log_prob) const {
  return -log_prob / (static_cast<double>(dims_) * std::numbers::ln2);
}

namespace {

bool finite(const Mapped& m) {
  return all_finite(m.value.value()) && all_finite(m.log_det.value());
}

}  // namespace

std::optional<std::string> Density::nonfinite_parameter() {
  std::optional<std::string> where;
  for_each_parameter([&](const std::string& name, Var& p) {
    if (!where && !all_finite(p.value())) where = "parameter " + name;
  });
  return where;
}

std::optional<std::string> Density::find_nonfinite_inverse(const Tensor& z) {
  const NoGrad no_grad;
  if (!all_finite(z)) return "the latents";
  if (const auto where = nonfinite_parameter()) return where;
  Var value = z.to(device());
  const auto* parts = dynamic_cast<Compose*>(&transform_);
  if (!parts) {
    if (finite(transform_.inverse(value))) return std::nullopt;
    return str("the inverse of layer ", transform_.kind());
  }
  for (auto part = parts->parts().rbegin(); part != parts->parts().rend(); ++part) {
    const auto& [name, layer] = *part;
    const Mapped mapped = layer->inverse(value);
    if (!finite(mapped)) return str("the inverse of layer ", name, " (", layer->kind(), ")");
    value = mapped.value;
  }
  return std::nullopt;
}

std::optional<std::string> Density::find_nonfinite(const Tensor& x) {
  const NoGrad no_grad;
  if (const auto where = nonfinite_parameter()) return where;
  Var value = entering(x.to(device()));
  if (const auto* parts = dynamic_cast<Compose*>(&transform_)) {
    for (const auto& [name, part] : parts->parts()) {
      const Mapped mapped = part->forward(value);
      if (!finite(mapped)) return str("layer ", name, " (", part->kind(), ")");
      value = mapped.value;
    }
  } else {
    const Mapped mapped = transform_.forward(value);
    if (!finite(mapped)) return str("layer ", transform_.kind());
    value = mapped.value;
  }
  if (!all_finite(base_.log_prob(value).value())) return str("base distribution ", base_.kind());
  return std::nullopt;
}

Shape Density::inspect(const Shape& in, const std::string& name,
                       std::vector<nn::LayerInfo>& rows) const {
  const Shape out = transform_.inspect(in, name, rows);
  return base_.inspect(out, nn::join_names(name, "base"), rows);
}

Examination::Examination(Density& density, std::uint64_t seed)
    : density_(density), was_training_(density.training()), keep_(density.generators()) {
  constexpr std::uint64_t kStream = 0x65766131;  // "eva1"
  density.eval();
  for (Generator* gen : density.generators()) {
    *gen = Generator(seed, round_stream(kStream, gen->stream()));
  }
}

Examination::~Examination() { density_.train(was_training_); }

}  // namespace nf::flows
