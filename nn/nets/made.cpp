#include "nn/nets/made.h"

#include <algorithm>
#include <numeric>

namespace nf::nn {

namespace {

// Hidden degrees begin at 0 where something can be known before any input, or where there is no
// other degree.
std::int32_t lowest_degree(const MadeOptions& o) { return o.context > 0 || o.dims == 1 ? 0 : 1; }

// Units of degree `degree` or less in a hidden layer.
std::int64_t units_up_to(const MadeOptions& o, std::int64_t degree) {
  const std::int64_t lowest = lowest_degree(o), degrees = o.dims - lowest;
  const std::int64_t before = std::max<std::int64_t>(0, degree + 1 - lowest);
  // Unit j has degree lowest + floor(j degrees / H).
  return std::min(o.hidden_units, (before * o.hidden_units + degrees - 1) / degrees);
}

Degrees hidden_degrees(const MadeOptions& o) {
  const std::int64_t lowest = lowest_degree(o);
  Degrees degrees;
  for (std::int64_t j = 0; j < o.hidden_units; ++j) {
    degrees.push_back(static_cast<std::int32_t>(lowest + j * (o.dims - lowest) / o.hidden_units));
  }
  return degrees;
}

// What is known before x_d is its place in the order: the degrees of inputs, from 1.
Degrees input_degrees(const MadeOptions& o) {
  Degrees degrees(static_cast<std::size_t>(o.dims));
  for (std::size_t t = 0; t < o.order.size(); ++t) {
    degrees[o.order[t]] = static_cast<std::int32_t>(t + 1);
  }
  return degrees;
}

MadeOptions checked(MadeOptions o) {
  NF_CHECK(o.dims > 0 && o.hidden_units > 0 && o.outputs_per_dim > 0 && o.context >= 0 &&
               o.hidden_layers >= 0,
           "[Made] sizes must be positive, got ", o.dims, " dimensions, ", o.context,
           " of a context, ", o.hidden_units, " hidden units, ", o.outputs_per_dim,
           " outputs of a dimension and ", o.hidden_layers, " hidden layers");
  if (o.order.empty()) {
    o.order.resize(static_cast<std::size_t>(o.dims));
    std::iota(o.order.begin(), o.order.end(), 0);
  }
  std::vector<bool> seen(static_cast<std::size_t>(o.dims), false);
  bool right = std::ssize(o.order) == o.dims;
  for (const std::int32_t d : o.order) {
    right = right && d >= 0 && d < o.dims && !seen[d];
    if (right) seen[d] = true;
  }
  NF_CHECK(right, "[Made] the order must hold each of 0..", o.dims - 1, " once");
  return o;
}

}  // namespace

Made::Built Made::build(const MadeOptions& o, Generator& gen) {
  const Degrees hidden = hidden_degrees(o), places = input_degrees(o);
  Degrees inputs = places, outputs;
  inputs.insert(inputs.end(), static_cast<std::size_t>(o.context), 0);
  for (int p = 0; p < o.outputs_per_dim; ++p) {
    outputs.insert(outputs.end(), places.begin(), places.end());
  }
  Built built;
  const auto add = [&](MaskedLinearOptions layer) {
    built.layers.push_back(std::make_shared<MaskedLinear>(layer, gen));
    return built.layers.back();
  };
  const auto to_hidden = [&](const Degrees& in, bool active, const Init& init) {
    const auto act = active ? std::optional(o.activation) : std::nullopt;
    return add({.in = in, .out = hidden, .activation = act, .init = init});
  };
  const auto to_outputs = [&](const Degrees& in) {
    return add({.in = in, .out = outputs, .strict = true, .init = o.last_init});
  };
  if (!o.residual) {
    const auto net = std::make_shared<Sequential>();
    for (int i = 0; i < o.hidden_layers; ++i) {
      net->push_back(to_hidden(i == 0 ? inputs : hidden, true, o.init));
    }
    net->push_back(to_outputs(o.hidden_layers == 0 ? inputs : hidden));
    built.net = net;
    return built;
  }
  const auto first = to_hidden(inputs, false, o.init);
  std::vector<ResidualMlp::Block> blocks;
  for (int i = 0; i < o.hidden_layers; ++i) {
    const auto inner = to_hidden(hidden, true, o.init);
    blocks.push_back({inner, to_hidden(hidden, false, kOuterInit)});
  }
  built.net = std::make_shared<ResidualMlp>(first, blocks, to_outputs(hidden), o.activation);
  return built;
}

Made::Made(const MadeOptions& options, Generator& gen)
    : Made(checked(options), build(checked(options), gen)) {}

Made::Made(const MadeOptions& options, Built built)
    : options_(options),
      layers_(std::move(built.layers)),
      net_(add_module("", std::move(built.net))) {
  std::vector<std::int32_t> columns(static_cast<std::size_t>(options_.context));
  std::iota(columns.begin(), columns.end(), static_cast<std::int32_t>(options_.dims));
  columns.insert(columns.end(), order().begin(), order().end());
  columns_ = Tensor::from(columns, {std::ssize(columns)});
  Degrees places = input_degrees(options_);
  for (std::int32_t& place : places) --place;
  places_ = Tensor::from(places, {options_.dims});
  std::vector<std::int32_t> rows;
  for (const std::int32_t d : order()) {
    for (std::int64_t k = 0; k < options_.outputs_per_dim; ++k) {
      rows.push_back(static_cast<std::int32_t>(k * options_.dims) + d);
    }
  }
  rows_ = Tensor::from(rows, {std::ssize(rows)});
}

std::string Made::kind() const {
  return str("Made(", options_.dims, " dimensions, ", options_.hidden_layers,
             options_.residual ? " blocks of " : " layers of ", options_.hidden_units, ")");
}

double Made::parameters_of(const MadeOptions& o) {
  const auto in = static_cast<double>(o.dims + o.context);
  const auto out = static_cast<double>(o.dims) * o.outputs_per_dim;
  const auto width = static_cast<double>(o.hidden_units);
  if (!o.residual && o.hidden_layers == 0) return (in + 1) * out;
  const double inner = o.residual ? 2.0 * o.hidden_layers : o.hidden_layers - 1.0;
  return (in + 1) * width + inner * (width + 1) * width + (width + 1) * out;
}

// --- MadeSweep ----------------------------------------------------------------------------------

namespace {

const Tensor& moved_to(Device device, Tensor& index) {
  if (index.device() != device) index = index.to(device);
  return index;
}

}  // namespace

MadeSweep::MadeSweep(Made& net, const Var& context, std::int64_t rows) : net_(net) {
  const MadeOptions& o = net.options();
  const Var& w = net.layers_.front()->weight();
  const auto buffer = [&](std::int64_t width) {
    return Var(Tensor::empty({width, rows}, w.dtype(), w.device()));
  };
  known_ = buffer(o.context + o.dims);
  if (o.context > 0) known_ = append(known_, 0, 0, transpose(context, 0, 1));
  hidden_.assign(net.layers_.size() - 1, Var());
  for (Var& hidden : hidden_) hidden = buffer(o.hidden_units);
  first_weight_ = index_select(w, 1, moved_to(w.device(), net.columns_));
}

// weight (count, ..) of columns [begin, end) times these rows of `from`, added to `sum` (count, N).
static Var plus_product(const Var& sum, const Var& weight, const Var& from, std::int64_t begin,
                        std::int64_t end) {
  return sum + matmul(narrow(weight, 1, begin, end - begin), narrow(from, 0, begin, end - begin));
}

const Var& MadeSweep::weight(std::size_t layer) const {
  return layer == 0 ? first_weight_ : net_.layers_[layer]->weight();
}

const Var& MadeSweep::seen(std::size_t layer) const {
  return layer == 0 ? known_ : hidden_[layer - 1];
}

void MadeSweep::start_block() {
  constexpr std::int64_t kPlaces = 16;
  const MadeOptions& o = net_.options();
  const std::size_t last = net_.layers_.size() - 1;
  block_ = {};
  block_.place = place_;
  block_.end = std::min(o.dims, place_ + kPlaces);
  block_.inputs = o.context + place_;
  block_.units = units_up_to(o, place_ - 1);
  const auto sums = [&](std::size_t layer, const Var& weight, const Var& bias) {
    const Var start = broadcast_to(reshape(bias, {bias.numel(), 1}), {bias.numel(), known_.dim(1)});
    return plus_product(start, weight, seen(layer), 0, block_.known(layer));
  };
  const std::int64_t units = units_up_to(o, block_.end - 1) - block_.units;
  for (std::size_t i = 0; i < last; ++i) {
    block_.sums.push_back(sums(i, narrow(weight(i), 0, block_.units, units),
                               narrow(net_.layers_[i]->bias(), 0, block_.units, units)));
  }
  const std::int64_t p = o.outputs_per_dim;
  const Tensor index = moved_to(known_.device(), net_.rows_)
                           .narrow(0, block_.place * p, (block_.end - block_.place) * p);
  block_.weight = index_select(weight(last), 0, index);
  block_.outputs = sums(last, block_.weight, index_select(net_.layers_[last]->bias(), 0, index));
}

// The sums of some rows of a layer (count, N), with what became known since the block began.
Var MadeSweep::grown(std::size_t layer, const Var& sums, const Var& weight) const {
  const std::int64_t known = layer == 0 ? net_.options().context + place_ : end_;
  return plus_product(sums, weight, seen(layer), block_.known(layer), known);
}

// What this place adds to a layer's units, (end_ - begin_, N), of what it sees by now. None of
// these weights is masked.
Var MadeSweep::units(std::size_t layer) const {
  const std::int64_t count = end_ - begin_;
  const Var w = narrow(weight(layer), 0, begin_, count);
  const Var sum = grown(layer, narrow(block_.sums[layer], 0, begin_ - block_.units, count), w);
  const auto& act = net_.layers_[layer]->activation();
  return act ? (*act)(sum) : sum;
}

Var MadeSweep::next() {
  const Call call(net_);
  if (place_ == block_.end) start_block();
  const MadeOptions& o = net_.options();
  const std::size_t last = net_.layers_.size() - 1;
  begin_ = units_up_to(o, place_ - 1);
  end_ = units_up_to(o, place_);
  if (end_ > begin_ && last > 0) {
    Var h = units(0);
    if (!o.residual) {
      grow(hidden_[0], h);
      for (std::size_t i = 1; i < last; ++i) grow(hidden_[i], units(i));
    } else {
      for (std::size_t i = 1; i < last; i += 2) {
        grow(hidden_[i - 1], o.activation(h));
        grow(hidden_[i], units(i));
        h = h + units(i + 1);
      }
      grow(hidden_[last - 1], h);
    }
  }
  const std::int64_t p = o.outputs_per_dim, row = (place_ - block_.place) * p;
  const Var out = grown(last, narrow(block_.outputs, 0, row, p), narrow(block_.weight, 0, row, p));
  return transpose(out, 0, 1);
}

void MadeSweep::put(const Var& x) {
  known_ = append(known_, 0, net_.options().context + place_, transpose(x, 0, 1));
  ++place_;
}

Var MadeSweep::inputs() const {
  const MadeOptions& o = net_.options();
  return transpose(index_select(narrow(known_, 0, o.context, o.dims), 0,
                                moved_to(known_.device(), net_.places_)),
                   0, 1);
}

}  // namespace nf::nn
