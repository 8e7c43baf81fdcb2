#include "flows/models/vae_density.h"

#include <algorithm>
#include <cmath>

#include "flows/train/mmd.h"

namespace nf::flows {

namespace {

std::shared_ptr<Compose> joined(const std::shared_ptr<Compose>& before,
                                const std::shared_ptr<VaeLayer>& layer,
                                const std::shared_ptr<Compose>& prior) {
  auto all = std::make_shared<Compose>();
  for (const auto& [name, part] : before->parts()) all->add(name, part);
  all->add("vae", layer);
  if (!prior->parts().empty()) all->add("prior", prior);
  return all;
}

}  // namespace

VaeDensity::VaeDensity(std::shared_ptr<Compose> before, std::shared_ptr<VaeLayer> layer,
                       std::shared_ptr<Compose> prior, std::int64_t dims,
                       const Convention& convention, const VaeTraining& training,
                       std::shared_ptr<Condition> condition)
    : FlowDensity(joined(before, layer, prior), std::make_shared<StandardNormal>(), dims,
                  convention, std::move(condition)),
      before_(std::move(before)),
      prior_(std::move(prior)),
      layer_(std::move(layer)),
      training_(training),
      weight_(Tensor::full({}, 1.0)) {
  NF_CHECK(training.importance >= 1, "[VaeDensity] needs draws, got ", training.importance);
  NF_CHECK(training.importance == 1 || training.free_bits == 0,
           "[VaeDensity] the bound of several draws has no free bits: leave one of them out");
  NF_CHECK(training.beta >= 0 && training.mmd >= 0, "[VaeDensity] beta and mmd are 0 or more, got ",
           training.beta, " and ", training.mmd);
}

double VaeDensity::kl_weight(std::int64_t step) const {
  constexpr double kFirst = 0.01;
  if (training_.kl_warmup == 0) return 1;
  return std::min(1.0,
                  kFirst + static_cast<double>(step) / static_cast<double>(training_.kl_warmup));
}

void VaeDensity::begin_step(std::int64_t step) {
  if (training_.kl_warmup == 0) return;
  if (weight_.device() != device()) weight_ = weight_.to(device());
  weight_.fill_(kl_weight(step));
}

Var VaeDensity::from_prior(const Var& u, std::int64_t draws) {
  const double typical = std::sqrt(2.0 * static_cast<double>(layer_->latents()));
  const Var e = layer_->draw_noise(u.dim(0) / draws, draws, u.dtype(), u.device());
  return mmd_squared(u, e, typical / 2);
}

Shape VaeDensity::inspect(const Shape& in, const std::string& name,
                          std::vector<nn::LayerInfo>& rows) const {
  constexpr double kMatrices = 10;  // of all pairs of draws, so many at a time: measured
  const Shape out = FlowDensity::inspect(in, name, rows);
  const auto draws = static_cast<double>(in.dim(0));
  if (training_.mmd > 0) {
    rows.push_back({.name = nn::join_names(name, "mmd"),
                    .kind = "MMD",
                    .out_shape = out,
                    .beside = kMatrices * draws * draws});
  }
  return out;
}

Var VaeDensity::training_log_prob(const Var& x, const Var& given) {
  const std::int64_t n = x.dim(0), draws = training_.importance;
  const bool enters = !before_->parts().empty();
  const Var context = context_of(given, n);
  const Mapped entered = enters ? (*before_)(entering(x), context) : Mapped{entering(x), {}};
  const auto [z, log_p, log_q] = layer_->draw_latents(entered.value, draws, context);
  const auto [u, log_det] = (*prior_)(z, repeat_rows(context, draws));
  Var kl = log_q - (base().log_prob(u) + log_det);
  if (training_.free_bits > 0) {
    const double floor = training_.free_bits * static_cast<double>(layer_->latents());
    const Var least = Tensor::full({}, floor, kl.dtype(), kl.device());
    kl = broadcast_to(maximum(mean(kl), least), kl.shape());
  }
  if (training_.kl_warmup > 0) kl = kl * Var(weight_.to(kl.dtype()));
  if (training_.beta != 1) kl = kl * training_.beta;
  Var gained = log_p - kl;
  if (draws > 1) {
    gained = logsumexp(reshape(gained, {n, draws}), {1}) - std::log(static_cast<double>(draws));
  }
  if (training_.mmd > 0) gained = gained - from_prior(u, draws) * training_.mmd;
  return enters ? gained + entered.log_det : gained;
}

Var VaeDensity::training_log_prob_rows(const Tensor& data, const Tensor& rows,
                                       const Tensor& given) {
  return training_log_prob(index_select(data, 0, rows), given_rows(given, rows));
}

}  // namespace nf::flows
