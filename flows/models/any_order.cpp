#include "flows/models/any_order.h"

#include <algorithm>
#include <cmath>

#include "flows/maps/mixture.h"
#include "flows/transform.h"
#include "tensor/text.h"

namespace nf::flows {

namespace {

// A whole number is a cell of the distribution function while cells are at least this wide, as
// parts of the column's deviation; f32 does not tell narrower ones apart. Then the density in its
// middle is the probability.
constexpr double kNarrowest = 1e-3;

Tensor random_orders(int orders, std::int64_t dims, Generator& gen) {
  std::vector<std::int32_t> all;
  for (int i = 0; i < orders; ++i) {
    const auto one = permutation(gen, dims).to_vector<std::int32_t>();
    all.insert(all.end(), one.begin(), one.end());
  }
  return Tensor::from(all, {orders, dims});
}

Tensor marks(const std::vector<std::int32_t>& columns, std::int64_t dims) {
  Tensor mask = Tensor::zeros({dims});
  for (const std::int32_t i : columns) mask.narrow(0, i, 1).fill_(1);
  return mask;
}

void check_options(const AnyOrderOptions& o) {
  NF_CHECK(o.dims >= 1 && o.hidden_units >= 1 && o.hidden_layers >= 1 && o.orders >= 1,
           "[AnyOrder] needs columns, hidden units and layers, and orders, got ", o.dims, ", ",
           o.hidden_units, ", ", o.hidden_layers, " and ", o.orders);
  NF_CHECK(o.components >= 1 && o.components <= 256, "[AnyOrder] 1 to 256 components, got ",
           o.components);
}

std::shared_ptr<nn::Sequential> hidden_net(const AnyOrderOptions& o, std::int64_t context,
                                           Generator& gen) {
  return nn::mlp({.in = 2 * o.dims + context,
                  .out = o.hidden_units,
                  .hidden_units = o.hidden_units,
                  .hidden_layers = o.hidden_layers - 1,
                  .activation = o.activation},
                 gen);
}

}  // namespace

AnyOrder::AnyOrder(const AnyOrderOptions& options, std::shared_ptr<Condition> condition,
                   Generator& weights, const Generator& noise)
    : Density((check_options(options), options.dims), {0, "nats of the table's own units"},
              std::move(condition)),
      options_(options),
      standardize_(
          add_module("standardize", std::make_shared<Standardize>(options.dims, options.names,
                                                                  /*wide=*/true, options.spread))),
      orders_(add_buffer("orders", random_orders(options.orders, options.dims, weights))),
      whole_(add_buffer("whole", marks(options.whole, options.dims))),
      half_(add_buffer("half", Tensor::zeros({options.dims}))),
      log_unit_(add_buffer("log_unit", Tensor::zeros({options.dims}))),
      hidden_(add_module(
          "hidden",
          hidden_net(options, this->condition() ? this->condition()->context_dims() : 0, weights))),
      noise_(add_generator("known", noise)) {
  const std::int64_t out = 3 * options.components * options.dims;
  weight_ = &add_parameter("head.weight", Tensor::zeros({out, options.hidden_units}));
  bias_ = &add_parameter("head.bias", Tensor::zeros({out}));
}

void AnyOrder::initialize(const Samples& rows) {
  const NoGrad no_grad;
  if (condition() && condition()->given_dims() > 0) {
    condition()->initialize(rows.context(0, rows.size()));
  }
  standardize_.initialize(rows);
  const Shape row = {1, dims()};
  const auto at = [&](double z) {
    return standardize_.inverse(Tensor::full(row, z)).value.value();
  };
  const std::vector<double> deviation = (at(1) - at(0)).to_vector<double>();
  const std::vector<double> whole = whole_.to(DType::F64).to_vector<double>();
  for (std::int64_t i = 0; i < dims(); ++i) {
    const double d = deviation[static_cast<std::size_t>(i)];
    const bool cell = whole[static_cast<std::size_t>(i)] == 1 && 1 / d >= kNarrowest;
    half_.narrow(0, i, 1).fill_(cell ? 0.5 / d : 0);
    log_unit_.narrow(0, i, 1).fill_(-std::log(d));
  }
}

// (N, D) in the parameters' type.
Var AnyOrder::standardised(const Var& x) {
  NF_CHECK(x.rank() == 2 && x.dim(1) == dims(), "[log_prob] the model is for data of shape (N, ",
           dims(), "), got ", x.shape());
  return standardize_.forward(x).value;
}

// (N, H) of z (N, D), where `known` (N, D) or (1, D) is 1.
Var AnyOrder::features(const Var& z, const Tensor& known, const Var& context) {
  const Tensor marked = known.to(z.dtype()).broadcast_to(z.shape());
  std::vector<Var> parts = {z * Var(marked), marked};
  if (context.defined()) parts.push_back(context);
  return options_.activation(hidden_(concat(parts, 1)));
}

// (N, 3K A) of some columns: all first logits, all second ones, and so on.
Var AnyOrder::parameters_of(const Var& features, Slice columns) const {
  const std::int64_t parts = 3 * options_.components, dims = this->dims();
  if (columns.count == dims) return linear(features, *weight_, *bias_);
  return linear(features, slice(*weight_, 0, columns.first, parts, dims),
                slice(*bias_, 0, columns.first, parts, dims));
}

// Log densities (N, A) of the columns, per unit of the data; of whole numbers log probabilities.
Var AnyOrder::conditional(const Var& z, const Var& given, Slice columns) const {
  const Var parameters = apart(given, options_.components, columns.count);
  const auto odds = [&](const Var& at) {
    return mixture_log_odds(at, parameters, options_.components, kMixtureScaleLimit);
  };
  const LogOdds<Var> here = odds(z);
  // F' of ln F - ln(1 - F) = value: slope F (1 - F).
  const Var density = here.log_slope + log_sigmoid(here.value) + log_sigmoid(-here.value) +
                      Var(log_unit_.narrow(0, columns.first, columns.count));
  const Tensor half = half_.narrow(0, columns.first, columns.count);
  if (options_.whole.empty() || max(half).item() == 0) return density;
  const Tensor cell = greater(half, half.zeros_like()).broadcast_to(z.shape());
  const Var step = where(cell, Var(half.broadcast_to(z.shape())),
                         Var(Tensor::full(z.shape(), 1, z.dtype(), z.device())));
  const Var below = odds(z - step).value, above = odds(z + step).value;
  // sigma(b) - sigma(a) = sigma(b) sigma(-a) (1 - e^(a - b))
  const Var mass = log_sigmoid(above) + log_sigmoid(-below) + log(-expm1(below - above));
  return where(cell, mass, density);
}

// A uniform level makes the number of known columns uniform on 0..D. Where all are known nothing is
// to be said, so D + 1 in place of D makes the mean right.
Var AnyOrder::estimate(const Var& z, const Var& context) {
  const std::int64_t n = z.dim(0);
  const Tensor u = uniform(noise_, {n, dims() + 1}, z.dtype(), z.device());
  const Tensor known = less(u.narrow(1, 1, dims()), u.narrow(1, 0, 1)).to(z.dtype());
  const Tensor unknown = known * -1.0 + 1.0;
  const Tensor left = maximum(sum(unknown, {1}), Tensor::full({n}, 1, z.dtype(), z.device()));
  const Tensor scale =
      Tensor::full({n}, static_cast<double>(dims() + 1), z.dtype(), z.device()) / left;
  const Slice all{0, dims()};
  const Var each = conditional(z, parameters_of(features(z, known, context), all), all);
  return sum(each * Var(unknown), {1}) * Var(scale);
}

Var AnyOrder::in_order(const Var& z, const Var& context, const std::vector<std::int32_t>& order) {
  Tensor known = Tensor::zeros({1, dims()}, z.dtype(), z.device());
  Var total;
  for (const std::int32_t column : order) {
    const Slice one{column, 1};
    const Var parameters = parameters_of(features(z, known.clone(), context), one);
    const Var log_p = conditional(narrow(z, 1, column, 1), parameters, one);
    total = total.defined() ? total + log_p : log_p;
    known.narrow(1, column, 1).fill_(1);
  }
  return total;
}

Var AnyOrder::log_prob(const Var& x, const Var& given) {
  const Var context = context_of(given, x.dim(0)), z = standardised(x);
  if (training()) return estimate(z, context);
  std::vector<Var> each;
  for (const auto& order : orders()) each.push_back(in_order(z, context, order));
  return logsumexp(concat(each, 1), {1}) - std::log(static_cast<double>(each.size()));
}

Var AnyOrder::log_conditionals(const Var& x, const Tensor& known, const Var& given) {
  const Var context = context_of(given, x.dim(0)), z = standardised(x);
  const Slice all{0, dims()};
  return conditional(z, parameters_of(features(z, known, context), all), all);
}

// x of z (N, D), f64, with the columns of whole numbers rounded.
Tensor AnyOrder::data_of(const Tensor& z) {
  Tensor x = standardize_.inverse(z).value.value().to(Device::CPU).contiguous();
  double* value = x.mutable_data<double>();
  const std::vector<double> whole = whole_.to(DType::F64).to_vector<double>();
  for (std::int64_t i = 0; i < x.dim(0); ++i) {
    for (const double one : whole) {
      if (one != 0) *value = std::floor(*value + 0.5);
      ++value;
    }
  }
  return x.to(z.device());
}

Tensor AnyOrder::completed(Generator& gen, Tensor z, Tensor known, const Var& context,
                           const std::vector<std::int32_t>& order, double temperature) {
  const std::int64_t n = z.dim(0);
  const auto map = mixture_map(options_.components);
  const Var no_outer = Tensor::zeros({n, 2}, z.dtype(), z.device());
  for (const std::int32_t column : order) {
    const Var parameters = parameters_of(features(z, known, context), {column, 1});
    const Tensor y = logistic(gen, {n, 1}, z.dtype(), Device::CPU).to(z.device()) * temperature;
    const Tensor drawn = map->inverse(y, concat({no_outer, parameters}, 1)).value.value();
    Tensor place = z.narrow(1, column, 1), mark = known.narrow(1, column, 1);
    place.copy_(where(greater(mark, mark.zeros_like()), place, drawn));
    mark.fill_(1);
    if (half_.narrow(0, column, 1).item() > 0) z = standardize_.forward(data_of(z)).value.value();
  }
  return data_of(z);
}

Tensor AnyOrder::complete(Generator& gen, const Tensor& x, const Tensor& known, double temperature,
                          const Var& given) {
  const NoGrad no_grad;
  NF_CHECK(known.shape() == x.shape(), "[complete] known is ", known.shape(), " for x ", x.shape());
  const std::int64_t n = x.dim(0);
  const Var context = context_of(given, n);
  const Tensor marked = known.to(DType::F32), z = standardised(x).value() * marked;
  const auto all = orders();
  const auto which = (uniform(gen, {n}) * static_cast<double>(all.size()))
                         .to(DType::I32)
                         .to_vector<std::int32_t>();
  Tensor out = Tensor::zeros({n, dims()}, DType::F64, x.device());
  for (std::size_t o = 0; o < all.size(); ++o) {
    std::vector<std::int32_t> rows;
    for (std::int64_t i = 0; i < n; ++i) {
      if (which[static_cast<std::size_t>(i)] == static_cast<std::int32_t>(o)) {
        rows.push_back(static_cast<std::int32_t>(i));
      }
    }
    if (rows.empty()) continue;
    const auto count = static_cast<std::int64_t>(rows.size());
    const Tensor index = Tensor::from(rows, {count}).to(x.device());
    const Var beside = context.defined() ? index_select(context, 0, index) : Var();
    const Tensor part = completed(gen, index_select(z, 0, index), index_select(marked, 0, index),
                                  beside, all[o], temperature);
    out = index_add(out, 0, index, part);
  }
  return out;
}

Tensor AnyOrder::sample(Generator& gen, std::int64_t n, double temperature, const Var& given) {
  NF_CHECK(n >= 1 && temperature >= 0, "[sample] needs n >= 1 and temperature >= 0, got ", n,
           " and ", temperature);
  const Tensor nothing = Tensor::zeros({n, dims()}, DType::F64, device());
  return complete(gen, nothing, nothing, temperature, given);
}

Tensor AnyOrder::whole_columns() const { return options_.whole.empty() ? Tensor() : whole_; }

std::vector<std::vector<std::int32_t>> AnyOrder::orders() const {
  const auto flat = orders_.to_vector<std::int32_t>();
  std::vector<std::vector<std::int32_t>> all;
  for (auto at = flat.begin(); at != flat.end(); at += dims()) all.emplace_back(at, at + dims());
  return all;
}

std::string AnyOrder::kind() const {
  return str("AnyOrder(", dims(), " columns, mixtures of ", options_.components, ", ",
             options_.orders, options_.orders == 1 ? " order)" : " orders)");
}

Shape AnyOrder::inspect(const Shape& in, const std::string& name,
                        std::vector<nn::LayerInfo>& rows) const {
  const std::int64_t n = in.dim(0), context = condition() ? condition()->context_dims() : 0;
  if (condition()) {
    condition()->inspect({n, condition()->given_dims()}, nn::join_names(name, "condition"), rows);
  }
  standardize_.inspect(in, nn::join_names(name, "standardize"), rows);
  hidden_.inspect({n, 2 * dims() + context}, nn::join_names(name, "hidden"), rows);
  const auto numel = static_cast<double>(weight_->numel());
  rows.push_back({nn::join_names(name, "head"), kind(), in, weight_->numel() + bias_->numel(),
                  static_cast<double>(n) *
                      (2 * numel + 30.0 * options_.components * static_cast<double>(dims()))});
  return in;
}

}  // namespace nf::flows
