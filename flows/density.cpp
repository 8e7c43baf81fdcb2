#include "flows/density.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <numbers>

#include "tensor/text.h"

namespace nf::flows {

Density::Density(std::shared_ptr<Bijection> bijection, std::shared_ptr<Base> base,
                 std::int64_t dims, SharedGenerator noise, Convention convention)
    : bijection_(add_module("", std::move(bijection))),
      base_(add_module("base", std::move(base))),
      dims_(dims),
      noise_(std::move(noise)),
      convention_(std::move(convention)) {}

Var Density::entering(const Var& x) {
  if (x.dtype() != DType::F64 || bijection_.takes_f64()) return x;
  DType dtype = DType::F64;
  for_each_parameter([&](const std::string&, Var& p) { dtype = p.dtype(); });
  return cast(x, dtype);
}

Var Density::log_prob(const Var& x, const Var& context) {
  NF_CHECK(x.rank() == 2 && x.dim(1) == dims_, "[log_prob] the model is for data of shape (N, ",
           dims_, "), got ", x.shape());
  const auto [z, log_det] = bijection_.forward(entering(x), context);
  return base_.log_prob(z) + log_det;
}

Var Density::log_prob_rows(const Tensor& data, const Tensor& rows) {
  NF_CHECK(data.rank() == 2 && data.dim(1) == dims_,
           "[log_prob] the model is for data of shape (N, ", dims_, "), got ", data.shape());
  if (data.dtype() == DType::F64) return log_prob(index_select(data, 0, rows));
  const auto [z, log_det] = bijection_.forward_rows(data, rows);
  return base_.log_prob(z) + log_det;
}

Tensor Density::sample(Generator& gen, std::int64_t n, double temperature, const Var& context) {
  NF_CHECK(n >= 1 && temperature >= 0, "[sample] needs n >= 1 and temperature >= 0, got ", n,
           " and ", temperature);
  return decode(base_.sample(gen, n, dims_, temperature).to(device()), context);
}

Tensor Density::encode(const Tensor& x, const Var& context) {
  const NoGrad no_grad;
  if (levels() == 0) return encode_reals(x, context);
  const Tensor middle = (is_float(x.dtype()) ? x : x.to(DType::F32)) + 0.5;
  return continuous()->bijection().forward(Var(middle), context).value.value();
}

Tensor Density::encode_reals(const Tensor& x, const Var& context) {
  const DequantizeColumns* const noisy = whole_numbers();
  if (!noisy) return bijection_.forward(entering(x), context).value.value();
  return continuous()->bijection().forward(Var(noisy->middle(x)), context).value.value();
}

Tensor Density::decode(const Tensor& z, const Var& context) {
  const NoGrad no_grad;
  return bijection_.inverse(Var(z), context).value.value();
}

int Density::levels() const {
  const auto* flow = dynamic_cast<const Compose*>(&bijection_);
  if (!flow || flow->parts().empty()) return 0;
  const auto* first = dynamic_cast<const Dequantize*>(flow->parts().front().second.get());
  return first ? first->levels() : 0;
}

const DequantizeColumns* Density::whole_numbers() const {
  const auto* flow = dynamic_cast<const Compose*>(&bijection_);
  if (!flow || flow->parts().empty()) return nullptr;
  return dynamic_cast<const DequantizeColumns*>(flow->parts().front().second.get());
}

std::shared_ptr<Density> Density::continuous() const {
  auto bijection = std::dynamic_pointer_cast<Bijection>(children()[0].second);
  if (levels() > 0 || whole_numbers()) {
    auto rest = std::make_shared<Compose>();
    const auto& parts = dynamic_cast<const Compose&>(bijection_).parts();
    for (std::size_t i = 1; i < parts.size(); ++i) rest->add(parts[i].first, parts[i].second);
    bijection = rest;
  }
  auto base = std::dynamic_pointer_cast<Base>(children()[1].second);
  Convention convention = convention_;
  convention.bound = false;
  return std::make_shared<Density>(bijection, base, dims_, noise_, convention);
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
  const auto* parts = dynamic_cast<Compose*>(&bijection_);
  if (!parts) {
    if (finite(bijection_.inverse(value))) return std::nullopt;
    return str("the inverse of layer ", bijection_.kind());
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
  if (const auto* parts = dynamic_cast<Compose*>(&bijection_)) {
    for (const auto& [name, part] : parts->parts()) {
      const Mapped mapped = part->forward(value);
      if (!finite(mapped)) return str("layer ", name, " (", part->kind(), ")");
      value = mapped.value;
    }
  } else {
    const Mapped mapped = bijection_.forward(value);
    if (!finite(mapped)) return str("layer ", bijection_.kind());
    value = mapped.value;
  }
  if (!all_finite(base_.log_prob(value).value())) return str("base distribution ", base_.kind());
  return std::nullopt;
}

Shape Density::inspect(const Shape& in, const std::string& name,
                       std::vector<nn::LayerInfo>& rows) const {
  const Shape out = bijection_.inspect(in, name, rows);
  return base_.inspect(out, nn::join_names(name, "base"), rows);
}

Examination::Examination(Density& density, std::uint64_t seed)
    : density_(density), was_training_(density.training()), noise_(density.noise()) {
  density.eval();
  density.noise() = Generator(seed, /*stream=*/0x65766131);
}

Examination::~Examination() {
  density_.noise() = noise_;
  density_.train(was_training_);
}

std::vector<double> score(Density& density, const Tensor& x, const EvaluateOptions& options) {
  NF_CHECK(x.dim(0) > 0, "[evaluate] no samples");
  NF_CHECK(options.batch_size > 0 && options.noise_draws > 0,
           "[evaluate] batch size and noise draws must be positive, got ", options.batch_size,
           " and ", options.noise_draws);
  const Examination examination(density, options.seed);
  const std::int64_t n = x.dim(0);
  std::vector<double> scores(static_cast<std::size_t>(n), 0.0);
  for (std::int64_t at = 0; at < n; at += options.batch_size) {
    const Tensor rows = x.narrow(0, at, std::min(options.batch_size, n - at)).to(density.device());
    for (int draw = 0; draw < options.noise_draws; ++draw) {
      const auto values = density.log_prob(rows).value().to(DType::F64).to_vector<double>();
      double* const out = scores.data() + at;
      for (std::size_t i = 0; i < values.size(); ++i) out[i] += values[i] / options.noise_draws;
    }
  }
  return scores;
}

double auroc(std::vector<double> inside, std::vector<double> outside) {
  NF_CHECK(!inside.empty() && !outside.empty(), "[auroc] needs scores on both sides, got ",
           inside.size(), " and ", outside.size());
  for (std::vector<double>* scores : {&inside, &outside}) {
    for (double& score : *scores) {
      if (std::isnan(score)) score = -std::numeric_limits<double>::infinity();
    }
  }
  std::sort(outside.begin(), outside.end());
  double pairs = 0;  // in which `inside` is the higher
  for (const double score : inside) {
    const auto [first, last] = std::equal_range(outside.begin(), outside.end(), score);
    pairs += static_cast<double>((first - outside.begin()) + (last - outside.begin())) / 2;
  }
  return pairs / (static_cast<double>(inside.size()) * static_cast<double>(outside.size()));
}

Evaluation evaluate(Density& density, const Tensor& x, const EvaluateOptions& options) {
  const std::vector<double> scores = score(density, x, options);
  double sum = 0, sum_squares = 0;
  for (const double value : scores) {
    sum += value;
    sum_squares += value * value;
  }
  const double count = static_cast<double>(scores.size()), mean = sum / count;
  const double variance = std::max(sum_squares / count - mean * mean, 0.0);  // NaN stays
  const double se = count > 1 ? std::sqrt(variance / (count - 1)) : 0;
  return {density.nats(mean),        se,       density.bits_per_dim(mean),
          -density.bits_per_dim(se), x.dim(0), options.noise_draws};
}

}  // namespace nf::flows
