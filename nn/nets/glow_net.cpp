#include "nn/nets/glow_net.h"

#include "nn/layers/scaled_conv.h"

namespace nf::nn {

std::shared_ptr<Layer> zero_conv(std::int64_t in, std::int64_t out, Generator& gen) {
  return std::make_shared<ScaledConv2d>(
      ScaledConv2dOptions{.conv = {.in = in, .out = out, .init = {Init::Kind::Zeros, 0}},
                          .edge = true},
      gen);
}

std::shared_ptr<Sequential> glow_net(const GlowNetOptions& options, Generator& gen) {
  const auto hidden = [&](std::int64_t in, std::int64_t kernel) {
    return std::make_shared<ScaledConv2d>(
        ScaledConv2dOptions{.conv = {.in = in,
                                     .out = options.width,
                                     .kernel = {kernel, kernel},
                                     .activation = Activation{},
                                     .init = {Init::Kind::Normal, 0.05}},
                            .from_data = true,
                            .edge = kernel > 1},
        gen);
  };
  auto net = std::make_shared<Sequential>();
  net->push_back(hidden(options.in, 3));
  net->push_back(hidden(options.width, 1));
  net->push_back(zero_conv(options.width, options.out, gen));
  return net;
}

}  // namespace nf::nn
