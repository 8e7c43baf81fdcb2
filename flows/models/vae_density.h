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
  double beta = 1;              ///< weight of the KL term
  double mmd = 0;               ///< weight of the MMD between the batch's latents and the prior
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
/// Grosse, Salakhutdinov 2016, eq. 8). b = beta min(1, 0.01 + t / kl_warmup) at the update behind t
/// others: a function of the step, so nothing of it has to be saved. K draws have no free bits.
/// beta is that of beta-VAE (Higgins et al. 2017).
///
/// With mmd > 0 each row loses mmd MMD^2(u, e) of it (InfoVAE, Zhao, Song, Ermon 2017, eq. 6; there
/// beta = 1 - alpha, mmd = alpha + lambda - 1): u are all draws of the batch where the prior is
/// standard normal, behind its flow, e as many standard normal rows. The kernels' scale is half the
/// root of 2 L, a typical distance of two of these. The latents that training data together have
/// come near the prior so, not those of each row by itself.
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
  /// b / beta at the update behind `step` others.
  double kl_weight(std::int64_t step) const;
  std::string kind() const override { return "VaeDensity"; }
  Shape inspect(const Shape& in, const std::string& name,
                std::vector<nn::LayerInfo>& rows) const override;

 private:
  // MMD^2 of u (N draws, L) and as many rows of the base.
  Var from_prior(const Var& u, std::int64_t draws);

  std::shared_ptr<Compose> before_, prior_;
  std::shared_ptr<VaeLayer> layer_;
  VaeTraining training_;
  Tensor weight_;  // (), b, on the device: a recorded step reads it there
};

}  // namespace nf::flows
