#include "nn/nets/realnvp_net.h"

#include <cmath>

#include "nn/layers/scaled_conv.h"

namespace nf::nn {

namespace {

std::int64_t first_channels(const RealNvpNetOptions& options) {
  return 2 * (options.in + options.context) + (options.board ? 1 : 0);
}

// (1, H, W, 1): 1 at pixels with (row + column) % 2 == parity, else 0.
Var board_of(const Var& x, int parity) {
  const std::int64_t h = x.dim(1), w = x.dim(2);
  NF_CHECK(h % 2 == 0 && w % 2 == 0,
           "[RealNvpNet] a checkerboard needs images (N, H, W, C) with even H and W, got ",
           x.shape());
  const Shape half = {1, h / 2, 1, w / 2, 1};
  const Var ones = Tensor::full(half, 1, x.dtype(), x.device());
  const Var zeros = Tensor::zeros(half, x.dtype(), x.device());
  const Var even_row = concat({ones, zeros}, 4), odd_row = concat({zeros, ones}, 4);
  const Var rows = parity == 0 ? concat({even_row, odd_row}, 2) : concat({odd_row, even_row}, 2);
  return reshape(rows, {1, h, w, 1});
}

// What stands before a convolution; ScaledConv2d has its normalisation in itself.
Var activated(BatchNorm* norm, const Var& h) { return relu(norm ? (*norm)(h) : h); }

}  // namespace

RealNvpNet::RealNvpNet(const RealNvpNetOptions& options, Generator& gen) : options_(options) {
  NF_CHECK(options.blocks >= 0 && options.context >= 0, "[RealNvpNet] needs 0 or more blocks and ",
           "channels of a context, got ", options.blocks, " and ", options.context);
  const std::int64_t width = options.width;
  in_norm_ = add_norm("norm", options.in);
  first_ = add_conv("first", Role::First, gen);
  skip_ = add_conv("skip", Role::Skip, gen);
  for (int i = 0; i < options.blocks; ++i) {
    const std::string name = str("blocks.", i, ".");
    Block block{};
    block.first_norm = add_norm(name + "first_norm", width);
    block.first = add_conv(name + "first", Role::BlockFirst, gen);
    block.second_norm = add_norm(name + "second_norm", width);
    block.second = add_conv(name + "second", Role::BlockSecond, gen);
    block.skip = add_conv(name + "skip", Role::Skip, gen);
    blocks_.push_back(block);
  }
  last_norm_ = add_norm("last_norm", width);
  last_ = add_conv("last", Role::Last, gen);
}

BatchNorm* RealNvpNet::add_norm(const std::string& name, std::int64_t channels) {
  if (!options_.batch_norm) return nullptr;
  return &add_module(name, std::make_shared<BatchNorm>(
                               BatchNormOptions{.channels = channels, .lag = options_.lag}));
}

Layer* RealNvpNet::add_conv(const std::string& name, Role role, Generator& gen) {
  const std::int64_t kernel = role == Role::Skip || role == Role::Last ? 1 : 3;
  const std::int64_t in = role == Role::First ? first_channels(options_) : options_.width;
  Conv2dOptions conv{.in = in,
                     .out = role == Role::Last ? options_.out : options_.width,
                     .kernel = {kernel, kernel},
                     .padding = {kernel / 2, kernel / 2},
                     .init = {Init::Kind::Uniform, std::sqrt(2.0 / static_cast<double>(in))}};
  if (options_.batch_norm) {
    conv.bias = role != Role::BlockFirst;  // that of the batch norm follows
    const bool magnitude = role != Role::First && role != Role::BlockFirst;
    // The authors' program begins with g = s sqrt(in kh kw / 12), half of what |w| is on average.
    return &add_module(
        name, std::make_shared<WeightNormConv2d>(
                  WeightNormOptions{.conv = conv, .magnitude = magnitude, .start = 0.5}, gen));
  }
  const bool last = role == Role::Last;
  if (last) conv.init = {Init::Kind::Zeros, 0};
  if (role == Role::BlockFirst) conv.activation = Activation{};
  return &add_module(
      name,
      std::make_shared<ScaledConv2d>(
          ScaledConv2dOptions{.conv = conv, .rate = last ? 3.0 : 1.0, .from_data = !last}, gen));
}

// (x', -x', the board), the context beside x.
Var RealNvpNet::entering(const Var& x) const {
  NF_CHECK(x.rank() == 4 && x.dim(3) == options_.in + options_.context,
           "[RealNvpNet] expected images (N, H, W, ", options_.in + options_.context, "), got ",
           x.shape());
  Var seen = x;
  if (in_norm_) {
    seen = (*in_norm_)(narrow(x, 3, 0, options_.in));
    if (options_.board) seen = seen * 2;
    if (options_.context > 0) {
      seen = concat({seen, narrow(x, 3, options_.in, options_.context)}, 3);
    }
  }
  if (!options_.board) return concat({seen, -seen}, 3);
  const Var board = board_of(x, *options_.board);
  return concat({seen, -seen, broadcast_to(board, {x.dim(0), x.dim(1), x.dim(2), 1})}, 3);
}

Var RealNvpNet::run(const Var& x, bool initial) {
  const auto through = [&](Layer* layer, const Var& h) {
    return initial ? layer->initialize(h) : (*layer)(h);
  };
  Var h = through(first_, relu(entering(x)));
  Var out = through(skip_, h);
  for (const Block& block : blocks_) {
    const Var inner = through(block.first, activated(block.first_norm, h));
    h = h + through(block.second, block.second_norm ? activated(block.second_norm, inner) : inner);
    out = out + through(block.skip, h);
  }
  return through(last_, activated(last_norm_, out));
}

std::string RealNvpNet::kind() const {
  return str("RealNvpNet(", options_.blocks, " blocks of ", options_.width,
             options_.batch_norm ? ", batch norm)" : ")");
}

Shape RealNvpNet::inspect(const Shape& in, const std::string& name,
                          std::vector<LayerInfo>& rows) const {
  const auto add = [&](const Module* part, const Shape& shape, const std::string& part_name) {
    return part ? part->inspect(shape, join_names(name, part_name), rows) : shape;
  };
  const Shape one = {in.dim(0), in.dim(1), in.dim(2), 1};
  const auto of = [&](std::int64_t channels) { return one.without(3).with_inserted(3, channels); };
  add(in_norm_, of(options_.in), "norm");
  const Shape wide = add(first_, of(first_channels(options_)), "first");
  add(skip_, wide, "skip");
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    const std::string block = str("blocks.", i, ".");
    add(blocks_[i].first_norm, wide, block + "first_norm");
    add(blocks_[i].first, wide, block + "first");
    add(blocks_[i].second_norm, wide, block + "second_norm");
    add(blocks_[i].second, wide, block + "second");
    add(blocks_[i].skip, wide, block + "skip");
  }
  add(last_norm_, wide, "last_norm");
  const Shape out = add(last_, wide, "last");
  // The sums of the blocks, the activations that stand alone, and what is done to the input.
  const auto blocks = static_cast<double>(blocks_.size());
  const auto activations = blocks * (options_.batch_norm ? 2 : 1) + 1;
  const auto first = static_cast<double>(of(first_channels(options_)).numel());
  const double entering = first + static_cast<double>(in.numel());
  rows.push_back({name, kind(), out, 0,
                  (2 * blocks + activations) * static_cast<double>(wide.numel()) + entering});
  return out;
}

double RealNvpNet::parameters_of(const RealNvpNetOptions& options) {
  const auto width = static_cast<double>(options.width), out = static_cast<double>(options.out);
  const auto blocks = static_cast<double>(options.blocks);
  const double weights = 9 * static_cast<double>(first_channels(options)) * width +
                         blocks * 18 * width * width + (blocks + 1) * width * width + width * out;
  if (!options.batch_norm) return weights + 2 * ((3 * blocks + 2) * width + out);
  const double biases = (2 * blocks + 2) * width + out, magnitudes = biases - width;
  const double of_norms = (2 * blocks + 1) * width + static_cast<double>(options.in);
  return weights + biases + magnitudes + of_norms;
}

}  // namespace nf::nn
