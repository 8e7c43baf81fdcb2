// Draws of AnyOrder: one column after the other, in one of its orders.
#include <cmath>
#include <utility>

#include "flows/maps/mixture.h"
#include "flows/models/any_order.h"

namespace nf::flows {

namespace {

// Rows that are completed together.
constexpr std::size_t kRowsTogether = 8192;

Tensor row_index(const std::vector<std::int32_t>& rows, Device device) {
  return Tensor::from(rows, {std::ssize(rows)}).to(device);
}

}  // namespace

// The numbers (N, M), f64, of z (N, M), whole ones rounded.
Tensor AnyOrder::numbers_of(const Tensor& z) {
  Var x = standardize_->inverse(z).value;
  if (bounded_) x = bounded_->inverse(x).value;
  const Tensor wanted = number_columns_ ? index_select(whole_, 0, *number_columns_) : whole_;
  if (max(wanted).item() == 0) return x.value();
  const std::vector<double> whole = wanted.to(DType::F64).to_vector<double>();
  Tensor out = x.value().to(Device::CPU).clone().contiguous();
  double* value = out.mutable_data<double>();
  for (std::int64_t i = 0; i < out.dim(0); ++i) {
    for (const double one : whole) {
      if (one != 0) *value = std::floor(*value + 0.5);
      ++value;
    }
  }
  return out.to(z.device());
}

// (N, D), f64.
Tensor AnyOrder::data_of(const Rows& rows) {
  std::vector<Tensor> parts;
  if (numbers_ > 0) parts.push_back(numbers_of(rows.z.value()));
  for (const auto& [first, values, whole] : places_) {
    if (values == 0) continue;
    parts.push_back(
        sum(rows.one_hot.narrow(1, first, values) * codes_->narrow(0, first, values), {1}, true)
            .to(DType::F64));
  }
  const Tensor all = parts.size() == 1 ? parts[0] : concat(parts, 1);
  return order_ ? index_select(all, 1, *order_) : all;
}

// Draws (N, 1) of standardised numbers, by parameters (N, 3K). Of a draw of mixture_log_odds's own
// density the part stays that AnyOrder's has of it; the others are drawn again.
Tensor AnyOrder::draw_number(Generator& gen, const Tensor& parameters, double temperature) const {
  const std::int64_t n = parameters.dim(0);
  const DType type = parameters.dtype();
  const Device device = parameters.device();
  const Tensor y = logistic(gen, {n, 1}, type, Device::CPU).to(device) * temperature;
  const Tensor no_outer = Tensor::zeros({n, 2}, type, device);
  const Var x = mixture_map(options_.components)
                    ->inverse(y, concat(std::vector{no_outer, parameters}, 1))
                    .value;
  const LogOdds<Var> here = mixture_log_odds(x, apart(parameters, options_.components, 1),
                                             options_.components, kMixtureScaleLimit);
  const Var log_p = here.log_slope + log_sigmoid(here.value) + log_sigmoid(-here.value);
  const Tensor stays = exp(staying(log_p, log_sigmoid(x) + log_sigmoid(-x)).value()) * (1 - kTaken);
  const Tensor kept = less(uniform(gen, {n, 1}, type, Device::CPU).to(device), stays).to(type);
  const std::vector<float> flags = kept.to(DType::F32).to_vector<float>();
  std::vector<std::int32_t> again;
  for (std::size_t i = 0; i < flags.size(); ++i) {
    if (flags[i] == 0) again.push_back(static_cast<std::int32_t>(i));
  }
  if (again.empty()) return x.value();
  const Tensor index = row_index(again, device);
  return index_add(x.value() * kept, 0, index,
                   draw_number(gen, index_select(parameters, 0, index), temperature));
}

// Values 0..K-1 (N), of logits (N, K): the largest with Gumbel noise has the softmax's
// probabilities.
Tensor AnyOrder::draw_values(Generator& gen, const Tensor& logits, double temperature) {
  const Tensor u = uniform(gen, logits.shape(), logits.dtype(), Device::CPU);
  return argmax(logits + neg(log(neg(log(u)))).to(logits.device()) * temperature, 1);
}

// A draw of the column, written into those rows whose `mark` (N, 1) is 0.
void AnyOrder::draw_column(Generator& gen, Rows& rows, const Var& features, const Tensor& mark,
                           std::int32_t column, double temperature) {
  const auto [first, values, whole] = places_[static_cast<std::size_t>(column)];
  const std::int64_t n = mark.dim(0);
  const Tensor known = greater(mark, mark.zeros_like());
  const DType type = mark.dtype();
  if (values > 0) {
    const Var logits = linear(features, narrow(*category_weight_, 0, first, values),
                              narrow(*category_bias_, 0, first, values));
    const Tensor best = draw_values(gen, logits.value(), temperature).to(type).reshape({n, 1});
    const Tensor codes = codes_->narrow(0, first, values);
    Tensor place = rows.one_hot.narrow(1, first, values);
    place.copy_(
        where(known.broadcast_to(place.shape()), place,
              equal(best.broadcast_to(place.shape()), codes.broadcast_to(place.shape())).to(type)));
    return;
  }
  const std::int64_t parts = 3 * options_.components;
  const Var parameters = linear(features, slice(*weight_, 0, first, parts, numbers_),
                                slice(*bias_, 0, first, parts, numbers_));
  const Tensor drawn = draw_number(gen, parameters.value(), temperature);
  Tensor z = rows.z.value();
  Tensor place = z.narrow(1, first, 1);
  place.copy_(where(known, place, drawn));
  if (half_->narrow(0, first, 1).item() > 0) {
    place.copy_(z_of(numbers_of(z)).value().narrow(1, first, 1));
  }
}

Tensor AnyOrder::completed(Generator& gen, const Tensor& x, const Tensor& known, const Var& context,
                           const std::vector<std::int32_t>& order, double temperature) {
  Rows rows = rows_of(x);
  Tensor marked = known * rows.observed;
  rows.observed = Tensor::ones(marked.shape(), marked.dtype(), marked.device());
  for (const std::int32_t column : order) {
    Tensor mark = marked.narrow(1, column, 1);
    draw_column(gen, rows, features(rows, marked, context), mark, column, temperature);
    mark.fill_(1);
  }
  return data_of(rows);
}

Tensor AnyOrder::complete(Generator& gen, const Tensor& x, const Tensor& known, double temperature,
                          const Var& given) {
  const NoGrad no_grad;
  NF_CHECK(known.shape() == x.shape(), "[complete] known is ", known.shape(), " for x ", x.shape());
  if (is_gaussian()) return gaussian_complete(gen, x, known, temperature);
  const std::int64_t n = x.dim(0);
  const Var context = context_of(given, n);
  const Tensor marked = known.to(whole_.dtype());
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
      if (rows.empty() || (i + 1 < n && rows.size() < kRowsTogether)) continue;
      const Tensor index = row_index(std::exchange(rows, {}), x.device());
      const Var beside = context.defined() ? index_select(context, 0, index) : Var();
      const Tensor part = completed(gen, index_select(x, 0, index), index_select(marked, 0, index),
                                    beside, all[o], temperature);
      out = index_add(out, 0, index, part);
    }
  }
  const Tensor kept = marked * equal(x, x).to(marked.dtype());
  return where(greater(kept, kept.zeros_like()), x.to(DType::F64), out);
}

Tensor AnyOrder::sample(Generator& gen, std::int64_t n, double temperature, const Var& given) {
  NF_CHECK(n >= 1 && temperature >= 0, "[sample] needs n >= 1 and temperature >= 0, got ", n,
           " and ", temperature);
  const Tensor nothing = Tensor::zeros({n, dims()}, DType::F64, device());
  return complete(gen, nothing, nothing, temperature, given);
}

}  // namespace nf::flows
