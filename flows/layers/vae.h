// VaeLayer: data become fewer latents, drawn around what an encoder says of them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "flows/layers/likelihood.h"
#include "flows/transform.h"
#include "nn/layers/linear.h"

namespace nf::flows {

/// x (N, D) -> z (N, L), z ~ q(z|x), with log_det = ln p(x|z) - ln q(z|x). With a base and perhaps
/// a flow behind it, its density is a variational autoencoder, and log_prob a draw of its bound
/// (Kingma, Welling 2014; Rezende, Mohamed, Wierstra 2014):
///
///   h = encoder(x),  (m, s) = posterior(h),  z_0 = m + exp(s) e,  e ~ N(0, I)  (drawn)
///   z = f(z_0; h),   ln q(z|x) = ln N(z_0; m, exp(s)) - ln|det df/dz_0|
///   ln p(x|z) = likelihood.log_prob(x, decoder(z))
///
/// f, which may be left out, is a flow whose context is h (Rezende, Mohamed 2015; Kingma et al.
/// 2016), or (m, s), of a ladder (ladder.h). encode is f(m; h), the same at every call; inverse the
/// middle of p(x|z), with log_det 0; draw is x ~ p(x|z). A context c (N, C), of a conditional
/// density, stands behind what the encoder takes, (x, c), or behind what it says, h = (encoder(x),
/// c), and behind the decoder's latents, (z, c) (Sohn, Lee, Yan, "Learning structured output
/// representation" (2015)).
class VaeLayer : public Transform {
 public:
  struct Nets {
    std::shared_ptr<nn::Layer> encoder;    ///< (N, D), or (N, D + C) -> (N, H)
    std::shared_ptr<nn::Layer> posterior;  ///< (N, H), or (N, H + C) -> (N, 2 L), m, then s
    std::shared_ptr<nn::Layer> decoder;    ///< (N, L + C) -> (N, D)
    std::int64_t context = 0;              ///< C
    bool context_behind_encoder = false;   ///< the second of each two
    bool flow_takes_gaussian = false;      ///< the context of f is (m, s)
  };
  /// Draws of z, `draws` for each row of x: row i of x has rows i draws to (i + 1) draws - 1.
  struct Drawn {
    Var z;      ///< (N draws, L)
    Var log_p;  ///< (N draws), ln p(x|z)
    Var log_q;  ///< (N draws), ln q(z|x)
  };

  /// `noise`: of e. `flow`: f, or none. Throws Error for a flow that is not exact, or changes the
  /// shape.
  VaeLayer(const Generator& noise, Nets nets, std::shared_ptr<Likelihood> likelihood,
           std::int64_t latents, std::shared_ptr<Transform> flow = nullptr);
  Mapped forward(const Var& x, const Var& context = {}) override;
  Mapped inverse(const Var& z, const Var& context = {}) override;
  Var encode(const Var& x, const Var& context = {}) override;
  Var draw(const Var& z, Generator& gen, const Var& context = {}) override;
  bool lossless() const override { return false; }
  /// Several draws of z for each row; the first of one alone is that of forward().
  Drawn draw_latents(const Var& x, std::int64_t draws, const Var& context = {});
  /// Standard normal (N draws, L) by the layer's own generator, `draws` for each of its N rows. In
  /// one pass draw_latents() asks first.
  Tensor draw_noise(std::int64_t rows, std::int64_t draws, DType dtype, Device device);

  int levels() const override { return likelihood_.levels(); }
  void initialize(const Samples& x) override;
  std::int64_t initial_rows() const override { return likelihood_.initial_rows(); }
  std::int64_t latents() const { return latents_; }
  Shape out_shape(const Shape& in) const override { return {in.dim(0), latents_}; }
  double flops(const Shape& in) const override;
  Shape inspect(const Shape& in, const std::string& name,
                std::vector<nn::LayerInfo>& rows) const override;
  std::string kind() const override;

 private:
  /// m and s of x, and what f is given.
  struct Posterior {
    Var context, mean, log_scale;
  };
  Posterior posterior_of(const Var& x, const Var& context);
  Var decoded(const Var& z, const Var& context);

  Generator& noise_;
  nn::Layer &encoder_, &posterior_;
  Transform* flow_ = nullptr;
  nn::Layer& decoder_;
  Likelihood& likelihood_;
  std::int64_t latents_, context_;
  bool context_behind_encoder_, flow_takes_gaussian_;
};

/// (N draws, C): each row of x (N, C) `draws` times, one behind the other, as draw_latents() has
/// its draws; what is undefined stays so.
Var repeat_rows(const Var& x, std::int64_t draws);

}  // namespace nf::flows
