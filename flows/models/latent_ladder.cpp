#include "flows/models/latent_ladder.h"

#include "nn/nets/mlp.h"

namespace nf::flows {

Ladder latent_ladder(const LatentLadderOptions& options, Generator& weights) {
  Ladder ladder{.dims = ladder_dims(options.latents, options.layers), .nets = {}};
  for (std::size_t k = 1; k < ladder.dims.size(); ++k) {
    ladder.nets.push_back(nn::mlp({.in = ladder.dims[k - 1],
                                   .out = 2 * ladder.dims[k],
                                   .hidden_units = options.width,
                                   .hidden_layers = 1,
                                   .activation = options.activation,
                                   .last_init = options.last},
                                  weights));
  }
  return ladder;
}

std::shared_ptr<LadderHeads> latent_heads(const LatentLadderOptions& options, Generator& weights) {
  const std::vector<std::int64_t> dims = ladder_dims(options.latents, options.layers);
  std::vector<std::shared_ptr<nn::Layer>> heads, steps;
  for (std::size_t k = 0; k < dims.size(); ++k) {
    const bool lowest = k + 1 == dims.size();
    heads.push_back(std::make_shared<nn::Linear>(
        nn::LinearOptions{
            .in = lowest ? options.said : options.width, .out = 2 * dims[k], .init = options.last},
        weights));
    if (lowest) continue;
    steps.push_back(std::make_shared<nn::Linear>(
        nn::LinearOptions{.in = k + 2 == dims.size() ? options.said : options.width,
                          .out = options.width,
                          .activation = options.activation},
        weights));
  }
  return std::make_shared<LadderHeads>(dims, heads, steps);
}

std::int64_t lowest_latents(const LatentLadderOptions& options) {
  return ladder_dims(options.latents, options.layers).back();
}

double latent_ladder_parameters(const LatentLadderOptions& options) {
  const std::vector<std::int64_t> dims = ladder_dims(options.latents, options.layers);
  const auto linear = [](std::int64_t in, std::int64_t out) {
    return static_cast<double>((in + 1) * out);
  };
  double total = 0;
  for (std::size_t k = 0; k < dims.size(); ++k) {
    const bool lowest = k + 1 == dims.size();
    total += linear(lowest ? options.said : options.width, 2 * dims[k]);
    if (lowest) continue;
    total += linear(k + 2 == dims.size() ? options.said : options.width, options.width) +
             linear(dims[k], options.width) + linear(options.width, 2 * dims[k + 1]);
  }
  return total;
}

}  // namespace nf::flows
