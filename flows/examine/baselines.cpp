#include "flows/examine/baselines.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <numbers>
#include <utility>

#include "data/dataset.h"
#include "flows/layers/logit.h"
#include "flows/samples.h"
#include "tensor/linalg.h"
#include "tensor/ops.h"
#include "tensor/random.h"

namespace nf::flows {

// y = logit(s), s = alpha + (1 - 2 alpha) (x + u) / K of levels x, u uniform noise in [0, 1).
struct PixelLogits {
  double alpha;
  std::int64_t levels;

  // x (n, D) f64; y (n, D) and ln |dy/dx| (n).
  std::pair<Tensor, Tensor> of(const Tensor& x, Generator& noise) const {
    const auto k = static_cast<double>(levels);
    const auto [y, log_det] = Logit(alpha).forward((x + uniform(noise, x.shape(), DType::F64)) / k);
    return {y.value(), log_det.value() - static_cast<double>(x.dim(1)) * std::log(k)};
  }
};

namespace {

constexpr std::int64_t kMostFittedRows = 20000, kMostGaussianDims = 4096, kBlock = 512,
                       kEnoughRows = 10;  // for each dimension
constexpr double kRidge = 1e-9, kNoiseVariance = 1.0 / 12;
constexpr std::array kAlphas = {1e-6, 0.05};  // of MNIST (Papamakarios et al. 2017), of CIFAR-10
const double kLnTwoPi = std::log(2 * std::numbers::pi);

// f64, levels as their logits, in parts of 32 MB at most, with what is given beside them and
// ln |dy/dx| (n) of each row, undefined of reals.
void in_parts(
    const Tensor& x, const Tensor& given, const std::optional<PixelLogits>& logits,
    const std::function<void(const Tensor& y, const Tensor& given, const Tensor& log_det)>& use) {
  constexpr std::uint64_t kNoiseStream = 0x6C6F67697473;  // "logits"
  const std::int64_t most = std::max<std::int64_t>(1, (std::int64_t{1} << 22) / x.dim(1));
  Generator noise(0, kNoiseStream);
  for (std::int64_t at = 0; at < x.dim(0); at += most) {
    const std::int64_t count = std::min(most, x.dim(0) - at);
    const Tensor part = x.narrow(0, at, count).to(DType::F64), of = given_rows(given, at, count);
    if (logits) {
      const auto [y, log_det] = logits->of(part, noise);
      use(y, of, log_det);
    } else {
      use(part, of, {});
    }
  }
}

// use(row, d, level) for all of the u8 levels x (N, D). Throws Error for one that is not below
// `count`.
template <class Use>
void for_each_level(const Tensor& x, std::int64_t count, const Use& use) {
  const Tensor rows = x.contiguous();
  const std::uint8_t* level = rows.data<std::uint8_t>();
  for (std::int64_t i = 0; i < rows.dim(0); ++i) {
    for (std::int64_t d = 0; d < rows.dim(1); ++d, ++level) {
      NF_CHECK(*level < count, "[baselines] fitted to levels below ", count, ", got ", int{*level});
      use(i, d, std::int64_t{*level});
    }
  }
}

// Of kAlphas the one under which independent Gaussians of the logits reach more.
double better_alpha(const Tensor& x, std::int64_t levels) {
  double best_alpha = 0, best = -INFINITY;
  for (const double alpha : kAlphas) {
    Tensor total = Tensor::zeros({x.dim(1)}, DType::F64), squares = total.clone();
    double log_dets = 0;
    in_parts(x, {}, PixelLogits{alpha, levels},
             [&](const Tensor& y, const Tensor&, const Tensor& log_det) {
               total.add_(sum(y, {0}));
               squares.add_(sum_squares(y, {0}));
               log_dets += sum(log_det).item();
             });
    const auto n = static_cast<double>(x.dim(0));
    const Tensor mean = total / n;
    const double reached = log_dets / n - sum(log(squares / n - mean * mean)).item() / 2;
    if (reached > best) {
      best = reached;
      best_alpha = alpha;
    }
  }
  return best_alpha;
}

// (D, K): ln((count + 1) / (N + K)) of every level.
Tensor log_frequencies(const Tensor& x, std::int64_t levels) {
  const std::int64_t dims = x.dim(1);
  std::vector<double> table(static_cast<std::size_t>(dims * levels), 1);
  for_each_level(x, levels, [&](std::int64_t, std::int64_t d, std::int64_t level) {
    table[static_cast<std::size_t>(d * levels + level)] += 1;
  });
  for (double& entry : table) entry = std::log(entry / static_cast<double>(x.dim(0) + levels));
  return Tensor::from(table, {dims, levels});
}

// use(first, count) for blocks of columns.
void in_blocks(std::int64_t dims, const std::function<void(std::int64_t, std::int64_t)>& use) {
  for (std::int64_t at = 0; at < dims; at += kBlock) use(at, std::min(kBlock, dims - at));
}

// Weight of the identity beside the correlations S (D, D), of which the lower triangle is there, of
// n rows y: b^2 / d^2 with d^2 = |S - I|^2 and b^2 = (mean of |y|^4 - |S|^2) / n.
double shrinkage(const double* s, std::int64_t dims, double fourth_power, double n) {
  double off_diagonal = 0, on_diagonal = 0, from_one = 0;
  for (std::int64_t i = 0; i < dims; ++i) {
    const double* row = s + i * dims;
    for (std::int64_t j = 0; j < i; ++j) off_diagonal += 2 * row[j] * row[j];
    on_diagonal += row[i] * row[i];
    from_one += (row[i] - 1) * (row[i] - 1);
  }
  const double d = off_diagonal + from_one, b = (fourth_power - off_diagonal - on_diagonal) / n;
  return d > 0 ? std::clamp(b / d, 0.0, 1.0) : 1;
}

}  // namespace

Baselines::Baselines(const Tensor& train, const std::vector<std::int32_t>& integer,
                     const Tensor& all_given, std::int64_t classes, int level_count) {
  NF_CHECK(train.rank() == 2 && train.dim(0) > 0, "[baselines] needs rows (N, D), got ",
           train.shape());
  const std::int64_t rows = std::min(kMostFittedRows, train.dim(0));
  const Tensor x = train.narrow(0, 0, rows).to(Device::CPU);
  const Tensor given = given_rows(all_given, 0, rows);
  const bool levels = x.dtype() == DType::U8;
  const std::int64_t dims = x.dim(1);
  const double n = static_cast<double>(x.dim(0));
  if (levels) {
    log_frequency_ = log_frequencies(x, level_count);
    alpha_ = better_alpha(x.narrow(0, 0, std::min<std::int64_t>(1000, rows)), level_count);
  }
  Tensor total = Tensor::zeros({dims}, DType::F64), squares = Tensor::zeros({dims}, DType::F64);
  in_parts(x, given, logits(),
           [&](const Tensor& y, const Tensor&, const Tensor&) { total.add_(sum(y, {0})); });
  mean_ = total / n;
  if (given.defined()) {
    regression_ = Regression(given, classes, dims, [&](const auto& use) {
      in_parts(x, given, logits(),
               [&](const Tensor& y, const Tensor& of, const Tensor&) { use(y - mean_, of); });
    });
  }
  in_parts(x, given, logits(), [&](const Tensor& y, const Tensor& of, const Tensor&) {
    squares.add_(sum_squares(without_mean(y, of), {0}));
  });
  noise_ = Tensor::zeros({dims}, DType::F64);
  for (const std::int32_t d : integer) noise_.narrow(0, d, 1).fill_(kNoiseVariance);
  deviation_ = sqrt(squares / n + noise_);
  if (dims <= kMostGaussianDims && min(deviation_).item() > 0) fit_gaussian(x, given);
}

void Baselines::fit_gaussian(const Tensor& x, const Tensor& given) {
  const std::int64_t dims = x.dim(1);
  const double n = static_cast<double>(x.dim(0));
  Tensor correlation = Tensor::zeros({dims, dims}, DType::F64);  // its lower triangle
  double fourth_powers = 0;
  in_parts(x, given, logits(), [&](const Tensor& part, const Tensor& of, const Tensor&) {
    const Tensor y = standardized(part, of);
    fourth_powers += sum_squares(sum_squares(y, {1})).item();
    in_blocks(dims, [&](std::int64_t at, std::int64_t count) {
      correlation.narrow(0, at, count)
          .narrow(1, 0, at + count)
          .add_(matmul(y.narrow(1, at, count).t(), y.narrow(1, 0, at + count)));
    });
  });
  correlation.mul_(1 / n);
  double* const entries = correlation.mutable_data<double>();
  const double weight =
      x.dim(0) >= kEnoughRows * dims ? 0 : shrinkage(entries, dims, fourth_powers / n, n);
  for (std::int64_t i = 0; i < dims; ++i) {
    for (std::int64_t j = 0; j < i; ++j) entries[i * dims + j] *= 1 - weight;
    // Of whole numbers the noise's variance is missing here; with it, and shrunk or not, it is 1.
    entries[i * dims + i] = 1 + kRidge;
  }
  cholesky_ = cholesky(correlation);
  set_noise_square();
}

void Baselines::set_noise_square() {
  const std::int64_t dims = mean_.dim(0);
  const Tensor ratio = sqrt(noise_) / deviation_;
  in_blocks(dims, [&](std::int64_t at, std::int64_t count) {
    if (!(max(ratio.narrow(0, at, count)).item() > 0)) return;
    Tensor columns = Tensor::zeros({dims, count}, DType::F64);
    for (std::int64_t j = 0; j < count; ++j) {
      columns.narrow(0, at + j, 1)
          .narrow(1, j, 1)
          .copy_(ratio.narrow(0, at + j, 1).reshape({1, 1}));
    }
    noise_square_ += sum_squares(triangular_solve(cholesky_, columns)).item();
  });
}

Tensor Baselines::covariance() const {
  if (!cholesky_.defined()) return {};
  const Tensor factor = cholesky_ * deviation_.unsqueeze(1);
  return matmul(factor, factor.t());
}

Baselines Baselines::of_columns(const std::vector<std::int32_t>& columns) const {
  const Tensor index = Tensor::from(columns, {std::ssize(columns)});
  const auto some = [&](const Tensor& all) { return index_select(all, 0, index); };
  Baselines out;
  out.noise_ = some(noise_);
  out.mean_ = some(mean_);
  out.deviation_ = some(deviation_);
  if (!cholesky_.defined()) return out;
  const Tensor rows = some(cholesky_);
  out.cholesky_ = cholesky(matmul(rows, rows.t()));
  out.set_noise_square();
  return out;
}

Baselines Baselines::from(const std::map<std::string, Tensor>& state, const std::string& where) {
  const auto take = [&](const std::string& name, const Shape& shape, bool needed = true) {
    const auto found = state.find(name);
    if (found == state.end() && !needed) return Tensor();
    NF_CHECK(found != state.end(), where, "has no '", name, "'; these are no baselines");
    const Tensor& tensor = found->second;
    NF_CHECK(tensor.dtype() == DType::F64 && tensor.shape() == shape, where, "'", name,
             "' should be f64 ", shape, ", is ", describe(tensor));
    return tensor;
  };
  const auto mean = state.find("mean");
  NF_CHECK(mean != state.end() && mean->second.rank() == 1, where, "has no 'mean' of each column");
  const std::int64_t dims = mean->second.dim(0);
  Baselines b;
  b.mean_ = take("mean", {dims});
  b.deviation_ = take("deviation", {dims});
  b.noise_ = take("noise", {dims});
  b.regression_ = Regression::from(state, dims, where);
  if (const auto table = state.find("log_frequency"); table != state.end()) {
    const std::int64_t levels = table->second.rank() == 2 ? table->second.dim(1) : data::kLevels;
    NF_CHECK(levels >= 2 && levels <= data::kLevels, where, "'log_frequency' has ", levels,
             " levels; pixels have 2 to ", data::kLevels);
    b.log_frequency_ = take("log_frequency", {dims, levels});
    b.alpha_ = take("alpha", {1}).item();
    NF_CHECK(b.alpha_ > 0 && b.alpha_ < 0.5, where, "'alpha' is ", b.alpha_, ", not in (0, 0.5)");
  }
  b.cholesky_ = take("cholesky", {dims, dims}, false);
  if (b.cholesky_.defined()) b.noise_square_ = take("noise_square", {1}).item();
  return b;
}

nn::StateDict Baselines::state() const {
  nn::StateDict state = {{"mean", mean_}, {"deviation", deviation_}, {"noise", noise_}};
  regression_.add_to(state);
  if (levels()) {
    state.emplace_back("log_frequency", log_frequency_);
    state.emplace_back("alpha", Tensor::full({1}, alpha_, DType::F64));
  }
  if (cholesky_.defined()) {
    state.emplace_back("cholesky", cholesky_);
    state.emplace_back("noise_square", Tensor::full({1}, noise_square_, DType::F64));
  }
  return state;
}

std::optional<PixelLogits> Baselines::logits() const {
  if (!levels()) return std::nullopt;
  return PixelLogits{alpha_, log_frequency_.dim(1)};
}

Tensor Baselines::without_mean(const Tensor& x, const Tensor& given) const {
  return conditional() ? x - mean_ - regression_.mean(given) : x - mean_;
}

Tensor Baselines::standardized(const Tensor& x, const Tensor& given) const {
  return without_mean(x, given) / deviation_;
}

std::vector<double> Baselines::independent(const Tensor& x, const Tensor& given) const {
  std::vector<double> scores;
  if (levels()) {
    const std::int64_t levels = log_frequency_.dim(1);
    const double* table = log_frequency_.data<double>();
    scores.resize(static_cast<std::size_t>(x.dim(0)));
    for_each_level(x, levels, [&](std::int64_t i, std::int64_t d, std::int64_t level) {
      scores[static_cast<std::size_t>(i)] += table[d * levels + level];
    });
    return scores;
  }
  const double constant = sum(noise_ / (deviation_ * deviation_)).item() / 2 +
                          sum(log(deviation_)).item() +
                          0.5 * static_cast<double>(x.dim(1)) * kLnTwoPi;
  in_parts(x, given, {}, [&](const Tensor& part, const Tensor& of, const Tensor&) {
    for (const double square : sum_squares(standardized(part, of), {1}).to_vector<double>()) {
      scores.push_back(-0.5 * square - constant);
    }
  });
  return scores;
}

// The noise u is independent of the data: E |L^-1 (y + u)|^2 = |L^-1 y|^2 + E |L^-1 u|^2.
std::vector<double> Baselines::gaussian(const Tensor& x, const Tensor& given) const {
  const std::int64_t dims = x.dim(1);
  double constant =
      noise_square_ / 2 + sum(log(deviation_)).item() + 0.5 * static_cast<double>(dims) * kLnTwoPi;
  const double* l = cholesky_.data<double>();
  for (std::int64_t d = 0; d < dims; ++d) constant += std::log(l[d * dims + d]);
  std::vector<double> scores;
  in_parts(x, given, logits(), [&](const Tensor& y, const Tensor& of, const Tensor& log_det) {
    const Tensor z = triangular_solve(cholesky_, standardized(y, of).t());
    Tensor score = -0.5 * sum_squares(z, {0}) - constant;
    if (log_det.defined()) score = score + log_det;
    for (const double one : score.to_vector<double>()) scores.push_back(one);
  });
  return scores;
}

Baselines::Scores Baselines::scores(const Tensor& x, const Tensor& given) const {
  NF_CHECK(x.rank() == 2 && x.dim(0) > 0 && x.dim(1) == mean_.dim(0) &&
               (x.dtype() == DType::U8) == levels(),
           "[baselines] fitted to ", mean_.dim(0), levels() ? " levels" : " reals", ", got ",
           describe(x));
  const Tensor rows = x.to(Device::CPU);
  Scores result{independent(rows, given), {}};
  if (cholesky_.defined()) result.gaussian = gaussian(rows, given);
  return result;
}

}  // namespace nf::flows
