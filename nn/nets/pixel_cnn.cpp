#include "nn/nets/pixel_cnn.h"

#include "nn/nets/pixels.h"

namespace nf::nn {

// A name of its own: in unity builds classes with a name may not hold what has none.
namespace pixel_cnn {

// How far the kernels of a block reach.
struct Reach {
  std::int64_t rows, side, columns;  // rows of `vertical`, columns to each side; of `horizontal`
  bool strict;                       // without the own row and column
};

}  // namespace pixel_cnn

namespace {

using pixel_cnn::Reach;
constexpr Reach kFirst = {3, 3, 3, true}, kLater = {2, 1, 2, false};

}  // namespace

class PixelCnn::Block : public Module {
 public:
  Block(const PixelCnnOptions& o, const Reach& reach, Generator& gen)
      : reach_(reach),
        in_(reach.strict ? o.channels : o.maps),
        vertical_(add_module("vertical", std::make_shared<Conv2d>(vertical_options(o.maps), gen))),
        link_(add_module("link",
                         std::make_shared<Conv2d>(pointwise(2 * o.maps, 2 * o.maps, false), gen))),
        horizontal_(
            add_module("horizontal", std::make_shared<Conv2d>(horizontal_options(o.maps), gen))),
        out_(add_module("out", std::make_shared<Conv2d>(pointwise(o.maps, o.maps), gen))) {
    if (o.context == 0) return;
    given_ = &add_module(
        "given", std::make_shared<Linear>(
                     LinearOptions{.in = o.context, .out = 2 * o.maps, .bias = false}, gen));
  }

  /// What the gates of the horizontal stack add of the context, (N, 1, 1, 2M); undefined without.
  Var of_context(const Var& context) { return at_every_pixel(given_, context); }
  /// v' of rows (N, .., W, in): each output row of as many rows as the kernel has.
  Var vertical(const Var& rows) { return vertical_(rows); }
  /// What the horizontal stack gets of v' and the context, at the same places.
  Var link(const Var& v, const Var& of_context) {
    const Var linked = link_(v);
    return of_context.defined() ? linked + of_context : linked;
  }
  /// h of (N, H, .., in), as many columns as the kernel has for each one; `own`: h before.
  Var horizontal(const Var& columns, const Var& linked, const Var& own) {
    const Var h = out_(gated_tanh(horizontal_(columns) + linked));
    return reach_.strict ? h : h + own;
  }

  struct Stacks {
    Var v, h;
  };
  Stacks forward(const Stacks& in, const Var& context) {
    const Var v = vertical(taps_before(in.v, 1, reach_.rows, reach_.strict));
    const Var linked = link(v, of_context(context));
    return {gated_tanh(v),
            horizontal(taps_before(in.h, 2, reach_.columns, reach_.strict), linked, in.h)};
  }

  const Reach& reach() const { return reach_; }
  std::int64_t in() const { return in_; }
  std::string kind() const override { return "PixelCnnBlock"; }
  /// in: (N, H, W, channels).
  Shape inspect(const Shape& in, const std::string& name,
                std::vector<LayerInfo>& rows) const override {
    const std::int64_t above = in.dim(1) + reach_.rows - 1, left = in.dim(2) + reach_.columns - 1;
    const Shape v =
        vertical_.inspect({in.dim(0), above, in.dim(2), in_}, join_names(name, "vertical"), rows);
    link_.inspect(v, join_names(name, "link"), rows);
    horizontal_.inspect({in.dim(0), in.dim(1), left, in_}, join_names(name, "horizontal"), rows);
    const Shape gated = {in.dim(0), in.dim(1), in.dim(2), v.dim(3) / 2};
    out_.inspect(gated, join_names(name, "out"), rows);
    if (given_) given_->inspect({in.dim(0), 1}, join_names(name, "given"), rows);
    // Of each stack tanh, sigmoid and their product; the sums of what comes together.
    const auto numbers = static_cast<double>(gated.numel());
    rows.push_back({.name = join_names(name, "gates"),
                    .kind = "gates",
                    .out_shape = gated,
                    .flops = 6 * numbers + (reach_.strict ? 2 : 3) * numbers,
                    .beside = 4 * numbers});
    return gated;
  }

 private:
  Conv2dOptions vertical_options(std::int64_t maps) const {
    return {.in = in_,
            .out = 2 * maps,
            .kernel = {reach_.rows, 2 * reach_.side + 1},
            .padding = {0, reach_.side},
            .init = {Init::Kind::Xavier, 1}};
  }
  Conv2dOptions horizontal_options(std::int64_t maps) const {
    return {
        .in = in_, .out = 2 * maps, .kernel = {1, reach_.columns}, .init = {Init::Kind::Xavier, 1}};
  }

  Reach reach_;
  std::int64_t in_;
  Conv2d &vertical_, &link_, &horizontal_, &out_;
  Linear* given_ = nullptr;
};

PixelCnn::PixelCnn(const PixelCnnOptions& options, Generator& gen)
    : CausalNet({.places = options.height * options.width,
                 .channels = options.channels,
                 .outputs = options.outputs,
                 .context = options.context}),
      options_(options),
      head_([&]() -> Layer& {
        NF_CHECK(options.maps > 0 && options.layers >= 0 && options.head > 0,
                 "[PixelCnn] sizes must be positive, got ", options.maps, " maps, ", options.layers,
                 " layers and a head of ", options.head);
        for (std::int64_t i = 0; i <= options.layers; ++i) {
          blocks_.push_back(std::make_shared<Block>(options, i == 0 ? kFirst : kLater, gen));
          add_module(str("blocks.", i), blocks_.back());
        }
        return add_module("head", pixel_head(options.maps, options.head, options.outputs, gen));
      }()) {}

Var PixelCnn::forward(const Var& x, const Var& context) {
  const std::int64_t n = x.dim(0), h = options_.height, w = options_.width;
  const Var image = reshape(x, {n, h, w, options_.channels}) - 0.5;
  Block::Stacks stacks = {image, image};
  for (const auto& block : blocks_) stacks = block->forward(stacks, context);
  return reshape(head_(relu(stacks.h)), {n, h * w, options_.outputs});
}

std::string PixelCnn::kind() const {
  return str("PixelCnn(", options_.height, " x ", options_.width, " x ", options_.channels, ", ",
             options_.layers, " layers of ", options_.maps, ")");
}

Shape PixelCnn::inspect(const Shape& in, const std::string& name,
                        std::vector<LayerInfo>& rows) const {
  Shape at = {in.dim(0), options_.height, options_.width, options_.channels};
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    at = blocks_[i]->inspect(at, join_names(name, str("blocks.", i)), rows);
  }
  head_.inspect(at, join_names(name, "head"), rows);
  return out_shape(in);
}

double PixelCnn::parameters_of(const PixelCnnOptions& o) {
  const auto m = static_cast<double>(o.maps), channels = static_cast<double>(o.channels);
  const auto head = static_cast<double>(o.head), layers = static_cast<double>(o.layers);
  const auto block = [&](double in, double vertical, double horizontal) {
    return (in * vertical + 1 + in * horizontal + 1 + 2 * m + static_cast<double>(o.context)) * 2 *
               m +
           (m + 1) * m;
  };
  return block(channels, 21, 3) + layers * block(m, 6, 2) + (m + 1) * head +
         (head + 1) * static_cast<double>(o.outputs);
}

// --- the sweep ----------------------------------------------------------------------------------

// A row of the vertical stack is computed when all rows above are known, in all layers, and a
// column of the horizontal one when the pixel before it is.
class PixelCnn::Sweep : public CausalSweep {
 public:
  Sweep(PixelCnn& net, const Var& context, std::int64_t rows, const Tensor& like)
      : net_(net), n_(rows) {
    const PixelCnnOptions& o = net.options_;
    for (const auto& block : net.blocks_) {
      of_context_.push_back(block->of_context(context));
      above_.emplace_back(Shape{n_, 1, o.width, block->in()}, 1, block->reach().rows, like);
      left_.emplace_back(Shape{n_, 1, 1, block->in()}, 2, block->reach().columns, like);
    }
    linked_.resize(net.blocks_.size());
    row_ = Tensor::zeros({n_, 1, o.width, o.channels}, like.dtype(), like.device());
  }

  Tensor next() override {
    const NoGrad no_grad;
    if (column_ == 0) next_row();
    Var h;
    for (std::size_t i = 0; i < net_.blocks_.size(); ++i) {
      if (i > 0) left_[i].push(h.value());
      const Tensor linked = linked_[i].narrow(2, column_, 1);
      h = net_.blocks_[i]->horizontal(left_[i].held(), linked, h);
    }
    const Var out = net_.head_(relu(h));
    return out.value().reshape({n_, net_.options_.outputs});
  }

  void put(const Tensor& x) override {
    const PixelCnnOptions& o = net_.options_;
    const Tensor pixel = x.reshape({n_, 1, 1, o.channels}) - 0.5;
    row_.narrow(2, column_, 1).copy_(pixel);
    left_[0].push(pixel);
    if (++column_ < o.width) return;
    column_ = 0;
    above_[0].push(row_.clone());
  }

 private:
  void next_row() {
    Var v;
    for (std::size_t i = 0; i < net_.blocks_.size(); ++i) {
      if (i > 0) above_[i].push(v.value());
      const Var raw = net_.blocks_[i]->vertical(above_[i].held());
      linked_[i] = net_.blocks_[i]->link(raw, of_context_[i]).value();
      v = gated_tanh(raw);
      left_[i].clear();
    }
  }

  PixelCnn& net_;
  std::int64_t n_, column_ = 0;
  std::vector<Var> of_context_;
  std::vector<PixelWindow> above_, left_;  // of each block's inputs: rows, columns of this row
  std::vector<Tensor> linked_;             // (N, 1, W, 2M)
  Tensor row_;                             // (N, 1, W, C), as far as it is known
};

std::unique_ptr<CausalSweep> PixelCnn::sweep(const Var& context, std::int64_t rows) {
  const NoGrad no_grad;
  const Var* weight = nullptr;
  for_each_parameter([&](const std::string&, Var& p) { weight = &p; });
  return std::make_unique<Sweep>(*this, context, rows, weight->value());
}

}  // namespace nf::nn
