#include "nn/nets/wave_net.h"

namespace nf::nn {

namespace {

LinearOptions plain(std::int64_t in, std::int64_t out, bool bias = true) {
  return {.in = in, .out = out, .bias = bias, .init = {Init::Kind::Xavier, 1}};
}

/// h (N, T, R) `by` samples later, zeros in front.
Var later(const Var& h, std::int64_t by) {
  const std::int64_t length = h.dim(1);
  return narrow(pad(h, 1, by, 0), 1, 0, length);
}

/// (N, T, A) as rows (N T, A).
Var as_rows(const Var& x) { return reshape(x, {x.dim(0) * x.dim(1), x.dim(2)}); }

}  // namespace

Linear& WaveNet::linear_layer(const std::string& name, LinearOptions options, Generator& gen) {
  return add_module(name, std::make_shared<Linear>(options, gen));
}

WaveNet::WaveNet(const WaveNetOptions& options, Generator& gen)
    : CausalNet({.places = options.length, .outputs = options.outputs, .context = options.context}),
      options_(options),
      first_([&]() -> Linear& {
        NF_CHECK(options.maps > 0 && options.skip > 0 && options.layers > 0 &&
                     options.layers <= 30 && options.blocks > 0,
                 "[WaveNet] sizes must be positive and layers at most 30, got ", options.maps,
                 " maps, a skip of ", options.skip, ", ", options.blocks, " blocks of ",
                 options.layers, " layers");
        return linear_layer("first", plain(1, options.maps), gen);
      }()) {
  const std::int64_t maps = options.maps;
  for (std::int64_t i = 0; i < options.blocks * options.layers; ++i) {
    const std::string name = str("layers.", i, ".");
    Layer& conv = linear_layer(name + "conv", plain(2 * maps, 2 * maps), gen);
    const bool last = i + 1 == options.blocks * options.layers;
    Layer* const out = last ? nullptr : &linear_layer(name + "out", plain(maps, maps), gen);
    Layer& skip = linear_layer(name + "skip", plain(maps, options.skip), gen);
    Layer* const given =
        options.context == 0
            ? nullptr
            : &linear_layer(name + "given", plain(options.context, 2 * maps, false), gen);
    layers_.push_back({std::int64_t{1} << (i % options.layers), conv, skip, out, given});
  }
  LinearOptions inner = plain(options.skip, options.skip);
  inner.activation = Activation{UnaryOp::Relu, {}};
  inner_ = &linear_layer("inner", inner, gen);
  last_ = &linear_layer(
      "last", {.in = options.skip, .out = options.outputs, .init = {Init::Kind::Xavier, 0.1}}, gen);
}

Var WaveNet::gates(const Dilated& layer, const Var& both, const Var& of_context) {
  const Var sum = layer.conv(both);
  return gated_tanh(of_context.defined() ? sum + of_context : sum);
}

Var WaveNet::head(const Var& total) { return (*last_)((*inner_)(relu(total))); }

Var WaveNet::forward(const Var& x, const Var& context) {
  const std::int64_t n = x.dim(0), length = options_.length, maps = options_.maps;
  Var h = first_(as_rows(later(x - 0.5, 1))), total;  // (N T, R), (N T, S)
  for (const Dilated& layer : layers_) {
    const Var signal = reshape(h, {n, length, maps});
    // Where the dilation is no less than T, nothing before is heard.
    const Var past = layer.dilation < length ? later(signal, layer.dilation) : signal * 0.0;
    Var of_context;
    if (layer.given) {
      const Var one = reshape((*layer.given)(context), {n, 1, 2 * maps});
      of_context = reshape(broadcast_to(one, {n, length, 2 * maps}), {n * length, 2 * maps});
    }
    const Var g = gates(layer, as_rows(concat({past, signal}, 2)), of_context);
    if (layer.out) h = h + (*layer.out)(g);
    total = total.defined() ? total + layer.skip(g) : layer.skip(g);
  }
  return reshape(head(total), {n, length, options_.outputs});
}

std::string WaveNet::kind() const {
  return str("WaveNet(", options_.length, " samples, ", options_.blocks, " x ", options_.layers,
             " layers of ", options_.maps, ")");
}

Shape WaveNet::inspect(const Shape& in, const std::string& name,
                       std::vector<LayerInfo>& rows) const {
  const std::int64_t samples = in.dim(0) * options_.length, maps = options_.maps;
  first_.inspect({samples, 1}, join_names(name, "first"), rows);
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const Dilated& layer = layers_[i];
    const std::string of = join_names(name, str("layers.", i));
    layer.conv.inspect({samples, 2 * maps}, join_names(of, "conv"), rows);
    if (layer.out) layer.out->inspect({samples, maps}, join_names(of, "out"), rows);
    layer.skip.inspect({samples, maps}, join_names(of, "skip"), rows);
    if (layer.given) {
      layer.given->inspect({in.dim(0), options_.context}, join_names(of, "given"), rows);
    }
    const Shape gated = {samples, maps};
    const auto numbers = static_cast<double>(gated.numel());
    rows.push_back({.name = join_names(of, "gates"),
                    .kind = "gates",
                    .out_shape = gated,
                    .flops = (3 + 1 + (layer.given ? 2 : 0)) * numbers +
                             static_cast<double>(samples * options_.skip),
                    .beside = 5 * numbers});
  }
  inner_->inspect({samples, options_.skip}, join_names(name, "inner"), rows);
  last_->inspect({samples, options_.skip}, join_names(name, "last"), rows);
  return out_shape(in);
}

double WaveNet::parameters_of(const WaveNetOptions& o) {
  const auto m = static_cast<double>(o.maps), s = static_cast<double>(o.skip);
  const double layer = (2 * m + 1 + static_cast<double>(o.context)) * 2 * m + (m + 1) * (m + s);
  return 2 * m + static_cast<double>(o.blocks * o.layers) * layer - (m + 1) * m + (s + 1) * s +
         (s + 1) * static_cast<double>(o.outputs);
}

// --- the sweep ----------------------------------------------------------------------------------

class WaveNet::Sweep : public CausalSweep {
 public:
  Sweep(WaveNet& net, const Var& context, std::int64_t rows, const Tensor& like)
      : net_(net), x_(Tensor::zeros({rows, 1}, like.dtype(), like.device())) {
    for (const Dilated& layer : net.layers_) {
      of_context_.push_back(layer.given ? (*layer.given)(context) : Var());
      const std::int64_t kept = std::min(layer.dilation, net.options_.length);
      queues_.push_back(
          Tensor::zeros({rows, kept, net.options_.maps}, like.dtype(), like.device()));
    }
  }

  Tensor next() override {
    const NoGrad no_grad;
    const std::int64_t n = x_.dim(0), maps = net_.options_.maps;
    Var h = net_.first_(x_), total;
    for (std::size_t i = 0; i < net_.layers_.size(); ++i) {
      const Dilated& layer = net_.layers_[i];
      // What came in d samples before stands where what comes in now will stand.
      Tensor place = queues_[i].narrow(1, time_ % queues_[i].dim(1), 1);
      const Var both = concat({Var(place.reshape({n, maps})), h}, 1);
      place.copy_(h.value().reshape({n, 1, maps}));
      const Var g = gates(layer, both, of_context_[i]);
      if (layer.out) h = h + (*layer.out)(g);
      total = total.defined() ? total + layer.skip(g) : layer.skip(g);
    }
    return net_.head(total).value();
  }

  void put(const Tensor& x) override {
    x_ = x - 0.5;
    ++time_;
  }

 private:
  WaveNet& net_;
  std::int64_t time_ = 0;
  Tensor x_;                     // (N, 1), of the sample before
  std::vector<Var> of_context_;  // (N, 2R)
  std::vector<Tensor> queues_;   // (N, d, R), a ring each
};

std::unique_ptr<CausalSweep> WaveNet::sweep(const Var& context, std::int64_t rows) {
  const NoGrad no_grad;
  const Var* weight = nullptr;
  for_each_parameter([&](const std::string&, Var& p) { weight = &p; });
  return std::make_unique<Sweep>(*this, context, rows, weight->value());
}

}  // namespace nf::nn
