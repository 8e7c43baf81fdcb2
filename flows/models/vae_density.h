// VaeDensity: a variational autoencoder as a density, and what it is trained by.
#pragma once

#include <memory>
#include <string>

#include "flows/compose.h"
#include "flows/flow_density.h"
#include "flows/layers/vae.h"

namespace nf::flows {

struct VaeTraining {
  std::int64_t importance = 1;  ///< draws of latents for each row: the bound of K draws (IWAE)
  std::int64_t kl_warmup = 0;   ///< steps over which the KL term gets its weight; 0: at once
  double free_bits = 0;         ///< nats for each latent, below which the KL term is not pushed
};

/// Layers before (of tables), a VaeLayer, a flow as learned prior or none, a standard normal:
/// log_prob(x) is one draw of the bound ln p(x|z) + ln p(z) - ln q(z|x), always.
///
/// Training brings up in its place, with kl = ln q(z|x) - ln p(z) of each draw and the weight b,
///
///   one draw:  ln p(x|z) - b max(mean of kl over the batch, L free_bits)
///   K draws:   ln (1/K) sum_k exp(ln p(x|z_k) - b kl_k)
///
/// (Sonderby et al. 2016; Kingma et al., "IAF" (2016), eq. 15, all latents being one group; Burda,
/// Grosse, Salakhutdinov 2016, eq. 8). b = min(1, 0.01 + t / kl_warmup) at the update behind t
/// others: a function of the step, so nothing of it has to be saved. K draws have no free bits.
class VaeDensity : public FlowDensity {
 public:
  /// `before` and `prior` may be empty. Their parts, "vae" and "prior" make the transform. With a
  /// `condition` all of them get its context.
  VaeDensity(std::shared_ptr<Compose> before, std::shared_ptr<VaeLayer> layer,
             std::shared_ptr<Compose> prior, std::int64_t dims, const Convention& convention,
             const VaeTraining& training, std::shared_ptr<Condition> condition = nullptr);
  Var training_log_prob(const Var& x, const Var& given = {}) override;
  Var training_log_prob_rows(const Tensor& data, const Tensor& rows,
                             const Tensor& given = {}) override;
  void begin_step(std::int64_t step) override;
  int bound_draws() const override { return static_cast<int>(training_.importance); }
  /// b at the update behind `step` others.
  double kl_weight(std::int64_t step) const;
  std::string kind() const override { return "VaeDensity"; }

 private:
  std::shared_ptr<Compose> before_, prior_;
  std::shared_ptr<VaeLayer> layer_;
  VaeTraining training_;
  Tensor weight_;  // (), b, on the device: a recorded step reads it there
};

}  // namespace nf::flows
