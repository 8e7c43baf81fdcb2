// WaveNet: what is said of each sample of a signal by those before it.
#pragma once

#include <vector>

#include "nn/nets/causal.h"

namespace nf::nn {

struct WaveNetOptions {
  std::int64_t length = 0;   ///< T samples
  std::int64_t outputs = 1;  ///< of a sample
  std::int64_t context = 0;
  std::int64_t maps = 32;   ///< R, channels of the residual stream
  std::int64_t skip = 64;   ///< S, channels of what all layers add up
  std::int64_t layers = 7;  ///< of a block: dilations 1, 2, 4, .., 2^(layers - 1)
  std::int64_t blocks = 1;  ///< that follow each other
};

/// Dilated causal convolutions of two taps. With x - 1/2 in front, h_t of R channels begins as a
/// linear function of x_(t-1), and each layer, of dilation d, does
///
///   g = gate(W (h_(t-d), h_t) + given(context)),  h = h + out(g),  total = total + skip(g)
///
/// gate(a, b) = tanh(a) sigmoid(b), h = 0 before the signal; the last layer leaves h, which nobody
/// sees, as it is. The end is ReLU, linear, ReLU, linear, on the total of S channels. A sample
/// knows the blocks (2^layers - 1) + 1 before it. (van den Oord et al., "WaveNet: a generative
/// model for raw audio" (2016), fig. 4)
class WaveNet : public CausalNet {
 public:
  WaveNet(const WaveNetOptions& options, Generator& gen);
  /// x (N, T, 1) in [0, 1] to (N, T, outputs).
  Var forward(const Var& x, const Var& context) override;
  /// Keeps of each layer the last d of its inputs.
  std::unique_ptr<CausalSweep> sweep(const Var& context, std::int64_t rows) override;
  std::string kind() const override;
  Shape inspect(const Shape& in, const std::string& name,
                std::vector<LayerInfo>& rows) const override;

  static double parameters_of(const WaveNetOptions& options);

 private:
  class Sweep;
  struct Dilated {
    std::int64_t dilation;
    Layer &conv, &skip;
    Layer *out, *given;  // the last layer has no out
  };
  Linear& linear_layer(const std::string& name, LinearOptions options, Generator& gen);
  /// Of rows: W both + given.
  static Var gates(const Dilated& layer, const Var& both, const Var& of_context);
  Var head(const Var& total);

  WaveNetOptions options_;
  Linear& first_;
  std::vector<Dilated> layers_;
  Linear *inner_, *last_;
};

}  // namespace nf::nn
