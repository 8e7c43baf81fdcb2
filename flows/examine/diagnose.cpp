#include "flows/examine/diagnose.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "flows/compose.h"
#include "flows/layers/residual.h"
#include "flows/layers/variational_dequantize.h"
#include "tensor/linalg.h"

namespace nf::flows {

namespace {

void check_samples(const char* what, const FlowDensity& density, const Tensor& x) {
  NF_CHECK(x.rank() == 2 && x.dim(0) >= 1 && x.dim(1) == density.dims(), "[", what,
           "] the model is for data of shape (N, ", density.dims(), ") with N >= 1, got ",
           x.shape());
}

struct Layer {
  std::string name;
  Transform* map;
};

std::vector<Layer> layers_of(FlowDensity& density) {
  auto* parts = dynamic_cast<Compose*>(&density.transform());
  if (!parts) return {{"", &density.transform()}};
  std::vector<Layer> layers;
  for (const auto& [name, part] : parts->layers()) layers.push_back({name, part.get()});
  return layers;
}

/// Numbers of a sample of x (N, ...): images count as rows.
std::int64_t dims_of(const Tensor& x) { return x.numel() / std::max<std::int64_t>(1, x.dim(0)); }

/// NaN is the larger of any two.
void update_max(double& most, double value) {
  if (!(value <= most) && !std::isnan(most)) most = value;
}

double worst(const Tensor& x) { return max(abs(x)).item(); }

/// For each of D columns how large its numbers usually are.
using Sizes = std::vector<double>;

/// The median of |x| in each column of (N, D), or place of images, what is not finite left out; 0
/// where nothing is.
Sizes usual_sizes(const Tensor& x) {
  const auto values = abs(x.to(Device::CPU).to(DType::F64)).to_vector<double>();
  const auto dims = static_cast<std::size_t>(dims_of(x));
  Sizes sizes;
  for (std::size_t d = 0; d < dims; ++d) {
    std::vector<double> column;
    for (std::size_t i = d; i < values.size(); i += dims) {
      if (std::isfinite(values[i])) column.push_back(values[i]);
    }
    const auto middle = column.begin() + std::ssize(column) / 2;
    std::nth_element(column.begin(), middle, column.end());
    sizes.push_back(column.empty() ? 0 : *middle);
  }
  return sizes;
}

/// max |a - b| / max |b| of (N, D): of the column where it is worst, for columns have units of
/// their own; of all numbers when they are `alike`. No column is measured by less than `usual` (or
/// none), and one that is 0 all over by all numbers.
double relative_distance(const Tensor& a, const Tensor& b, const Sizes& usual, bool alike) {
  const auto from = a.to(Device::CPU).to(DType::F64).to_vector<double>();
  const auto to = b.to(Device::CPU).to(DType::F64).to_vector<double>();
  const auto dims = static_cast<std::size_t>(dims_of(b));
  Sizes size = usual, distance(dims);
  size.resize(dims);
  double largest = std::numeric_limits<double>::min(), out = 0;
  for (std::size_t i = 0; i < to.size(); ++i) {
    update_max(size[i % dims], std::abs(to[i]));
    update_max(distance[i % dims], std::abs(from[i] - to[i]));
  }
  for (const double of_column : size) update_max(largest, of_column);
  for (std::size_t d = 0; d < dims; ++d) {
    update_max(out, distance[d] / (alike || size[d] == 0 ? largest : size[d]));
  }
  return out;
}

/// What samples of the density are before each layer: rows that happen to be tiny beside them (all
/// zeros, say) are not expected to come back with digits that no sample has. Empty from the layer
/// on, counted from the last, that does not bring the samples themselves back.
std::vector<Sizes> sizes_of_samples(FlowDensity& density, const std::vector<Layer>& layers,
                                    std::uint64_t seed, const Tensor& given) {
  constexpr std::int64_t kSamples = 64;
  constexpr std::uint64_t kStream = 0x73697A65;  // "size"
  constexpr double kReturned = 1e-3;
  Generator gen(seed, kStream);
  const Tensor z = density.base().sample(gen, kSamples, density.latent_dims());
  Var value = Var(z.to(density.parameter_type()).to(density.device()));
  // What is given with the rows, in turn.
  const auto of_row = [&](std::int64_t i) { return static_cast<std::int32_t>(i % given.dim(0)); };
  std::vector<std::int32_t> rows;
  for (std::int64_t i = 0; given.defined() && i < kSamples; ++i) rows.push_back(of_row(i));
  const Tensor picked = given.defined() ? Tensor::from(rows, {kSamples}) : Tensor();
  const Var context = density.context(given_rows(given, picked), kSamples);
  std::vector<Sizes> sizes(layers.size());
  for (std::size_t i = layers.size(); i-- > 0 && layers[i].map->exact();) {
    const Var before = layers[i].map->inverse(value, context).value;
    const Tensor again = layers[i].map->forward(before, context).value.value();
    if (!(relative_distance(again, value.value(), {}, false) <= kReturned)) break;
    sizes[i] = usual_sizes(before.value());
    value = before;
  }
  return sizes;
}

double relative_gap(const Tensor& l, const Tensor& other) {
  return worst((l - other) / (abs(l) + 1));
}

/// J^T of the layer at x (1, ...), its numbers in a row: row j holds dz/dx_j. Steps are small
/// against x, because a logit bends where x is near 0, and have a floor where f64 still has seven
/// digits; `scale` makes them smaller.
Tensor jacobian(Transform& layer, const Tensor& x, const Var& context, double scale) {
  constexpr std::int64_t kRows = 512;  // at a time
  const std::int64_t dims = x.numel();
  const auto at = x.to_vector<double>();
  std::vector<Tensor> rows;
  for (std::int64_t first = 0; first < dims; first += kRows) {
    const std::int64_t n = std::min(kRows, dims - first);
    Tensor steps = Tensor::zeros({n, dims}, DType::F64), sizes = Tensor::empty({n, 1}, DType::F64);
    for (std::int64_t i = 0; i < n; ++i) {
      const double size = scale * (1e-6 * std::abs(at[static_cast<std::size_t>(first + i)]) + 1e-8);
      steps.mutable_data<double>()[i * dims + first + i] = size;
      sizes.mutable_data<double>()[i] = 2 * size;
    }
    Shape together = x.shape();
    together[0] = n;
    steps = steps.to(x.device()).reshape(together);
    Shape beside_shape = context.defined() ? context.shape() : Shape{};
    if (context.defined()) beside_shape[0] = n;
    const Var beside = context.defined() ? broadcast_to(context, beside_shape) : Var();
    const Tensor above = layer.forward(x + steps, beside).value.value();
    const Tensor below = layer.forward(x - steps, beside).value.value();
    rows.push_back((above - below).to(Device::CPU).reshape({n, dims}) / sizes);
  }
  return concat(rows, 0);
}

/// max |ln s| over the singular values s of J. Eigenvalues of J J^T below its rounding error count
/// as that.
double largest_stretch(const Tensor& j) {
  const auto squares = eigh(matmul(j, j.t())).values.to_vector<double>();
  const double most = squares.back();
  const double least = std::max(squares.front(), 1e-16 * most);
  return std::max(std::abs(std::log(most)), std::abs(std::log(least))) / 2;
}

void examine_jacobians(Transform& layer, const Tensor& x, const Var& context, const Tensor& log_det,
                       std::int64_t count, LayerDiagnosis& row) {
  // A bound of the layer may be nearer than a step: where differences do not agree, smaller ones
  // are tried. A wrong log_det agrees with none.
  constexpr double kAgrees = 1e-5;
  for (std::int64_t i = 0; i < count; ++i) {
    const double claimed = log_det.narrow(0, i, 1).item();
    double gap = std::nan(""), stretch = std::nan("");
    for (const double scale : {1.0, 1e-2, 1e-4, 1e-6}) {
      const Tensor j = jacobian(layer, x.narrow(0, i, 1),
                                context.defined() ? narrow(context, 0, i, 1) : Var(), scale);
      if (!all_finite(j)) continue;
      const double here = std::abs(claimed - slogdet(j).logdet.item()) / (1 + std::abs(claimed));
      if (gap <= 2 * here) continue;  // no better
      gap = here;
      stretch = largest_stretch(j);
      if (gap <= kAgrees) break;
    }
    update_max(row.jacobian_gap, gap);
    update_max(row.largest_stretch, stretch);
  }
}

}  // namespace

InDtype::InDtype(nn::Module& module, DType dtype) : module_(module), kept_(module.state()) {
  try {
    module.to(dtype);
  } catch (...) {
    put_back();
    throw;
  }
}

void InDtype::put_back() {  // in the order of Module::state()
  auto kept = kept_.begin();
  module_.for_each_parameter([&](const std::string&, Var& p) { p.set_value((kept++)->second); });
  module_.for_each_buffer([&](const std::string&, Tensor& b) { b = (kept++)->second; });
}

namespace {

/// A layer at x, in both directions.
struct Passed {
  Var z;
  Tensor log_det;
  LayerDiagnosis row;
};

Passed pass(const std::string& name, Transform& layer, const Var& x, const Var& context,
            const Sizes& usual, bool alike, std::int64_t jacobians) {
  const auto [z, log_det] = layer.forward(x, context);
  const Tensor l = log_det.value();
  const bool estimated = estimates_log_det(layer);  // then there is nothing to compare
  const auto [back, inverse_log_det] = layer.inverse(z, context);
  Passed out{z,
             l,
             {.name = name,
              .kind = layer.kind(),
              .log_det = mean(l).item(),
              .round_trip = relative_distance(back.value(), x.value(), usual, alike),
              .log_det_gap = estimated ? 0 : relative_gap(l, -inverse_log_det.value()),
              .estimated = estimated}};
  if (!estimated) {
    examine_jacobians(layer, x.value(), context, l, std::min(jacobians, x.dim(0)), out.row);
  }
  return out;
}

}  // namespace

std::vector<LayerDiagnosis> diagnose_layers(FlowDensity& density, const Tensor& x,
                                            const DiagnoseOptions& options) {
  check_samples("diagnose_layers", density, x);
  NF_CHECK(options.jacobians == 0 || x.dtype() == DType::F64,
           "[diagnose_layers] Jacobians are taken in f64, the samples are ", describe(x),
           "; convert both with .to(DType::F64)");
  const Examination examination(density, options.seed);
  std::vector<LayerDiagnosis> rows;
  std::vector<Transform*> exact;
  const bool alike = density.levels() > 0;
  Var value = density.entering(x.to(density.device()));
  Tensor first, total;
  const std::vector<Layer> layers = layers_of(density);
  const std::vector<Sizes> usual = sizes_of_samples(density, layers, options.seed, options.given);
  const Var context = density.context(options.given, x.dim(0));
  Sizes first_usual;
  LayerDiagnosis whole{.name = "whole map", .kind = density.transform().kind()};
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const auto& [name, layer] = layers[i];
    if (!layer->exact()) {
      if (auto* drawing = dynamic_cast<VariationalDequantize*>(layer)) {
        const auto [start, seen] = drawing->draw_with_levels(value.value());
        rows.push_back(pass(name + ".flow", drawing->flow(), start, seen, {}, /*alike=*/true,
                            options.jacobians)
                           .row);
        whole.round_trip = rows.back().round_trip;
        whole.log_det_gap = rows.back().log_det_gap;
      }
      value = layer->forward(value, context).value;
      continue;
    }
    const Passed passed = pass(name, *layer, value, context, usual[i], alike, options.jacobians);
    rows.push_back(passed.row);
    if (exact.empty()) {
      first = value.value();
      first_usual = usual[i];
    }
    total = exact.empty() ? passed.log_det : total + passed.log_det;
    exact.push_back(layer);
    value = passed.z;
  }
  if (exact.empty()) return rows;

  Tensor back_total = Tensor::zeros(total.shape(), total.dtype(), total.device());
  for (auto layer = exact.rbegin(); layer != exact.rend(); ++layer) {
    const auto [back, log_det] = (*layer)->inverse(value, context);
    value = back;
    back_total = back_total + log_det.value();
  }
  whole.log_det = mean(total).item();
  update_max(whole.round_trip, relative_distance(value.value(), first, first_usual, alike));
  if (!estimates_log_det(density)) {
    update_max(whole.log_det_gap, relative_gap(total, -back_total));
  }
  for (const LayerDiagnosis& row : rows) {
    update_max(whole.jacobian_gap, row.jacobian_gap);
    update_max(whole.largest_stretch, row.largest_stretch);
  }
  rows.push_back(whole);
  return rows;
}

double ks_distance(std::vector<double> values, const Base& base) {
  for (double& v : values) v = std::isnan(v) ? v : base.cdf(v);
  return ks_distance(std::move(values));
}

double ks_distance(std::vector<double> shares) {
  NF_CHECK(!shares.empty(), "[ks_distance] no values");
  for (const double share : shares) {
    if (std::isnan(share)) return share;
  }
  std::sort(shares.begin(), shares.end());
  const double n = static_cast<double>(shares.size());
  double distance = 0;  // F_n jumps from i/n to (i+1)/n at the i-th value
  for (std::size_t i = 0; i < shares.size(); ++i) {
    const double below = static_cast<double>(i) / n;
    distance = std::max({distance, shares[i] - below, below + 1 / n - shares[i]});
  }
  return distance;
}

double ks_p_value(double distance, double n) {
  if (std::isnan(distance)) return distance;
  const double root = std::sqrt(n), t = (root + 0.12 + 0.11 / root) * distance;
  constexpr double kSlow = 0.2;  // below, the sum converges slowly, to 1
  if (t < kSlow) return 1;
  double sum = 0, sign = 1;
  for (int k = 1; k <= 100; ++k, sign = -sign) sum += sign * std::exp(-2 * k * k * t * t);
  return std::clamp(2 * sum, 0.0, 1.0);
}

namespace {

/// The least share k / n that at least k of n events of probability p reach once in 10000 times;
/// the count is as good as Poisson's.
double share_by_chance(double n, double p) {
  constexpr double kRare = 1e-4;
  double term = std::exp(-n * p), above = 1, k = 0;  // P(X = k), P(X >= k)
  if (term < std::numeric_limits<double>::min()) return p + 4 * std::sqrt(p / n);  // thousands
  while (above > kRare && k < n) {
    above -= term;
    term *= n * p / ++k;
  }
  return k / n;
}

/// Whether a mean square of n latents, 1 on average, is absurd: six of its standard deviations, of
/// which the logistic base has the larger ones, E z^4 = 4.2.
bool absurd_mean_square(double mean_square, double n) {
  return mean_square > std::max(4.0, 1 + 6 * std::sqrt((4.2 - 1) / n));
}

}  // namespace

LatentDiagnosis diagnose_latents(FlowDensity& density, const Tensor& x, std::int64_t batch_size,
                                 std::uint64_t seed, const Tensor& given) {
  check_samples("diagnose_latents", density, x);
  NF_CHECK(batch_size > 0, "[diagnose_latents] the batch size must be positive, got ", batch_size);
  const Examination examination(density, seed);
  const std::vector<Generator*> noise = density.generators();
  const Tensor samples = Tensor::arange(x.dim(0), DType::I32).to(density.device());
  std::vector<Tensor> parts;
  for (std::int64_t at = 0; at < x.dim(0); at += batch_size) {
    const std::int64_t count = std::min(batch_size, x.dim(0) - at);
    const Tensor rows = x.narrow(0, at, count);
    const Placed placed(noise, samples.narrow(0, at, count), /*round=*/0);
    // With noise, not encode(): the middles of levels do not follow the base even in a right model.
    const Var context = density.context(given_rows(given, at, count), count);
    const Mapped latents =
        density.transform().forward(density.entering(rows.to(density.device())), context);
    parts.push_back(latents.value.value().to(Device::CPU));
  }
  const Tensor z = concat(parts, 0);
  const Base& base = density.base();
  const double n = static_cast<double>(z.dim(0)), dims = static_cast<double>(z.dim(1));
  LatentDiagnosis out{.count = z.dim(0),
                      .ks_chance = std::sqrt(std::log(2 * dims / 0.01) / (2 * n)),
                      .tails_chance = share_by_chance(n * dims, 0.002)};
  double sum = 0, squares = 0, outside = 0;
  for (std::int64_t j = 0; j < z.dim(1); ++j) {
    const auto column = z.narrow(1, j, 1).to(DType::F64).to_vector<double>();
    for (const double v : column) {
      const double scaled = v / base.deviation(), u = base.cdf(v);
      sum += scaled;
      squares += scaled * scaled;
      outside += !(u >= 0.001 && u <= 0.999);
      update_max(out.largest, std::abs(scaled));
    }
    const double distance = ks_distance(column, base);
    out.ks.push_back(distance);
    out.ks_mean += distance / dims;
    if (!(distance <= out.ks_worst) && !std::isnan(out.ks_worst)) {
      out.ks_worst = distance;
      out.ks_dim = j;
    }
  }
  out.mean = sum / (n * dims);
  out.deviation = std::sqrt(std::max(squares / (n * dims) - out.mean * out.mean, 0.0));
  out.tails = outside / (n * dims);
  out.wide = absurd_mean_square(squares / (n * dims), n * dims);
  return out;
}

}  // namespace nf::flows
