#include "nn/nets/residual_net.h"

#include "nn/layers/norm.h"
#include "nn/layers/scaled_conv.h"

namespace nf::nn {

namespace {

ScaledConv2dOptions conv(std::int64_t in, std::int64_t out, std::int64_t kernel) {
  return {.conv = {.in = in, .out = out, .kernel = {kernel, kernel}}, .rate = 1};
}

}  // namespace

ResidualNet::ResidualNet(const ResidualNetOptions& options, Generator& gen) : options_(options) {
  NF_CHECK(options.blocks >= 0, "[ResidualNet] needs 0 blocks or more, got ", options.blocks);
  const std::int64_t width = options.width;
  const auto add = [&](const std::string& name, const ScaledConv2dOptions& layer) {
    return &add_module(name, std::make_shared<ScaledConv2d>(layer, gen));
  };
  ScaledConv2dOptions first = conv(options.in, width, 3);
  first.edge = first.from_data = true;
  first_ = add("first", first);
  for (int i = 0; i < options.blocks; ++i) {
    ScaledConv2dOptions inner = conv(width, width, 3);
    inner.from_data = true;
    inner.conv.activation = options.activation;
    ScaledConv2dOptions outer = options.gated ? conv(width, 2 * width, 1) : conv(width, width, 3);
    outer.conv.init.scale = 0.1;
    const std::string name = str("blocks.", i, ".");
    Block block{add(name + "inner", inner), add(name + "outer", outer), nullptr};
    if (options.normalised)
      block.norm = &add_module(name + "norm", std::make_shared<LayerNorm>(width));
    blocks_.push_back(block);
  }
  ScaledConv2dOptions last = conv(width, options.out, 3);
  last.conv.init = {Init::Kind::Zeros, 0};
  last.rate = 3;
  last_ = add("last", last);
}

// h behind a block whose last convolution gives `outer`.
Var ResidualNet::behind(const Block& block, const Var& h, Var outer) const {
  const std::int64_t width = options_.width;
  if (options_.gated) outer = narrow(outer, 3, 0, width) * sigmoid(narrow(outer, 3, width, width));
  Var sum = h + std::move(outer);
  return block.norm ? (*block.norm)(sum) : sum;
}

Var ResidualNet::forward(const Var& x) {
  Var h = (*first_)(x);
  for (const Block& block : blocks_) {
    h = behind(block, h, (*block.outer)((*block.inner)(options_.activation(h))));
  }
  return (*last_)(options_.activation(h));
}

Var ResidualNet::initialize(const Var& x) {
  Var h = first_->initialize(x);
  for (const Block& block : blocks_) {
    h = behind(block, h, block.outer->initialize(block.inner->initialize(options_.activation(h))));
  }
  return last_->initialize(options_.activation(h));
}

// Convolutions with bias and scale of each output; the first sees one channel more, for the edge.
double ResidualNet::parameters_of(const ResidualNetOptions& options) {
  const auto in = static_cast<double>(options.in), out = static_cast<double>(options.out);
  const auto width = static_cast<double>(options.width);
  const double inner = width * (9 * width + 2);
  const double norm = options.normalised ? 2 * width : 0;
  const double outer = (options.gated ? 2 * width * (width + 2) : inner) + norm;
  return width * (9 * (in + 1) + 2) + options.blocks * (inner + outer) + out * (9 * width + 2);
}

std::string ResidualNet::kind() const {
  return str("ResidualNet(", options_.blocks, options_.gated ? " gated" : "",
             options_.normalised ? " normalised" : "", " blocks of ", options_.width, ")");
}

Shape ResidualNet::inspect(const Shape& in, const std::string& name,
                           std::vector<LayerInfo>& rows) const {
  Shape shape = first_->inspect(in, join_names(name, "first"), rows);
  const auto numbers = static_cast<double>(shape.numel());
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    const std::string block = join_names(name, str("blocks.", i));
    blocks_[i].inner->inspect(shape, join_names(block, "inner"), rows);
    blocks_[i].outer->inspect(shape, join_names(block, "outer"), rows);
    if (blocks_[i].norm) blocks_[i].norm->inspect(shape, join_names(block, "norm"), rows);
    // The activation before it, the gate, and the sum.
    LayerInfo sum{block, "block", shape, 0, numbers * (options_.gated ? 4 : 2)};
    sum.beside = numbers * (options_.gated ? 3 : 1);  // what the activation, the gate and it give
    rows.push_back(sum);
  }
  return last_->inspect(shape, join_names(name, "last"), rows);
}

}  // namespace nf::nn
