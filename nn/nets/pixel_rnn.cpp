#include "nn/nets/pixel_rnn.h"

#include "nn/nets/pixels.h"

namespace nf::nn {

namespace {

constexpr std::int64_t kRowsAbove = 3, kAside = 3;

}  // namespace

PixelRnn::PixelRnn(const PixelRnnOptions& options, Generator& gen)
    : CausalNet({.places = options.height * options.width,
                 .channels = options.channels,
                 .outputs = options.outputs,
                 .context = options.context}),
      options_([&] {
        NF_CHECK(options.maps > 0 && options.layers >= 0 && options.head > 0,
                 "[PixelRnn] sizes must be positive, got ", options.maps, " maps, ", options.layers,
                 " layers and a head of ", options.head);
        return options;
      }()),
      above_(add_module(
          "above", std::make_shared<Conv2d>(Conv2dOptions{.in = options.channels,
                                                          .out = 2 * options.maps,
                                                          .kernel = {kRowsAbove, 2 * kAside + 1},
                                                          .padding = {0, kAside},
                                                          .init = {Init::Kind::Xavier, 1}},
                                            gen))),
      left_(add_module("left",
                       std::make_shared<Conv2d>(Conv2dOptions{.in = options.channels,
                                                              .out = 2 * options.maps,
                                                              .kernel = {1, kAside},
                                                              .bias = false,
                                                              .init = {Init::Kind::Xavier, 1}},
                                                gen))),
      head_([&]() -> Layer& {
        const std::int64_t maps = options.maps;
        for (std::int64_t i = 0; i < options.layers; ++i) {
          const std::string name = str("layers.", i, ".");
          RowLstm& lstm = add_module(
              name + "lstm",
              std::make_shared<RowLstm>(
                  RowLstmOptions{.in = 2 * maps, .maps = maps, .kernel = options.kernel}, gen));
          Conv2d& out =
              add_module(name + "out", std::make_shared<Conv2d>(pointwise(maps, 2 * maps), gen));
          const LinearOptions given = {.in = options.context, .out = 4 * maps, .bias = false};
          blocks_.push_back(
              {lstm, out,
               options.context == 0
                   ? nullptr
                   : &add_module(name + "given", std::make_shared<Linear>(given, gen))});
        }
        return add_module("head", pixel_head(2 * maps, options.head, options.outputs, gen));
      }()) {}

Var PixelRnn::forward(const Var& x, const Var& context) {
  const std::int64_t n = x.dim(0), h = options_.height, w = options_.width;
  const Var image = reshape(x, {n, h, w, options_.channels}) - 0.5;
  Var r = above_(taps_before(image, 1, kRowsAbove, /*strict=*/true)) +
          left_(taps_before(image, 2, kAside, /*strict=*/true));
  for (const Block& block : blocks_) {
    r = r + block.out(block.lstm.run(r, at_every_pixel(block.given, context)));
  }
  return reshape(head_(relu(r)), {n, h * w, options_.outputs});
}

std::string PixelRnn::kind() const {
  return str("PixelRnn(", options_.height, " x ", options_.width, " x ", options_.channels, ", ",
             options_.layers, " row LSTMs of ", options_.maps, ")");
}

Shape PixelRnn::inspect(const Shape& in, const std::string& name,
                        std::vector<LayerInfo>& rows) const {
  const std::int64_t n = in.dim(0), h = options_.height, w = options_.width, c = options_.channels;
  const Shape r = above_.inspect({n, h + kRowsAbove - 1, w, c}, join_names(name, "above"), rows);
  left_.inspect({n, h, w + kAside - 1, c}, join_names(name, "left"), rows);
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    const std::string of = join_names(name, str("layers.", i));
    const Shape told = blocks_[i].lstm.inspect(r, join_names(of, "lstm"), rows);
    blocks_[i].out.inspect(told, join_names(of, "out"), rows);
    // The sum with r; the context's with the sums of the gates.
    rows.back().flops += static_cast<double>(r.numel()) * (blocks_[i].given ? 3 : 1);
    if (blocks_[i].given) {
      blocks_[i].given->inspect({n, options_.context}, join_names(of, "given"), rows);
    }
  }
  head_.inspect(r, join_names(name, "head"), rows);
  return out_shape(in);
}

double PixelRnn::parameters_of(const PixelRnnOptions& o) {
  const auto m = static_cast<double>(o.maps), kernel = static_cast<double>(o.kernel);
  const auto first = static_cast<double>(o.channels * (kRowsAbove * (2 * kAside + 1) + kAside) + 1);
  const double sums = m * (kernel + 1) + 1 + m * kernel + static_cast<double>(o.context);
  const auto head = static_cast<double>(o.head);
  return first * 2 * m + static_cast<double>(o.layers) * (sums * 4 * m + (m + 1) * 2 * m) +
         (2 * m + 1) * head + (head + 1) * static_cast<double>(o.outputs);
}

// --- the sweep ----------------------------------------------------------------------------------

// What the rows above say of a row, in all layers, is computed when it begins; a column when the
// pixel before it is known.
class PixelRnn::Sweep : public CausalSweep {
 public:
  Sweep(PixelRnn& net, const Var& context, std::int64_t rows, const Tensor& like)
      : net_(net),
        n_(rows),
        pixels_above_({n_, 1, net.options_.width, net.options_.channels}, 1, kRowsAbove, like),
        pixels_left_({n_, 1, 1, net.options_.channels}, 2, kAside, like) {
    const PixelRnnOptions& o = net.options_;
    const auto zeros = [&](std::int64_t channels) {
      return Tensor::zeros({n_, 1, o.width, channels}, like.dtype(), like.device());
    };
    row_ = zeros(o.channels);
    for (const Block& block : net.blocks_) {
      of_context_.push_back(at_every_pixel(block.given, context));
      left_.emplace_back(Shape{n_, 1, 1, 2 * o.maps}, 2, block.lstm.columns(), like);
      told_.push_back(zeros(o.maps));
      kept_.push_back(zeros(o.maps));
    }
    from_above_.resize(net.blocks_.size());
  }

  Tensor next() override {
    const NoGrad no_grad;
    if (column_ == 0) next_row();
    Var r = net_.left_(pixels_left_.held()) + first_.narrow(2, column_, 1);
    for (std::size_t i = 0; i < net_.blocks_.size(); ++i) {
      const Block& block = net_.blocks_[i];
      left_[i].push(r.value());
      // What was kept in the row above is read here for the last time.
      Tensor kept = kept_[i].narrow(2, column_, 1);
      const LstmState at = lstm_step(
          block.lstm.from_left(left_[i].held()) + from_above_[i].narrow(2, column_, 1), kept);
      kept.copy_(at.c.value());
      told_[i].narrow(2, column_, 1).copy_(at.h.value());
      r = r + block.out(at.h);
    }
    return net_.head_(relu(r)).value().reshape({n_, net_.options_.outputs});
  }

  void put(const Tensor& x) override {
    const PixelRnnOptions& o = net_.options_;
    const Tensor pixel = x.reshape({n_, 1, 1, o.channels}) - 0.5;
    row_.narrow(2, column_, 1).copy_(pixel);
    pixels_left_.push(pixel);
    if (++column_ < o.width) return;
    column_ = 0;
    pixels_above_.push(row_.clone());
  }

 private:
  void next_row() {
    first_ = net_.above_(pixels_above_.held()).value();
    pixels_left_.clear();
    for (std::size_t i = 0; i < net_.blocks_.size(); ++i) {
      left_[i].clear();
      const Var sums = net_.blocks_[i].lstm.from_above(told_[i]);
      from_above_[i] = (of_context_[i].defined() ? sums + of_context_[i] : sums).value();
    }
  }

  PixelRnn& net_;
  std::int64_t n_, column_ = 0;
  PixelWindow pixels_above_, pixels_left_;
  std::vector<PixelWindow> left_;  // of each layer's r
  std::vector<Var> of_context_;
  std::vector<Tensor> told_, kept_;  // (N, 1, W, M), of this row up to the column, then of the last
  Tensor first_;                     // above_ of this row, (N, 1, W, 2M)
  std::vector<Tensor> from_above_;   // (N, 1, W, 4M)
  Tensor row_;                       // (N, 1, W, C), as far as it is known
};

std::unique_ptr<CausalSweep> PixelRnn::sweep(const Var& context, std::int64_t rows) {
  const NoGrad no_grad;
  return std::make_unique<Sweep>(*this, context, rows, above_.parameters()[0].second->value());
}

}  // namespace nf::nn
