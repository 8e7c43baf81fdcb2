// Ladders of latents with the networks that a VAE has for them.
#pragma once

#include <memory>

#include "flows/layers/ladder.h"
#include "nn/layers/linear.h"
#include "tensor/random.h"

namespace nf::flows {

struct LatentLadderOptions {
  std::int64_t latents = 0;  ///< L
  std::int64_t layers = 1;   ///< K
  std::int64_t said = 0;     ///< numbers that the encoder says
  std::int64_t width = 0;    ///< hidden units of every network, which have one hidden layer
  nn::Activation activation = {};
  nn::Init last = {};  ///< of what says Gaussians
};

/// The layers and the networks between them; weights from `weights`.
Ladder latent_ladder(const LatentLadderOptions& options, Generator& weights);
/// (N, said) -> (N, 2 L), layer after layer.
std::shared_ptr<LadderHeads> latent_heads(const LatentLadderOptions& options, Generator& weights);
/// Latents of the lowest layer, those that a decoder sees.
std::int64_t lowest_latents(const LatentLadderOptions& options);
/// How many parameters both have.
double latent_ladder_parameters(const LatentLadderOptions& options);

}  // namespace nf::flows
