#include "flows/layers/vae.h"

#include <cmath>
#include <numbers>

namespace nf::flows {

VaeLayer::VaeLayer(const Generator& noise, Nets nets, std::shared_ptr<Likelihood> likelihood,
                   std::int64_t latents, std::shared_ptr<Transform> flow)
    : noise_(add_generator("noise", noise)),
      encoder_(add_module("encoder", std::move(nets.encoder))),
      posterior_(add_module("posterior", std::move(nets.posterior))),
      decoder_(add_module("decoder", std::move(nets.decoder))),
      likelihood_(add_module("likelihood", std::move(likelihood))),
      latents_(latents),
      context_(nets.context),
      context_behind_encoder_(nets.context_behind_encoder),
      flow_takes_gaussian_(nets.flow_takes_gaussian) {
  NF_CHECK(latents >= 1, "[VaeLayer] needs latents, got ", latents);
  if (!flow) return;
  flow_ = &add_module("flow", std::move(flow));
  NF_CHECK(flow_->exact(), "[VaeLayer] ", flow_->kind(),
           " is no bijection: the density of its latents is not known");
  NF_CHECK(flow_->out_shape({1, latents}) == Shape({1, latents}), "[VaeLayer] ", flow_->kind(),
           " makes ", flow_->out_shape({1, latents}), " of (1, ", latents, ") latents");
}

namespace {

// (a, c), or a where there is no context.
Var beside(const Var& a, const Var& c) { return c.defined() ? concat({a, c}, 1) : a; }

}  // namespace

VaeLayer::Posterior VaeLayer::posterior_of(const Var& x, const Var& context) {
  const std::int64_t given = context.defined() ? context.dim(1) : 0;
  NF_CHECK(given == context_, "[VaeLayer] needs a context of ", context_, " numbers, got ", given);
  const Var h =
      context_behind_encoder_ ? beside(encoder_(x), context) : encoder_(beside(x, context));
  const Var both = posterior_(h);
  NF_CHECK(both.shape() == Shape({x.dim(0), 2 * latents_}), "[VaeLayer] the encoder gives ",
           both.shape(), ", ", latents_, " latents need (", x.dim(0), ", ", 2 * latents_, ")");
  return {flow_takes_gaussian_ ? both : h, narrow(both, 1, 0, latents_),
          narrow(both, 1, latents_, latents_)};
}

Var VaeLayer::decoded(const Var& z, const Var& context) { return decoder_(beside(z, context)); }

Var repeat_rows(const Var& x, std::int64_t draws) {
  if (draws == 1 || !x.defined()) return x;
  const std::int64_t n = x.dim(0), dims = x.dim(1);
  return reshape(broadcast_to(reshape(x, {n, 1, dims}), {n, draws, dims}), {n * draws, dims});
}

namespace {

Var floats(const Var& x) { return is_float(x.dtype()) ? x : Var(x.value().to(DType::F32)); }

}  // namespace

Tensor VaeLayer::draw_noise(std::int64_t rows, std::int64_t draws, DType dtype, Device device) {
  return normal(noise_, {rows, draws * latents_}, dtype, device).reshape({rows * draws, latents_});
}

VaeLayer::Drawn VaeLayer::draw_latents(const Var& x, std::int64_t draws, const Var& context) {
  NF_CHECK(x.rank() == 2, "[VaeLayer] expected rows (N, D), got ", x.shape());
  const std::int64_t n = x.dim(0);
  const Var rows = floats(x);
  const auto [known, mean, log_scale] = posterior_of(likelihood_.seen(rows), context);
  const Var e = draw_noise(n, draws, mean.dtype(), mean.device());
  Var z = repeat_rows(mean, draws) + repeat_rows(exp(log_scale), draws) * e;
  // ln N(z_0): the square of e is that of (z_0 - m) / exp(s).
  const double constant = -0.5 * std::log(2 * std::numbers::pi) * static_cast<double>(latents_);
  const Var scales =
      reshape(repeat_rows(reshape(sum_event(log_scale), {n, 1}), draws), {n * draws});
  Var log_q = affine(sum_squares(e, {1}), -0.5, constant) - scales;
  if (flow_) {
    const auto [moved, log_det] = (*flow_)(z, repeat_rows(known, draws));
    z = moved;
    log_q = log_q - log_det;
  }
  const Var g = decoded(z, repeat_rows(context, draws));
  return {z, likelihood_.log_prob(repeat_rows(rows, draws), g), log_q};
}

Mapped VaeLayer::forward(const Var& x, const Var& context) {
  const auto [z, log_p, log_q] = draw_latents(x, 1, context);
  return {z, log_p - log_q};
}

Var VaeLayer::encode(const Var& x, const Var& context) {
  const auto [known, mean, log_scale] = posterior_of(likelihood_.seen(floats(x)), context);
  return flow_ ? (*flow_)(mean, known).value : mean;
}

Mapped VaeLayer::inverse(const Var& z, const Var& context) {
  return {likelihood_.middle(decoded(z, context)), zero_log_det(z)};
}

Var VaeLayer::draw(const Var& z, Generator& gen, const Var& context) {
  return likelihood_.draw(decoded(z, context), gen);
}

void VaeLayer::initialize(const Samples& x) { likelihood_.initialize(x); }

// Of each latent: exp, *, +, the square of e and its sum, the sum of s. Of each row: times, plus;
// ln q, of a flow too; their difference.
double VaeLayer::flops(const Shape& in) const {
  const std::int64_t of_row = 6 * latents_ + 4 + (flow_ ? 1 : 0);
  return static_cast<double>(in.dim(0) * of_row) + likelihood_.flops(in);
}

Shape VaeLayer::inspect(const Shape& in, const std::string& name,
                        std::vector<nn::LayerInfo>& rows) const {
  const auto with_context = [&](Shape shape) {
    shape[1] += context_;
    return shape;
  };
  const Shape out = out_shape(in);
  Shape h = encoder_.inspect(context_behind_encoder_ ? in : with_context(in),
                             nn::join_names(name, "encoder"), rows);
  if (context_behind_encoder_) h = with_context(h);
  posterior_.inspect(h, nn::join_names(name, "posterior"), rows);
  if (flow_) flow_->inspect(out, nn::join_names(name, "flow"), rows);
  decoder_.inspect(with_context(out), nn::join_names(name, "decoder"), rows);
  rows.push_back({name, kind(), out, likelihood_.parameter_count(), flops(in)});
  return out;
}

std::string VaeLayer::kind() const {
  return str("VaeLayer(", latents_, " latents, ", likelihood_.kind(), ")");
}

}  // namespace nf::flows
