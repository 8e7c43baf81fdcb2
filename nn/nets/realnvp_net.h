// RealNVP's network of a coupling of images. Source: Dinh, Sohl-Dickstein, Bengio, "Density
// estimation using Real NVP" (2017), section 3.7 and appendices; its code.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "nn/layers/norm.h"

namespace nf::nn {

struct RealNvpNetOptions {
  std::int64_t in = 0;       ///< channels
  std::int64_t context = 0;  ///< channels behind them, which are not normalised
  std::int64_t out = 0;
  std::int64_t width = 64;
  int blocks = 8;
  /// The paper's batch norm and weight norm; else convolutions with learned scales (ScaledConv2d).
  bool batch_norm = false;
  double lag = 0;  ///< of batch norm
  /// The input is the whole map, zeros but for the pixels with (row + column) % 2 == board.
  std::optional<int> board = {};
};

/// Images (N, H, W, in + context) to (N, H, W, out). With x' = batch norm of the `in` channels
/// (with a board twice that, since half of the cells are zeros), behind it the context:
///
///   h = conv3x3(relu(x', -x', the board as 0 and 1)), o = conv1x1(h)
///   for each block: h += conv3x3(relu(bn(conv3x3(relu(bn(h)))))), o += conv1x1(h)
///   conv1x1(relu(bn(o)))
///
/// With batch_norm weights have norm 1, in the second 3x3 of a block and in all 1x1 a learned
/// magnitude; w begins as U(-s, s), s = sqrt(2 / channels), the magnitude as half of its norm, and
/// the first 3x3 of a block has no bias. Without, there is no bn, x' = x; all convolutions but the
/// last begin with outputs that the first rows make standard, the last one is zeros. Throws Error
/// as ScaledConv2d and WeightNormConv2d, and with a board for odd H or W.
class RealNvpNet : public Layer {
 public:
  RealNvpNet(const RealNvpNetOptions& options, Generator& gen);
  Var forward(const Var& x) override { return run(x, false); }
  Var initialize(const Var& x) override { return run(x, true); }
  std::int64_t initial_rows() const override { return options_.batch_norm ? 0 : 256; }
  std::string kind() const override;
  Shape out_shape(const Shape& in) const override {
    return {in.dim(0), in.dim(1), in.dim(2), options_.out};
  }
  Shape inspect(const Shape& in, const std::string& name,
                std::vector<LayerInfo>& rows) const override;

  /// Parameters of such a network.
  static double parameters_of(const RealNvpNetOptions& options);

 private:
  struct Block {
    BatchNorm* first_norm;
    Layer* first;
    BatchNorm* second_norm;
    Layer* second;
    Layer* skip;
  };
  enum class Role { First, BlockFirst, BlockSecond, Skip, Last };
  Layer* add_conv(const std::string& name, Role role, Generator& gen);
  BatchNorm* add_norm(const std::string& name, std::int64_t channels);
  Var entering(const Var& x) const;
  Var run(const Var& x, bool initial);

  RealNvpNetOptions options_;
  BatchNorm *in_norm_, *last_norm_;  // null without batch_norm, as those of the blocks
  Layer *first_, *skip_, *last_;
  std::vector<Block> blocks_;
};

}  // namespace nf::nn
