// Ladders of latents: layers of them, each a Gaussian around what a network says of the one above.
// Source: Sonderby, Raiko, Maaloe, Sonderby, Winther, "Ladder variational autoencoders" (2016).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "flows/bijection.h"
#include "nn/layers/linear.h"

namespace nf::flows {

/// K layers of latents, as parts of a row (N, L) from the top one on:
///
///   p(z) = N(z_1; 0, 1) prod_{k > 1} N(z_k; m_k, exp(s_k)),  (m_k, r_k) = nets[k - 2](z_{k - 1}),
///   s_k = 5 tanh(r_k / 5)
struct Ladder {
  std::vector<std::int64_t> dims;                ///< of each layer, from the top one on
  std::vector<std::shared_ptr<nn::Layer>> nets;  ///< (N, dims[k]) -> (N, 2 dims[k + 1])

  std::int64_t latents() const;  ///< L
};

/// L latents dealt out to layers, from the top one on, each about half as wide as the one below.
/// Throws Error for fewer than 2^layers - 1.
std::vector<std::int64_t> ladder_dims(std::int64_t latents, std::int64_t layers);

/// forward(z) = u with u_1 = z_1, u_k = (z_k - m_k) exp(-s_k), all of them standard normal where z
/// is of p. log_det = -sum of s_k.
class LadderPrior : public Bijection {
 public:
  /// Throws Error for nets that do not fit.
  explicit LadderPrior(Ladder ladder);
  Mapped forward(const Var& z, const Var& context = {}) override;
  Mapped inverse(const Var& u, const Var& context = {}) override;
  std::string kind() const override;
  double flops(const Shape& in) const override;
  /// One row, with the FLOPs of the networks and no parameters: LadderPosterior has their rows.
  Shape inspect(const Shape& in, const std::string& name,
                std::vector<nn::LayerInfo>& rows) const override;

 private:
  Ladder ladder_;
};

/// From what the data alone say to what they and the layers above say. The context is (a, b) (N, 2
/// L): data say N(z_k; a_k, exp(b_k)), p says N(z_k; m_k, exp(s_k)), and the product of both
/// densities is a Gaussian whose precision is the sum of theirs (their eq. 11 to 13),
///
///   q(z_k | z_{k - 1}, x) = N(m_k + w (a_k - m_k), exp(c_k)),  w = sigmoid(2 (s_k - b_k)),
///   c_k = b_k - softplus(2 (b_k - s_k)) / 2
///
/// forward takes z_0 = a + exp(b) e to its draw of q by the same e; the top layer stays as it is.
/// log_det = sum of c_k - b_k.
class LadderPosterior : public Bijection {
 public:
  /// The networks are those of a LadderPrior with the same ladder. Throws Error for nets that do
  /// not fit.
  explicit LadderPosterior(Ladder ladder);
  Mapped forward(const Var& z0, const Var& context = {}) override;
  Mapped inverse(const Var& z, const Var& context = {}) override;
  std::string kind() const override;
  double flops(const Shape& in) const override;
  Shape inspect(const Shape& in, const std::string& name,
                std::vector<nn::LayerInfo>& rows) const override;

 private:
  Ladder ladder_;
};

/// What data say of each layer: h_K = h (N, H), h_{k - 1} = steps[k](h_k), from the layer next to
/// the data up, and (a_k, b_k) = heads[k](h_k). Gives (a, b) (N, 2 L), each from the top one on.
class LadderHeads : public nn::Layer {
 public:
  /// `heads` from the top layer on, (N, H) -> (N, 2 dims); `steps` one fewer, of which the first
  /// leads to the top. Throws Error for other numbers of them.
  LadderHeads(std::vector<std::int64_t> dims, std::vector<std::shared_ptr<nn::Layer>> heads,
              std::vector<std::shared_ptr<nn::Layer>> steps);
  Var forward(const Var& h) override;
  std::string kind() const override { return "LadderHeads"; }
  Shape out_shape(const Shape& in) const override;
  Shape inspect(const Shape& in, const std::string& name,
                std::vector<nn::LayerInfo>& rows) const override;

 private:
  std::vector<std::int64_t> dims_;
  std::vector<std::shared_ptr<nn::Layer>> heads_, steps_;
};

/// x (N, D) without its first columns: of a row of latents, with what is given behind it, those of
/// the lowest layer.
class SkipColumns : public nn::Layer {
 public:
  explicit SkipColumns(std::int64_t count) : count_(count) {}
  Var forward(const Var& x) override { return narrow(x, 1, count_, x.dim(1) - count_); }
  std::string kind() const override { return str("SkipColumns(", count_, ")"); }
  Shape out_shape(const Shape& in) const override { return {in.dim(0), in.dim(1) - count_}; }

 private:
  std::int64_t count_;
};

}  // namespace nf::flows
