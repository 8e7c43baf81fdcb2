// PixelRNN with row LSTMs: what is said of each pixel of an image by those above it and to its
// left.
#pragma once

#include <vector>

#include "nn/layers/lstm.h"
#include "nn/nets/causal.h"

namespace nf::nn {

struct PixelRnnOptions {
  std::int64_t height = 0, width = 0, channels = 1;  ///< of images
  std::int64_t outputs = 1;                          ///< of a pixel
  std::int64_t context = 0;
  std::int64_t maps = 16;   ///< M, channels of the states
  std::int64_t layers = 7;  ///< LSTMs
  std::int64_t head = 64;   ///< channels of the two 1x1 convolutions at the end
  std::int64_t kernel = 3;  ///< columns that a step of an LSTM sees, odd
};

/// Row LSTMs. With x - 1/2 in front, r has 2 M channels,
///
///   r = above(x) + left(x),   r = r + out(h(r))  for each layer,
///
/// h a RowLstm of r, the context in its sums. `above` sees the 3 rows above times 7 columns, `left`
/// the 3 columns to the left: from there on what stands at a pixel knows nothing of it. The end is
/// ReLU, 1x1, ReLU, 1x1, on r. So with a = (kernel - 1) / 2 a pixel knows, d rows above it, what is
/// from 3 + (layers + d) a columns to its left up to 3 + (d - 1) a to its right, or d a - 1 where
/// that is more, to the first row: a triangle, beside which is a blind spot. No weight is masked,
/// as in PixelCnn. (van den Oord, Kalchbrenner, Kavukcuoglu, "Pixel recurrent neural networks"
/// (2016), sections 3.1, 3.3 and table 1)
class PixelRnn : public CausalNet {
 public:
  PixelRnn(const PixelRnnOptions& options, Generator& gen);
  /// x (N, H W, C) in [0, 1] to (N, H W, outputs).
  Var forward(const Var& x, const Var& context) override;
  /// Keeps of each layer the states of a row.
  std::unique_ptr<CausalSweep> sweep(const Var& context, std::int64_t rows) override;
  std::string kind() const override;
  Shape inspect(const Shape& in, const std::string& name,
                std::vector<LayerInfo>& rows) const override;

  static double parameters_of(const PixelRnnOptions& options);

 private:
  class Sweep;
  struct Block {
    RowLstm& lstm;
    Conv2d& out;
    Linear* given;
  };

  PixelRnnOptions options_;
  Conv2d &above_, &left_;
  std::vector<Block> blocks_;
  Layer& head_;
};

}  // namespace nf::nn
