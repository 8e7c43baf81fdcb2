#include "flows/models/any_order.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "flows/initialize.h"
#include "flows/maps/mixture.h"
#include "flows/transform.h"
#include "tensor/mixture.h"
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

void check_options(const AnyOrderOptions& o) {
  NF_CHECK(o.dims >= 1 && o.hidden_units >= 1 && o.hidden_layers >= 1 && o.orders >= 1,
           "[AnyOrder] needs columns, hidden units and layers, and orders, got ", o.dims, ", ",
           o.hidden_units, ", ", o.hidden_layers, " and ", o.orders);
  NF_CHECK(o.components >= 1 && o.components <= 256, "[AnyOrder] 1 to 256 components, got ",
           o.components);
  for (const auto& [what, size] :
       {std::pair{"categories", o.categories.size()}, {"bounds", o.bounds.size()}}) {
    NF_CHECK(size == 0 || static_cast<std::int64_t>(size) == o.dims, "[AnyOrder] ", what, " of ",
             size, " columns, not of ", o.dims);
  }
  for (const std::int32_t values : o.categories) {
    NF_CHECK(values == 0 || values >= 2, "[AnyOrder] a category has 2 values or more, got ",
             values);
  }
}

// V, of all categories together.
std::int64_t count_values(const AnyOrderOptions& o) {
  return std::accumulate(o.categories.begin(), o.categories.end(), std::int64_t{0});
}

// M
std::int64_t count_numbers(const AnyOrderOptions& o) {
  return o.dims - std::count_if(o.categories.begin(), o.categories.end(),
                                [](std::int32_t values) { return values > 0; });
}

nn::MlpOptions hidden_options(const AnyOrderOptions& o, std::int64_t context) {
  return {.in = count_numbers(o) + o.dims + count_values(o) + context,
          .out = o.hidden_units,
          .hidden_units = o.hidden_units,
          .hidden_layers = o.hidden_layers - 1,
          .activation = o.activation};
}

Convention convention_of(const AnyOrderOptions& o) {
  const std::int64_t categories = o.dims - count_numbers(o);
  const auto columns = [](std::int64_t n) { return str(n, n == 1 ? " column" : " columns"); };
  std::vector<std::string> exact;
  if (!o.whole.empty()) exact.push_back(columns(std::ssize(o.whole)) + " of whole numbers");
  if (categories > 0) exact.push_back(columns(categories) + " of categories");
  return {0, str("nats of the table's own units",
                 exact.empty() ? "" : ", exact probabilities of " + join(exact, " and "),
                 "; bits/dim = -nats/(", o.dims, " ln 2)")};
}

// The elements of the columns of numbers.
template <class T>
std::vector<T> of_the_numbers(const AnyOrderOptions& o, const std::vector<T>& all) {
  std::vector<T> out;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (o.categories.empty() || o.categories[i] == 0) out.push_back(all[i]);
  }
  return out;
}

Tensor indices(const std::vector<std::int32_t>& values) {
  return Tensor::from(values, {std::ssize(values)});
}

// 1 where there is a number.
Tensor there(const Tensor& x) { return equal(x, x); }

// x where `condition` holds, else 0.
Var only(const Tensor& condition, const Var& x) {
  return where(condition, x, Var(Tensor::zeros({}, x.dtype(), x.device())));
}

}  // namespace

AnyOrder::AnyOrder(const AnyOrderOptions& options, std::shared_ptr<Condition> condition,
                   Generator& weights, const Generator& noise)
    : Density((check_options(options), options.dims), convention_of(options), std::move(condition)),
      options_(options),
      numbers_(count_numbers(options)),
      values_(count_values(options)),
      orders_(add_buffer("orders", random_orders(options.orders, options.dims, weights))),
      whole_(add_buffer("whole", Tensor::zeros({options.dims}))),
      is_gaussian_(add_buffer("gaussian.taken", Tensor::zeros({1}))),
      hidden_(add_module("hidden", nn::mlp(hidden_options(options, context_dims()), weights))),
      noise_(add_generator("known", noise)),
      orders_in_use_(options.orders) {
  std::int64_t number = 0, value = 0;
  for (std::int32_t i = 0; i < static_cast<std::int32_t>(dims()); ++i) {
    const std::int32_t values =
        options_.categories.empty() ? 0 : options_.categories[static_cast<std::size_t>(i)];
    const bool whole =
        std::find(options_.whole.begin(), options_.whole.end(), i) != options_.whole.end();
    places_.push_back({values > 0 ? value : number, values, whole});
    (values > 0 ? value : number) += values > 0 ? values : 1;
    if (whole || values > 0) whole_.narrow(0, i, 1).fill_(1);
  }
  if (numbers_ > 0) add_numbers();
  if (values_ > 0) add_categories();
}

std::int64_t AnyOrder::context_dims() const {
  return condition() ? condition()->context_dims() : 0;
}

void AnyOrder::add_numbers() {
  const auto bounds = of_the_numbers(options_, options_.bounds);
  const bool bounded = std::any_of(bounds.begin(), bounds.end(), [](const auto& b) {
    return std::isfinite(b.first) || std::isfinite(b.second);
  });
  if (bounded) bounded_ = &add_module("bounds", std::make_shared<Bounded>(bounds));
  standardize_ = &add_module(
      "standardize",
      std::make_shared<Standardize>(numbers_, of_the_numbers(options_, options_.names),
                                    /*wide=*/true, of_the_numbers(options_, options_.spread),
                                    /*gaps=*/true));
  gaussian_mean_ = &add_buffer("gaussian.mean", Tensor::zeros({numbers_}, DType::F64));
  gaussian_covariance_ =
      &add_buffer("gaussian.covariance", Tensor::zeros({numbers_, numbers_}, DType::F64));
  half_ = &add_buffer("half", Tensor::zeros({numbers_}));
  log_unit_ = &add_buffer("log_unit", Tensor::zeros({numbers_}));
  const std::int64_t out = 3 * options_.components * numbers_;
  weight_ = &add_parameter("head.weight", Tensor::zeros({out, options_.hidden_units}));
  bias_ = &add_parameter("head.bias", Tensor::zeros({out}));
}

void AnyOrder::add_categories() {
  std::vector<std::int32_t> number_columns, order, owners;
  std::vector<float> codes;
  std::int32_t numbers = 0, categories = static_cast<std::int32_t>(numbers_);
  for (std::int32_t i = 0; i < static_cast<std::int32_t>(dims()); ++i) {
    const std::int32_t values = places_[static_cast<std::size_t>(i)].values;
    order.push_back(values > 0 ? categories++ : numbers++);
    if (values == 0) number_columns.push_back(i);
    for (std::int32_t k = 0; k < values; ++k) {
      owners.push_back(i);
      codes.push_back(static_cast<float>(k));
    }
  }
  if (numbers_ > 0) number_columns_ = &add_buffer("number_columns", indices(number_columns));
  order_ = &add_buffer("column_order", indices(order));
  owners_ = &add_buffer("owners", indices(owners));
  codes_ = &add_buffer("codes", Tensor::from(codes, {values_}));
  gaussian_frequency_ = &add_buffer("gaussian.log_frequency", Tensor::zeros({values_}, DType::F64));
  category_weight_ =
      &add_parameter("categories.weight", Tensor::zeros({values_, options_.hidden_units}));
  category_bias_ = &add_parameter("categories.bias", Tensor::zeros({values_}));
}

double AnyOrder::parameters_of(const AnyOrderOptions& o, std::int64_t context) {
  const nn::MlpOptions hidden = hidden_options(o, context);
  const auto units = static_cast<double>(o.hidden_units);
  const double inner = static_cast<double>(hidden.hidden_layers) * units * (units + 1);
  const double outputs = 3.0 * o.components * static_cast<double>(count_numbers(o)) +
                         static_cast<double>(count_values(o));
  return (static_cast<double>(hidden.in) + 1) * units + inner + (units + 1) * outputs;
}

void AnyOrder::initialize(const Samples& rows) {
  const NoGrad no_grad;
  initialize_condition(condition().get(), rows);
  put_gaps_last(rows);
  if (numbers_ == 0) return;
  const auto part = [&](std::int64_t first, std::int64_t count) {
    const Tensor x = rows.part(first, count);
    const Tensor numbers = number_columns_ ? index_select(x, 1, *number_columns_) : x;
    return bounded_ ? bounded_->columns(numbers).value.value() : numbers;
  };
  standardize_->initialize(Samples(rows.size(), part));
  const Shape row = {1, numbers_};
  const auto at = [&](double z) {
    return standardize_->inverse(Tensor::full(row, z, DType::F64, whole_.device())).value.value();
  };
  const std::vector<double> deviation = (at(1) - at(0)).to_vector<double>();
  for (const Place& place : places_) {
    if (place.values > 0) continue;
    const double d = deviation[static_cast<std::size_t>(place.first)];
    const bool cell = place.whole && 1 / d >= kNarrowest;
    half_->narrow(0, place.first, 1).fill_(cell ? 0.5 / d : 0);
    log_unit_->narrow(0, place.first, 1).fill_(-std::log(d));
  }
}

// In an order p(column | columns before it) is learned from rows in which all of these are there.
// So where gaps of y depend on x, rows that have a y are no fair sample of x: p(y) p(x | y) would
// be theirs, while p(x) p(y | x) is that of all rows (missing at random: Rubin 1976). Shares of
// gaps that are nearly alike (tenths) leave the order to chance.
void AnyOrder::put_gaps_last(const Samples& rows) {
  std::vector<double> there_are(static_cast<std::size_t>(dims()), 0);
  rows.for_each_part([&](const Tensor& x) {
    const auto counts = sum(there(x.to(DType::F64)).to(DType::F64), {0}).to_vector<double>();
    for (std::size_t i = 0; i < counts.size(); ++i) there_are[i] += counts[i];
  });
  const auto n = static_cast<double>(rows.size());
  const auto rank = [&](std::int32_t column) {
    const double gaps = n - there_are[static_cast<std::size_t>(column)];
    return gaps == 0 ? 0 : 1 + std::floor(10 * gaps / n);
  };
  std::vector<std::int32_t> all;
  for (std::vector<std::int32_t> order : orders()) {
    std::stable_sort(order.begin(), order.end(),
                     [&](std::int32_t a, std::int32_t b) { return rank(a) < rank(b); });
    all.insert(all.end(), order.begin(), order.end());
  }
  orders_.copy_(Tensor::from(all, orders_.shape()).to(orders_.device()));
}

// --- rows and what the network makes of them -----------------------------------------------------

// (N, M) in the parameters' type, of numbers (N, M); 0 where there is none.
Var AnyOrder::z_of(const Var& numbers, Var* log_slope) {
  const Tensor known = there(numbers.value());
  if (!bounded_) return only(known, standardize_->forward(numbers).value);
  const auto [value, slope] = bounded_->columns(numbers);
  if (log_slope) *log_slope = only(known, cast(slope, whole_.dtype()));
  return only(known, standardize_->forward(value).value);
}

AnyOrder::Rows AnyOrder::rows_of(const Var& x) {
  NF_CHECK(x.rank() == 2 && x.dim(1) == dims(), "[log_prob] the model is for data of shape (N, ",
           dims(), "), got ", x.shape());
  Rows rows;
  const DType type = whole_.dtype();
  rows.observed = there(x.value()).to(type);
  if (numbers_ > 0) {
    rows.z = z_of(number_columns_ ? index_select(x, 1, *number_columns_) : x, &rows.log_slope);
  }
  if (values_ > 0) {
    const Tensor codes = index_select(x.value(), 1, *owners_).to(type);
    rows.one_hot = equal(codes, codes_->broadcast_to(codes.shape())).to(type);
  }
  return rows;
}

// (N, H), where `known` (N, D) or (1, D) is 1.
Var AnyOrder::features(const Rows& rows, const Tensor& known, const Var& context) {
  const Tensor marked = known.to(rows.observed.dtype()) * rows.observed;
  std::vector<Var> parts;
  if (numbers_ > 0) {
    parts.push_back(rows.z *
                    Var(number_columns_ ? index_select(marked, 1, *number_columns_) : marked));
  }
  parts.emplace_back(marked);
  if (values_ > 0) parts.emplace_back(rows.one_hot * index_select(marked, 1, *owners_));
  if (context.defined()) parts.push_back(context);
  return options_.activation(hidden_(concat(parts, 1)));
}

// --- conditionals --------------------------------------------------------------------------------

// ln of (F - taken wide) / (1 - taken), less ln F: of densities or probabilities of the mixture and
// of its fixed component, both as logarithms. F is at least mixture::kFixed wide.
Var AnyOrder::staying(const Var& log_p, const Var& log_wide) {
  static_assert(kTaken < mixture::kFixed);
  constexpr double kLeast = -80;  // nothing is taken
  const Var ratio = exp(clamp(log_wide - log_p, kLeast, -mixture::kLogFixed));
  return log(affine(ratio, -kTaken, 1)) - std::log1p(-kTaken);
}

// Log densities (N, count) of numbers from `first` on, per unit of the data; of whole numbers log
// probabilities. `whole`: some of them may be whole.
Var AnyOrder::of_numbers(const Rows& rows, const Var& features, std::int64_t first,
                         std::int64_t count, bool whole) const {
  const std::int64_t parts = 3 * options_.components;
  const bool all = count == numbers_;
  // All first logits, all second ones, and so on.
  const Var given = all ? linear(features, *weight_, *bias_)
                        : linear(features, slice(*weight_, 0, first, parts, numbers_),
                                 slice(*bias_, 0, first, parts, numbers_));
  const Var z = all ? rows.z : narrow(rows.z, 1, first, count);
  const Var parameters = apart(given, options_.components, count);
  const auto odds = [&](const Var& at) {
    return mixture_log_odds(at, parameters, options_.components, kMixtureScaleLimit);
  };
  const LogOdds<Var> here = odds(z);
  // F' of ln F - ln(1 - F) = value: slope F (1 - F).
  Var density = here.log_slope + log_sigmoid(here.value) + log_sigmoid(-here.value);
  density = density + staying(density, log_sigmoid(z) + log_sigmoid(-z)) +
            Var(log_unit_->narrow(0, first, count));
  if (rows.log_slope.defined()) density = density + narrow(rows.log_slope, 1, first, count);
  if (!whole) return density;
  const Tensor half = half_->narrow(0, first, count);
  const Tensor cell = greater(half, half.zeros_like()).broadcast_to(z.shape());
  const Var one = Tensor::full(z.shape(), 1, z.dtype(), z.device());
  const Var step = where(cell, Var(half.broadcast_to(z.shape())), one);
  const Var below = odds(z - step).value, above = odds(z + step).value;
  // Far from all components the odds hardly change within a cell, and f32 has no digits of the
  // difference. There the density in the middle is the probability.
  constexpr double kFlat = 1e-3;
  const Var rise = above - below;
  const Tensor flat =
      less(rise.value(), Tensor::full({}, kFlat, z.dtype(), z.device()).broadcast_to(z.shape()));
  // sigma(b) - sigma(a) = sigma(b) sigma(-a) (1 - e^(a - b))
  const Var mass = log_sigmoid(above) + log_sigmoid(-below) + log(-expm1(-where(flat, one, rise)));
  const Var wide = log_sigmoid(z + step) + log_sigmoid(step - z) + log(-expm1(step * -2.0));
  return where(cell, where(flat, density, mass + staying(mass, wide)), density);
}

// Log probabilities (N, 1); minus infinity for what is none of the values.
Var AnyOrder::of_category(const Rows& rows, const Var& logits, std::int32_t column) const {
  const Place place = places_[static_cast<std::size_t>(column)];
  const Tensor here = rows.one_hot.narrow(1, place.first, place.values);
  const Var log_p = sum(logits * Var(here), {1}, true) - logsumexp(logits, {1}, true);
  const Tensor none =
      less(sum(here, {1}, true), Tensor::full({}, 0.5, here.dtype(), here.device()));
  return where(none, Var(Tensor::full({}, -INFINITY, here.dtype(), here.device())), log_p);
}

// (N, 1) of a column; 0 where its cell is missing.
Var AnyOrder::of_column(const Rows& rows, const Var& features, std::int32_t column) const {
  const Place place = places_[static_cast<std::size_t>(column)];
  const Tensor observed = rows.observed.narrow(1, column, 1);
  const Tensor there = greater(observed, observed.zeros_like());
  if (place.values == 0) {
    return only(there, of_numbers(rows, features, place.first, 1, place.whole));
  }
  const Var logits = linear(features, narrow(*category_weight_, 0, place.first, place.values),
                            narrow(*category_bias_, 0, place.first, place.values));
  return only(there, of_category(rows, logits, column));
}

// (N, D) of all columns.
Var AnyOrder::of_all(const Rows& rows, const Var& features) const {
  std::vector<Var> parts;
  if (numbers_ > 0) {
    parts.push_back(of_numbers(rows, features, 0, numbers_, !options_.whole.empty()));
  }
  const Var logits = values_ > 0 ? linear(features, *category_weight_, *category_bias_) : Var();
  for (std::size_t i = 0; i < places_.size(); ++i) {
    const auto& [first, values, whole] = places_[i];
    if (values == 0) continue;
    parts.push_back(
        of_category(rows, narrow(logits, 1, first, values), static_cast<std::int32_t>(i)));
  }
  Var each = parts.size() == 1 ? parts[0] : concat(parts, 1);
  if (order_) each = index_select(each, 1, *order_);
  return only(greater(rows.observed, rows.observed.zeros_like()), each);
}

// --- densities -----------------------------------------------------------------------------------

// A uniform level makes the number of known columns uniform on 0..C, C of the cells that are there.
// Where all are known nothing is to be said, so C + 1 in place of C makes the mean right.
Var AnyOrder::estimate(const Rows& rows, const Var& context) {
  const Tensor& observed = rows.observed;
  const std::int64_t n = observed.dim(0);
  const Tensor u = uniform(noise_, {n, dims() + 1}, observed.dtype(), observed.device());
  const Tensor known =
      less(u.narrow(1, 1, dims()), u.narrow(1, 0, 1)).to(observed.dtype()) * observed;
  const Tensor unknown = observed - known;
  const Tensor left = maximum(sum(unknown, {1}), Tensor::full({}, 1, u.dtype(), u.device()));
  const Tensor scale = (sum(observed, {1}) + 1.0) / left;
  const Var each = of_all(rows, features(rows, known, context));
  return sum(only(greater(unknown, unknown.zeros_like()), each), {1}) * Var(scale);
}

Var AnyOrder::in_order(const Rows& rows, const Var& context,
                       const std::vector<std::int32_t>& order) {
  Tensor known = Tensor::zeros({1, dims()}, whole_.dtype(), whole_.device());
  Var total;
  for (const std::int32_t column : order) {
    const Var log_p = of_column(rows, features(rows, known.clone(), context), column);
    total = total.defined() ? total + log_p : log_p;
    known.narrow(1, column, 1).fill_(1);
  }
  return total;
}

Var AnyOrder::log_prob(const Var& x, const Var& given) {
  if (!training() && is_gaussian()) return gaussian_log_prob(x.value());
  const Var context = context_of(given, x.dim(0));
  const Rows rows = rows_of(x);
  if (training()) return estimate(rows, context);
  auto used = orders();
  used.resize(static_cast<std::size_t>(orders_in_use_));
  std::vector<Var> each;
  for (const auto& order : used) each.push_back(in_order(rows, context, order));
  return logsumexp(concat(each, 1), {1}) - std::log(static_cast<double>(each.size()));
}

void AnyOrder::use_orders(int count) {
  NF_CHECK(count >= 0 && count <= options_.orders, "[AnyOrder] has ", options_.orders, " orders, ",
           count, " were asked for");
  orders_in_use_ = count == 0 ? options_.orders : count;
}

Var AnyOrder::log_conditionals(const Var& x, const Tensor& known, const Var& given) {
  if (is_gaussian()) return gaussian_log_conditionals(x.value(), known);
  const Var context = context_of(given, x.dim(0));
  const Rows rows = rows_of(x);
  return of_all(rows, features(rows, known, context));
}

// --- facts ---------------------------------------------------------------------------------------

Tensor AnyOrder::whole_columns() const {
  return options_.whole.empty() && values_ == 0 ? Tensor() : whole_;
}

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
  const std::int64_t n = in.dim(0), context = context_dims();
  if (condition()) {
    condition()->inspect({n, condition()->given_dims()}, nn::join_names(name, "condition"), rows);
  }
  if (bounded_) bounded_->inspect({n, numbers_}, nn::join_names(name, "bounds"), rows);
  if (standardize_) {
    standardize_->inspect({n, numbers_}, nn::join_names(name, "standardize"), rows);
  }
  hidden_.inspect({n, hidden_options(options_, context).in}, nn::join_names(name, "hidden"), rows);
  std::int64_t parameters = 0;
  double flops = 0;
  for (const Var* p : {weight_, bias_, category_weight_, category_bias_}) {
    parameters += p ? p->numel() : 0;
    flops += p ? 2 * static_cast<double>(p->numel()) : 0;
  }
  rows.push_back({nn::join_names(name, "head"), kind(), in, parameters,
                  static_cast<double>(n) *
                      (flops + 30.0 * options_.components * static_cast<double>(numbers_))});
  return in;
}

}  // namespace nf::flows
