// Initial values of weights. Each draws from the given generator, so a seed decides a model.
#pragma once

#include "tensor/random.h"
#include "tensor/tensor.h"

namespace nf::nn {

/// How the weight (out, in) of a layer is drawn; biases start at 0. As torch.nn.init has them.
struct Init {
  enum class Kind {
    Uniform,  ///< U(-scale, scale)
    Normal,   ///< N(0, scale^2)
    Kaiming,  ///< U(-b, b), b = scale * sqrt(6 / in): keeps variance through ReLU (He et al. 2015)
    Xavier,   ///< U(-b, b), b = scale * sqrt(6 / (in + out)) (Glorot & Bengio 2010)
    Orthogonal,  ///< scale * Q of a normal matrix (Saxe et al. 2014)
    Zeros
  };
  Kind kind = Kind::Kaiming;
  double scale = 1;
};

/// f32 (out, in * window): each output sees every input at `window` places (1 in a linear layer,
/// the pixels of its kernel in a convolution), and each input goes to as many of every output.
/// Counted so, `in` and `out` above are in * window and out * window.
Tensor initial_weight(const Init& init, Generator& gen, std::int64_t out, std::int64_t in,
                      std::int64_t window = 1);

/// s with exp(s) = 1 / (deviation + 1e-6), of what has this variance; 0 where a variance is hardly
/// any (1e-10): a constant tells nothing of the size of what comes later. (Glow's ActNorm)
Tensor standardizing_log_scale(const Tensor& variance);

}  // namespace nf::nn
