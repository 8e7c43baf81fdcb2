#include "nn/nets/residual_mlp.h"

namespace nf::nn {

ResidualMlp::ResidualMlp(std::shared_ptr<Layer> first, const std::vector<Block>& blocks,
                         std::shared_ptr<Layer> last, Activation activation)
    : first_(add_module("first", std::move(first))),
      blocks_([&] {
        std::vector<Held> held;
        for (std::size_t i = 0; i < blocks.size(); ++i) {
          Layer& inner = add_module(str("blocks.", i, ".inner"), blocks[i].inner);
          held.push_back({&inner, &add_module(str("blocks.", i, ".outer"), blocks[i].outer)});
        }
        return held;
      }()),
      last_(add_module("last", std::move(last))),
      activation_(activation) {}

Var ResidualMlp::forward(const Var& x) {
  Var h = first_(x);
  for (const Held& block : blocks_) {
    Var more = (*block.outer)((*block.inner)(activation_(h)));
    h = std::move(h) + std::move(more);
  }
  return last_(h);
}

std::string ResidualMlp::kind() const { return str("ResidualMlp(", blocks_.size(), " blocks)"); }

Shape ResidualMlp::inspect(const Shape& in, const std::string& name,
                           std::vector<LayerInfo>& rows) const {
  const Shape shape = first_.inspect(in, join_names(name, "first"), rows);
  const auto numbers = static_cast<double>(shape.numel());
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    const std::string block = join_names(name, str("blocks.", i));
    blocks_[i].inner->inspect(shape, join_names(block, "inner"), rows);
    blocks_[i].outer->inspect(shape, join_names(block, "outer"), rows);
    LayerInfo sum{block, "block", shape, 0, 2 * numbers};  // the activation before it, and the sum
    sum.beside = numbers;
    rows.push_back(sum);
  }
  return last_.inspect(shape, join_names(name, "last"), rows);
}

std::shared_ptr<ResidualMlp> residual_mlp(const MlpOptions& options, Generator& gen) {
  const auto layer = [&](std::int64_t in, std::int64_t out, bool active, const Init& init) {
    const auto act = active ? std::optional(options.activation) : std::nullopt;
    return std::make_shared<Linear>(
        LinearOptions{.in = in, .out = out, .activation = act, .init = init}, gen);
  };
  const std::int64_t width = options.hidden_units;
  const auto first = layer(options.in, width, false, options.init);
  std::vector<ResidualMlp::Block> blocks;
  for (int i = 0; i < options.hidden_layers; ++i) {
    const auto inner = layer(width, width, true, options.init);
    blocks.push_back({inner, layer(width, width, false, kOuterInit)});
  }
  const auto last = layer(width, options.out, false, options.last_init);
  return std::make_shared<ResidualMlp>(first, blocks, last, options.activation);
}

}  // namespace nf::nn
